"""`python -m eqvae` is the `eqvae` command."""

from eqvae.cli.main import main

if __name__ == "__main__":
    main()
