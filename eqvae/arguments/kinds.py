"""Whether a value is of the kind that a constructor's annotation says: number, text, choice, list or part."""

import collections.abc
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

from eqvae.arguments.names import joined

_PLAIN = (bool, int, float, str, types.NoneType)
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, set)
_TABLES = (dict, collections.abc.Mapping)


def check_kinds(target: Any, arguments: Mapping[str, Any], path: str) -> None:
    """Compare values with the annotations; an argument without one is left alone.

    Raises:
        ValueError: with the path of the argument, its kinds and its value.
    """
    hints = _hints(target)
    for key, value in arguments.items():
        if key in hints and not _fits(value, hints[key]):
            said = dict.fromkeys(_said(hints[key]))
            shown = repr(value) if _is_plain(value) else f"a {type(value).__name__}"
            shown = " ".join(shown.split())
            raise ValueError(f"{joined(path, key)} must be {' or '.join(said)}; got {shown[:200]}.")


@cache
def _hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if isinstance(target, type) else target)
    except (NameError, TypeError, AttributeError):
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """False where the value certainly is of another kind."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in inner)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if hint in (None, types.NoneType):
        return value is None
    if isinstance(hint, type) and issubclass(hint, int | float | str) and hint in _PLAIN:
        if isinstance(value, bool):
            return hint is bool
        return isinstance(value, (int, float) if hint is float else hint)
    if origin is collections.abc.Callable or hint in (
        collections.abc.Callable,
        typing.Callable,
    ):
        return callable(value)
    kind = origin or hint
    if kind in _LISTS:
        return _is_list_of(value, kind, inner)
    if kind in _TABLES:
        fits = isinstance(value, dict)
        return fits and (not inner or all(_fits(part, inner[1]) for part in value.values()))
    if kind is Path:
        return isinstance(value, str | Path)
    if isinstance(kind, type) and kind is not object:
        plain = isinstance(value, (*_PLAIN, list, tuple, dict))
        return isinstance(value, kind) if plain and not _is_protocol(kind) else not plain
    return True


def _is_list_of(value: Any, kind: Any, inner: tuple) -> bool:
    if not isinstance(value, list | tuple):
        return not isinstance(value, (*_PLAIN, dict))
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(_fits, value, inner))
    return not inner or all(_fits(part, inner[0]) for part in value)


def _is_protocol(kind: type) -> bool:
    return getattr(kind, "_is_protocol", False)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, _PLAIN)


def _said(hint: Any) -> list[str]:
    """The kinds of an annotation in words, as a configuration writes them."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return [word for part in inner for word in _said(part)]
    if origin is Literal:
        return [repr(choice) for choice in inner]
    if hint in (None, types.NoneType):
        return ["null"]
    kind = origin or hint
    if kind is collections.abc.Callable:
        return ["a part that waits for arguments (_target_ with _partial_: true)"]
    if kind in _LISTS:
        if kind is tuple and inner and inner[-1] is not Ellipsis:
            return [
                f"a list of {len(inner)} values ({', '.join(w for h in inner for w in _said(h))})"
            ]
        return [f"a list of {' or '.join(_said(inner[0]))}" if inner else "a list"]
    if kind in _TABLES:
        return ["a table of names with values"]
    if kind in _PLAIN:
        return [kind.__name__]
    return [f"a {getattr(kind, '__name__', kind)} (a table with _target_)"]
