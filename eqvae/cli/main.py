"""The `eqvae` command: the first word says what to do, the rest belongs to that command.

`eqvae train model=plain` and `python scripts/train.py model=plain` are the same entry point.
"""

import importlib
import sys
from collections.abc import Sequence

from eqvae.cli.console import USER_ERROR, complain

COMMANDS = {  # each is a module of this package with a `main(arguments)`
    "train": "train a model, test it, and leave a folder with pictures, metrics and checkpoints",
    "evaluate": "measure trained models, one or several side by side",
    "embed": "say of each image what it shows, where, and which way it points",
    "subset": "choose images by what was said of them, as a table or list for other tools",
    "explore": "look at your images and at what the model makes of them, on a page in a browser",
    "generate": "draw images from a trained model's prior, by kind and pose if you like",
    "export": "take a trained model elsewhere: ONNX and torch.export graphs",
    "fit_prior": "fit the prior of a model that is trained already",
    "compare": "compare ways to put the symmetry in, over scenarios, sizes and seeds",
    "advise": "look at your images and say which way suits them",
    "dock": "lay one structure into or onto another one, and rank the poses",
    "states": "say of each structure which shape, pose and state it has",
    "lens": "measure claims about equivariance, each with a control that must fail",
    "dashboard": "show a comparison in Weights & Biases",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; None takes the arguments of this process."""
    given = sys.argv[1:] if arguments is None else arguments
    command, *rest = given or ["--help"]
    if command in ("-h", "--help"):
        print(help_text())
    elif command == "--version":
        from eqvae import __version__

        print(f"eqvae {__version__}")
    elif command in COMMANDS:
        importlib.import_module(f"eqvae.cli.{command}").main(rest)
    else:
        complain(f"error: {command!r} is not a command of eqvae: {', '.join(COMMANDS)}.")
        sys.exit(USER_ERROR)


def help_text() -> str:
    """The usage, and a line about each command."""
    lines = [f"  {name:<11}{about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: eqvae COMMAND [ARGUMENT ...]",
            "",
            *lines,
            "",
            "`eqvae COMMAND --help` says what a command takes.",
        ]
    )
