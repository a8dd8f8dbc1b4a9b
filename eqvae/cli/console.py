"""What the commands share: Hydra, the words for themselves, progress bars, and errors of one sentence."""

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.faults import fault_of

if TYPE_CHECKING:
    from rich.console import Console

    from eqvae.data import ImageDataModule

FAULT = 1  # exit code, of the machine
USER_ERROR = 2  # exit code
INTERRUPTED = 130  # exit code, by Ctrl-C


def spelled(command: str) -> str:
    """How to call a command, the way this process was called: by a script, or as `eqvae train`."""
    called = Path(sys.argv[0])
    if called.resolve().parent.name == "scripts":
        return f"python {shlex.quote(str(called.parent / f'{command}.py'))}"
    return f"python -m eqvae {command}" if called.name == "__main__.py" else f"eqvae {command}"


def pasted(command: str, *arguments: str) -> str:
    """A command line that a shell reads as it is meant, whatever the arguments hold."""
    return " ".join([spelled(command), *map(shlex.quote, arguments)])


def printer(*, stderr: bool = False) -> "Console":
    """A console that prints texts of the user's as they are: brackets are no markup, lines stay whole."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def never_fail_to_print() -> None:
    """Where a terminal's encoding lacks a letter it shows a question mark, and the command goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def arguments_or_help(
    arguments: Sequence[str] | None, usage: str, *, alone: bool = False
) -> list[str] | None:
    """The arguments of a command, or None after it has printed its usage because they ask for help.

    Args:
        arguments: None takes those of this process.
        usage: the text, with commands in braces that are spelled as the user calls them, as in "{train}".
        alone: whether the command also does something without any argument.
    """
    never_fail_to_print()
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

    from eqvae.overrides import as_typed
    from eqvae.renamed import check_overrides
    from eqvae.resources import configs

    with one_sentence_errors():
        check_overrides(arguments)
        written = as_typed(arguments)
    folder = configs()
    if not (folder / f"{name}.yaml").is_file():
        complain(
            f"error: {folder} holds no {name}.yaml; install the eqvae wheel again, which carries the "
            "configurations, or run in a checkout of the repository."
        )
        sys.exit(USER_ERROR)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here as they are
    called = sys.argv

    def as_called(config: Any) -> None:
        sys.argv = called  # Lightning starts further processes with the same words
        run(config)

    sys.argv = [called[0], *written]  # the only place where Hydra looks
    try:
        hydra.main(version_base="1.3", config_path=str(folder), config_name=name)(as_called)()
    except HydraException as error:  # of an override: several lines that say one thing
        if os.environ.get("EQVAE_DEBUG"):
            raise
        complain(f"error: {' '.join(str(error).split())}")
        sys.exit(USER_ERROR)
    finally:
        sys.argv = called


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Say what is wrong and exit with code 2; EQVAE_DEBUG=1 shows the traceback instead.

    What is wrong with the machine, such as a full disk, exits with code 1.
    """
    from omegaconf.errors import OmegaConfBaseException

    expected = (ValueError, TypeError, OSError, ImportError, OmegaConfBaseException)
    try:
        yield
    except Exception as error:
        ours = isinstance(error, expected) and getattr(error, "errno", None) is None
        fault = None if ours else fault_of(error)
        if os.environ.get("EQVAE_DEBUG") or not (fault or isinstance(error, expected)):
            raise
        complain(f"error: {f'{fault}.' if fault else error}")
        sys.exit(FAULT if fault else USER_ERROR)


@contextmanager
def stopped_by_ctrl_c(left: str) -> Iterator[None]:
    """On Ctrl-C say what is left, and exit with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"stopped; {left}")
        sys.exit(INTERRUPTED)


def announce(data: "ImageDataModule") -> None:
    """Say what was chosen in reading the images, and what was left out."""
    for line in data.images.said:
        complain(f"data: {line}")


def complain(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)
