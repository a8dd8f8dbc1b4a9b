"""Say of each structure which shape, pose and state it has: the command is `eqvae.cli.states`.

`eqvae states` runs the same.
"""

from eqvae.cli.states import main

if __name__ == "__main__":
    main()
