"""What the scripts share: progress bars, and mistakes of a user end in one sentence, not a traceback."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

USER_ERROR = 2  # exit code


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Say what is wrong and exit with code 2; EQVAE_DEBUG=1 shows the traceback instead."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, OmegaConfBaseException) as error:
        if os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"error: {error}")
        sys.exit(USER_ERROR)


def complain(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)


def watch(steps: Iterable, what: str) -> Iterator:
    """The steps, with a progress bar on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, highlight=False)
    hidden = not console.is_terminal
    yield from track(steps, description=what, console=console, transient=True, disable=hidden)
