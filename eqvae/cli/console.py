"""What the commands share: Hydra, the words for themselves, progress bars, and errors of one sentence."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqvae.data import ImageDataModule

USER_ERROR = 2  # exit code


def spelled(command: str) -> str:
    """How to call a command, the way this process was called: by a script, or as `eqvae train`."""
    by_script = Path(sys.argv[0]).resolve().parent.name == "scripts"
    return f"python scripts/{command}.py" if by_script else f"eqvae {command}"


def arguments_or_help(
    arguments: Sequence[str] | None, usage: str, *, alone: bool = False
) -> list[str] | None:
    """The arguments of a command, or None after it has printed its usage because they ask for help.

    Args:
        arguments: None takes those of this process.
        usage: the text, with commands in braces that are spelled as the user calls them, as in "{train}".
        alone: whether the command also does something without any argument.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if {"-h", "--help"} & set(given) or not (given or alone):
        print(re.sub(r"\{(\w+)\}", lambda command: spelled(command[1]), usage))
        return None
    return given


def run_with_hydra(run: Callable[[Any], None], name: str, arguments: Sequence[str]) -> None:
    """Call `run` with configs/<name>.yaml and the arguments on top, as Hydra reads them (-m, --cfg, ...).

    Old keys, and what Hydra can't compose, end in one sentence and exit code 2.
    """
    import hydra
    from hydra.errors import HydraException

    from eqvae.renamed import check_overrides
    from eqvae.resources import configs

    with one_sentence_errors():
        check_overrides(arguments)
    folder = configs()
    if not (folder / f"{name}.yaml").is_file():
        complain(
            f"error: {folder} holds no {name}.yaml; install the eqvae wheel again, which carries the "
            "configurations, or run in a checkout of the repository."
        )
        sys.exit(USER_ERROR)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here as they are
    called, sys.argv = sys.argv, [sys.argv[0], *arguments]  # the only place where Hydra looks
    try:
        hydra.main(version_base="1.3", config_path=str(folder), config_name=name)(run)()
    except HydraException as error:  # of an override: several lines that say one thing
        if os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"error: {' '.join(str(error).split())}")
        sys.exit(USER_ERROR)
    finally:
        sys.argv = called


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


def announce(data: "ImageDataModule") -> None:
    """Say what was chosen in reading the images, and what was left out."""
    for line in data.images.said:
        complain(f"data: {line}")


def complain(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)
