"""Measure every claim about equivariance, each with a control that fails: the command is `eqvae.cli.lens`.

`eqvae lens` runs the same.
"""

from eqvae.cli.lens import main

if __name__ == "__main__":
    main()
