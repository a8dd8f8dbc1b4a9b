"""KEY=VALUE as the user types it, in Hydra's grammar.

Hydra reads a value by a grammar of its own: commas sweep, brackets make lists, digits numbers, and = or a
letter beyond ASCII is a mistake. Paths and names mean what is typed, so they are quoted for it; so is every
other value that the grammar can't read. A value that the user has quoted for Hydra stays as it is.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

PATHS = (
    *("run_dir", "resume", "results", "work"),
    *(f"data.source.{key}" for key in ("path", "root", "masks", "passthrough", "pixels")),
    *(f"data.source.{key}" for key in ("topology", "test", "folder")),  # of structures
)
NAMES = (
    "name",
    *(f"data.source.{key}" for key in ("image", "label", "group", "mask", "key", "field")),
    *(f"data.source.{key}" for key in ("page", "x", "y", "diameter", "angle", "centres")),
    *(f"data.source.{key}" for key in ("atom", "chains", "element", "molecule")),
    *(f"logger.{key}" for key in ("project", "entity", "group")),
)
_WITH_VALUE = (  # Hydra's own options whose value is the next word
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--info", "-i", "--experimental-rerun"),
)


def as_typed(arguments: Sequence[str]) -> list[str]:
    """The arguments, such that Hydra reads every value as it was typed.

    Args:
        arguments: KEY=VALUE, ~KEY and Hydra's own options. With -m, commas separate runs, also in paths
            and names, unless the whole is a path that exists.

    Raises:
        ValueError: if one is nothing of these, or has several values without -m.
    """
    sweep = bool({"-m", "--multirun"} & set(arguments))
    written = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        of_hydra = argument.startswith("-") or before in _WITH_VALUE
        written.append(argument if of_hydra else _written(argument, sweep))
    return written


def values(overrides: Sequence[str]) -> dict[str, Any]:
    """Key -> value of overrides that set one, as typed.

    Raises:
        ValueError: if one does anything else, such as ~KEY.

    Example:
        >>> values(["optimizer.lr=1e-3", "data.source.path=a,b.npz"])
        {'optimizer.lr': 0.001, 'data.source.path': 'a,b.npz'}
    """
    found = {}
    for override, written in zip(overrides, as_typed(overrides), strict=True):
        parsed = _parsed(written)
        if parsed is None or parsed.is_delete():
            raise ValueError(f"{override!r} must be KEY=VALUE here.")
        found[parsed.key_or_group] = parsed.value()
    return found


def expanded(path: str) -> str:
    """The path with a leading ~ or ~user as a home folder, which no shell does behind `KEY=`."""
    return os.path.expanduser(path)


def _written(argument: str, sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    bare = key.lstrip("+")
    if equals and bare in (*PATHS, *NAMES) and value != "null":
        if not value and bare in PATHS:
            raise ValueError(f"{key} must be a path; got nothing. Leave it out for the default.")
        return f"{key}={_text(value, is_path=bare in PATHS, sweep=sweep)}"
    parsed = _parsed(argument)
    if parsed is None and equals and not key.startswith("~"):
        argument = f"{key}={_quoted(value)}"
        parsed = _parsed(argument)
    if parsed is None or not bare:
        raise ValueError(
            f"{(key if equals else argument)!r} is no key: give KEY=VALUE, as in "
            "trainer.max_epochs=5; --help names the keys."
        )
    if parsed.is_sweep_override() and not sweep:
        raise ValueError(
            f"{key} must have one value; got {value!r}. With -m each of several is a run of its own; "
            f"a list is written {key}=[{value}]."
        )
    return argument


def _text(value: str, *, is_path: bool, sweep: bool) -> str:
    if value[:1] in ("'", '"') and _parsed(f"key={value}") is not None:
        return value
    whole = not sweep or (is_path and os.path.exists(expanded(value)))
    parts = [value] if whole else value.split(",")
    return ",".join(_quoted(expanded(part) if is_path else part) for part in parts)


def _quoted(text: str) -> str:
    # in Hydra's grammar backslashes escape only before a quote
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"


def _parsed(argument: str) -> Any | None:
    """What Hydra makes of it; None if its grammar does not allow it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None
