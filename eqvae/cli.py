"""What the scripts share: a user's mistake is one sentence and an exit code, not a traceback."""

import os
import sys
from collections.abc import Iterator
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
