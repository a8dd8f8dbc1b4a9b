"""Look at images as a model sees them, on a page in a browser: the command is `eqvae.cli.explore`.

`eqvae explore` runs the same.
"""

from eqvae.cli.explore import main

if __name__ == "__main__":
    main()
