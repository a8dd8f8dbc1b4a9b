"""How long loops show their progress: a function that wraps their steps."""

from collections.abc import Callable, Iterable

Watch = Callable[[Iterable, str], Iterable]  # (steps, what) -> the steps, with a progress bar


def unwatched(steps: Iterable, what: str) -> Iterable:
    """The steps as they are."""
    return steps
