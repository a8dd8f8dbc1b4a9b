"""Compare ways to put the symmetry in; the command is `eqvae.cli.compare`, `eqvae compare` the same."""

from eqvae.cli.compare import main

if __name__ == "__main__":
    main()
