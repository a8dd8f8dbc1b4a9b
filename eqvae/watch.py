"""How long loops show their progress: a function that wraps their steps."""

from collections.abc import Callable, Iterable, Iterator

Watch = Callable[[Iterable, str], Iterable]  # (steps, what) -> the steps, with a progress bar


def unwatched(steps: Iterable, what: str) -> Iterable:
    """The steps as they are."""
    return steps


def watched(steps: Iterable, what: str) -> Iterator:
    """The steps, with a progress bar on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, highlight=False)
    hidden = not console.is_terminal
    yield from track(steps, description=what, console=console, transient=True, disable=hidden)
