"""Choose images by what was said of them, and write those alone: the command is `eqvae.cli.subset`.

`eqvae subset` runs the same.
"""

from eqvae.cli.subset import main

if __name__ == "__main__":
    main()
