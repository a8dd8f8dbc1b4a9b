"""Draw images from a trained model's prior: the command is `eqvae.cli.generate`.

`eqvae generate` runs the same.
"""

from eqvae.cli.generate import main

if __name__ == "__main__":
    main()
