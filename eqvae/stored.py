"""What a file says that someone else may have written: measured first, then read, as plain values only.

A stored configuration or table of numbers is text (`read_yaml`, `read_json`) or part of a checkpoint
(`check_plain`). It holds nested dicts and lists of numbers, texts, true, false and null: no tags, no
anchors, which a few lines can multiply without end, and no interpolations such as ${oc.env:HOME}, which
would be filled in on the machine of whoever reads it.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

MOST_BYTES = {"yaml": 1 << 20, "json": 1 << 26}  # of a file
MOST_NODES = 50_000  # values of a configuration, inner ones too
DEEPEST = 50  # levels of nesting
LONGEST = 30_000  # characters of one text
_LARGEST = 2**64  # of whole numbers


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A stored configuration.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, too large, or holds anything but plain values by name.
    """
    import yaml

    path = Path(path)
    text = _text(path, "yaml")
    try:
        _check_events(text, path)
        content = yaml.load(text, Loader=_loader())  # noqa: S506, a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, _Refused):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise _Refused(
            f"{path} is damaged or no YAML ({_one_line(problem)}{where}). "
            "Put back the file that the run wrote."
        ) from error
    if not isinstance(content, dict):
        raise _Refused(
            f"{path} is damaged: it must hold keys with values, and holds "
            f"{'nothing' if content is None else 'none'}. Put back the file that the run wrote."
        )
    check_plain(content, str(path))
    return content


def read_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, too large or too deep.
    """
    path = Path(path)
    try:
        return json.loads(_text(path, "json"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, _Refused):
            raise
        what = "nested too deeply" if isinstance(error, RecursionError) else _one_line(error)
        raise _Refused(f"{path} is damaged or no JSON ({what}). Write it anew.") from error


def plain_json(text: bytes, place: str) -> dict[str, Any]:
    """A configuration that is kept as JSON within another file.

    Args:
        text: as it was read.
        place: where it was found, for messages.

    Raises:
        ValueError: if it is damaged, too large, or no table of plain values.
    """
    if len(text) > MOST_BYTES["yaml"]:
        raise _Refused(f"{place} is refused: its description is larger than 1 MiB.")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"{place} is damaged: its description is no JSON. Write it anew.") from error
    if not isinstance(content, dict):
        raise _Refused(f"{place} is damaged: its description holds no keys. Write it anew.")
    check_plain(content, place)
    return content


def check_plain(config: Any, place: str, key: str = "") -> None:
    """Refuse what is more than nested dicts, lists, numbers and texts of sensible size.

    Args:
        config: as it was read.
        place: where it was found, for messages.
        key: of the configuration within that place.

    Raises:
        ValueError: with the place and the key.
    """
    for count, (path, value, depth) in enumerate(nodes(config, key)):
        where = f"{path or 'it'} of {place}" if path else place
        if count > MOST_NODES:
            raise _Refused(f"{place} is refused: it holds more than {MOST_NODES:,} values.")
        if depth > DEEPEST:
            raise _Refused(f"{place} is refused: it is nested deeper than {DEEPEST} levels.")
        if isinstance(value, dict):
            for name in value:
                if not isinstance(name, str | int | float | bool | None):
                    raise _Refused(f"{where} is refused: a key must be text; got {_kind(name)}.")
                if isinstance(name, str) and "${" in name:
                    raise _Refused(_interpolation(where, name))
        elif isinstance(value, str):
            if len(value) > LONGEST:
                raise _Refused(f"{where} is refused: it is longer than {LONGEST:,} characters.")
            if "${" in value:
                raise _Refused(_interpolation(where, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            if abs(value) >= _LARGEST:
                raise _Refused(f"{where} is refused: a whole number must be below 2^64.")
        elif not isinstance(value, list | tuple | float | bool | None):
            raise _Refused(
                f"{where} is refused: it must be a number, text, list or table; got {_kind(value)}."
            )


def nodes(config: Any, key: str = "") -> Iterator[tuple[str, Any, int]]:
    """Every value with its dotted key and its depth, outer ones first; as many times as it is referred to."""
    waiting = [(key, config, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value, depth
        inner: Any = ()
        if isinstance(value, dict):
            inner = value.items()
        elif isinstance(value, list | tuple):
            inner = enumerate(value)
        parts = [(f"{path}.{k}" if path else str(k), part, depth + 1) for k, part in inner]
        waiting += reversed(parts)


class _Refused(ValueError):
    """Of this module, so that it is not taken for a fault of a parser."""


def _text(path: Path, kind: str) -> str:
    most = MOST_BYTES[kind]
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _Refused(f"{path} is refused: it is larger than {most >> 20} MiB.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(f"{path} is damaged: it is no text in UTF-8.") from error


def _check_events(text: str, path: Path) -> None:
    """Refuse tags, anchors and depth before anything is made of the text."""
    import yaml

    depth = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for count, event in enumerate(yaml.parse(text, Loader=loader)):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(
                f"{path} is refused: line {line} has a YAML anchor or alias, which no stored configuration "
                "needs. Write the value out."
            )
        if getattr(event, "tag", None):
            raise _Refused(
                f"{path} is refused: line {line} has the YAML tag {str(event.tag)[:80]!r}; only plain values "
                "are read."
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > 2 * MOST_NODES:
            raise _Refused(
                f"{path} is refused: it holds more than {MOST_NODES:,} values or {DEEPEST} levels."
            )
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST:
            raise _Refused(f"{path} is refused: line {line} is longer than {LONGEST:,} characters.")


@cache
def _loader() -> Any:
    """Tells numbers and texts apart as OmegaConf, which wrote them; a key that stands twice is refused."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
            if len(names) > len(set(names)):
                twice = next(name for name in names if names.count(name) > 1)
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {twice!r} stands twice", node.start_mark
                )
            return super().construct_mapping(node, deep=deep)

    Loader.yaml_implicit_resolvers = {
        letter: [(tag, regex) for tag, regex in known if not tag.endswith((":timestamp", ":merge"))]
        for letter, known in Loader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
    )
    return Loader


def _interpolation(where: str, value: str) -> str:
    return (
        f"{where} is refused: {value[:80]!r} asks for a value from elsewhere, and a stored configuration "
        "holds its values. Write the value itself."
    )


def _kind(value: Any) -> str:
    return type(value).__name__


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())[:200]
