"""Take a trained model elsewhere: the command is `eqvae.cli.export`.

`eqvae export` runs the same.
"""

from eqvae.cli.export import main

if __name__ == "__main__":
    main()
