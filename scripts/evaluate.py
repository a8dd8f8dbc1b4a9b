"""Measure trained models on held-out images: the command is `eqvae.cli.evaluate`.

`eqvae evaluate` runs the same.
"""

from eqvae.cli.evaluate import main

if __name__ == "__main__":
    main()
