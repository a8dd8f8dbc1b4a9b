"""Lay one structure into or onto another one, and write the best poses: the command is `eqvae.cli.dock`.

`eqvae dock` runs the same.
"""

from eqvae.cli.dock import main

if __name__ == "__main__":
    main()
