"""Which arguments a constructor has, and which of them must be given."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "???"  # stands for a value that must be given


def check_names(
    target: Any,
    name: str,
    given: Mapping[str, Any],
    extra: Mapping[str, Any],
    path: str,
    *,
    waits: bool,
) -> None:
    """Refuse arguments that the target does not have, and missing ones.

    Args:
        target: class or function.
        name: as it was written.
        given: its arguments in the configuration.
        extra: its other arguments.
        path: where in the configuration the target stands.
        waits: whether further arguments come later.

    Raises:
        ValueError: with the path of the argument.
    """
    parameters = inspect.signature(target).parameters
    accepted = [
        key for key, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in given.items():
        if key in extra:
            raise ValueError(f"{joined(path, key)} is set by eqvae itself. Leave it out.")
        if key not in accepted and not open_ended:
            raise ValueError(
                f"{joined(path, key)} is not an argument of {name}{closest(key, accepted)} "
                f"Accepted: {', '.join(accepted)}."
            )
        if isinstance(value, str) and value == MISSING:
            raise ValueError(f"{joined(path, key)} must be given: {name} needs it.")
    needed = [key for key in accepted if parameters[key].default is inspect.Parameter.empty]
    missing = [key for key in needed if key not in given and key not in extra]
    if missing and not waits:
        raise ValueError(f"{joined(path, missing[0])} must be given: {name} needs it.")


def closest(name: Any, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown name."""
    match = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {match[0]!r}?" if match else "."


def joined(path: str, key: Any) -> str:
    """The dotted path of a key."""
    return f"{path}.{key}" if path else str(key)
