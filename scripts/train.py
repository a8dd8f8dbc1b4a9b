"""Train a VAE; the command is `eqvae.cli.train`, and `eqvae train` runs the same."""

from eqvae.cli.train import main

if __name__ == "__main__":
    main()
