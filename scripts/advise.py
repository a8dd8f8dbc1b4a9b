"""Choose how to put the symmetry in; the command is `eqvae.cli.advise`, `eqvae advise` the same."""

from eqvae.cli.advise import main

if __name__ == "__main__":
    main()
