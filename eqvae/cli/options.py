"""Options of the commands that work on trained models: KEY=VALUE, no Hydra but for the data."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eqvae.overrides import expanded

SWITCH = ("true", "false")


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        default: what stands for it when it is not given.
        words: what it may be; anything, if empty.
        least: of whole numbers, the smallest; None if it is no number.
        parse: (key, text) -> the value, for everything else; it raises a ValueError of one sentence.
    """

    default: str | None = None
    words: tuple[str, ...] = ()
    least: int | None = None
    parse: Callable[[str, str], Any] | None = None

    def read(self, key: str, value: str | None) -> Any:
        """The value.

        Raises:
            ValueError: if it is none of the words, or no such number.
        """
        if self.words and value not in self.words:
            raise ValueError(f"{key} must be one of {', '.join(self.words)}; got {value!r}.")
        if self.parse is not None:
            return None if value is None else self.parse(key, value)
        if self.least is None or value is None:
            return value
        if not (value.isdecimal() and int(value) >= self.least):
            raise ValueError(f"{key} must be a whole number >= {self.least}; got {value!r}.")
        return int(value)


def numbers(what: str, count: int) -> Callable[[str, str], tuple[float, ...]]:
    """Reads `count` finite numbers joined by commas; `what` says what they are."""

    def read(key: str, text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count or not all(map(math.isfinite, found)):
            raise ValueError(f"{key} must be {what}; got {text!r}.")
        return found

    return read


def wholes(what: str, count: int | None = None) -> Callable[[str, str], tuple[int, ...]]:
    """Reads whole numbers >= 0 joined by commas, `count` of them or at least one."""

    def read(key: str, text: str) -> tuple[int, ...]:
        parts = text.split(",")
        if not all(p.isdecimal() for p in parts) or (count is not None and len(parts) != count):
            raise ValueError(f"{key} must be {what}; got {text!r}.")
        return tuple(map(int, parts))

    return read


def unbracketed(text: str) -> str:
    """A list as it is typed with or without brackets, without them."""
    return text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text


def several(*words: str) -> Callable[[str, str], tuple[str, ...]]:
    """Reads one or some of the words, joined by commas, in brackets or not: a,b or [a,b]."""

    def read(key: str, text: str) -> tuple[str, ...]:
        parts = [part.strip() for part in unbracketed(text).split(",")]
        unknown = [part for part in parts if part not in words]
        if unknown:
            raise ValueError(
                f"{key} must be words out of {', '.join(words)}, joined by commas; got {unknown[0]!r}."
            )
        return tuple(dict.fromkeys(parts))

    return read


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        checkpoints: run folders or checkpoints, at least one.
        options: of the command, by name.
        overrides: what concerns the data.
    """

    checkpoints: list[str]
    options: dict[str, Any]
    overrides: list[str]


def sorted_options(
    arguments: Sequence[str], own: Collection[str], paths: Collection[str] = ()
) -> dict[str, str]:
    """The arguments of a command that has options of its own alone, text by key.

    Args:
        arguments: KEY=VALUE.
        own: keys of the command's options.
        paths: those that are paths, in which ~ and variables stand for what they mean.

    Raises:
        ValueError: if an argument is none of these.
    """
    given = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not (equals and key in own):
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with {', '.join(own)}."
            )
        given[key] = expanded(value) if key in paths else value
    return given


def read_options(
    arguments: Sequence[str],
    own: Mapping[str, Option],
    *,
    several: bool = False,
    optional: bool = False,
) -> Asked:
    """Sort the arguments of a command.

    Args:
        arguments: KEY=VALUE with ckpt, an option of the command, or a data key.
        own: the options of the command.
        several: whether ckpt may be given more than once.
        optional: whether it may be missing.

    Raises:
        ValueError: if an argument is none of these, or has a wrong value.
    """
    given, checkpoints, overrides = {}, [], []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "ckpt" and value:
            checkpoints.append(expanded(value))
        elif key in own and equals:
            given[key] = expanded(value) if key in ("out", "table") else value
        elif equals and (key == "data" or key.startswith(("data.", "data/"))):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with ckpt, {', '.join(own)}, "
                "or data keys."
            )
    if not (checkpoints or optional) or (len(checkpoints) > 1 and not several):
        raise ValueError(
            f"ckpt must name {'at least ' * several}one run folder or checkpoint, as in "
            f"ckpt=runs/NAME/DATE; got {len(checkpoints)}."
        )
    options = {key: option.read(key, given.get(key, option.default)) for key, option in own.items()}
    return Asked(checkpoints, options, overrides)
