"""Options of the commands that work on trained models: KEY=VALUE, no Hydra but for the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SWITCH = ("true", "false")


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        default: what stands for it when it is not given.
        words: what it may be; anything, if empty.
        least: of whole numbers, the smallest; None if it is no number.
    """

    default: str | None = None
    words: tuple[str, ...] = ()
    least: int | None = None

    def read(self, key: str, value: str | None) -> str | int | None:
        """The value.

        Raises:
            ValueError: if it is none of the words, or no such number.
        """
        if self.words and value not in self.words:
            raise ValueError(f"{key} must be one of {', '.join(self.words)}; got {value!r}.")
        if self.least is None or value is None:
            return value
        if not (value.isdecimal() and int(value) >= self.least):
            raise ValueError(f"{key} must be a whole number >= {self.least}; got {value!r}.")
        return int(value)


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


def read_options(
    arguments: Sequence[str], own: Mapping[str, Option], *, several: bool = False
) -> Asked:
    """Sort the arguments of a command.

    Args:
        arguments: KEY=VALUE with ckpt, an option of the command, or a data key.
        own: the options of the command.
        several: whether ckpt may be given more than once.

    Raises:
        ValueError: if an argument is none of these, or has a wrong value.
    """
    given, checkpoints, overrides = {}, [], []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "ckpt" and value:
            checkpoints.append(value)
        elif key in own and equals:
            given[key] = value
        elif equals and (key == "data" or key.startswith(("data.", "data/"))):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with ckpt, {', '.join(own)}, "
                "or data keys."
            )
    if not checkpoints or (len(checkpoints) > 1 and not several):
        raise ValueError(
            f"ckpt must name {'at least ' * several}one run folder or checkpoint, as in "
            f"ckpt=runs/NAME/DATE; got {len(checkpoints)}."
        )
    options = {key: option.read(key, given.get(key, option.default)) for key, option in own.items()}
    return Asked(checkpoints, options, overrides)
