"""Show a comparison; the command is `eqvae.cli.dashboard`, `eqvae dashboard` the same."""

from eqvae.cli.dashboard import main

if __name__ == "__main__":
    main()
