"""Say of each image what it shows, where, and which way it points: the command is `eqvae.cli.embed`.

`eqvae embed` runs the same.
"""

from eqvae.cli.embed import main

if __name__ == "__main__":
    main()
