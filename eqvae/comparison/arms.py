"""The arms of a comparison: ways to put the symmetry in, each described by its own file and nowhere else.

`configs/arm/<name>.yaml` chooses the model and the objective, and says under the key `arm` what a comparison
needs to know of it:

    arm:
      label: build the symmetry in hard, by equivariant layers   # the recommendation, in words
      kind: hard                    # where the symmetry comes from, see KINDS
      colour: "#a50f15"             # in every figure
      order: 180                    # place in tables and figures, rising
      widths: [model.encoder.hidden, model.decoder.hidden]       # see `eqvae.comparison.sizes.fit_widths`
      latent: [4, 2, 2, 2, 2]       # multiplicities: 20 coordinates beside the position, for every arm
      pilot: 3.0e-2                 # learning rate with which the chooser tries it; left out: not tried

The latents were chosen by validation ELBO on the seed of the tuning (100), which no result uses. The files
are read as they are, without composing them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from eqvae import config

KINDS = {  # where the symmetry comes from
    "none": "nothing",
    "data": "images in other poses",
    "soft": "a penalty on a network that knows no symmetry",
    "relaxed": "layers that may break it at a price",
    "hard": "layers that obey it",
}
_CHOICES = ("model", "objective")  # what every arm chooses in its defaults


@dataclass(frozen=True)
class Arm:
    """What a comparison knows of an arm; the attributes are the keys of its file.

    Attributes:
        name: of the file, the choice behind `arm=`.
        label: what it does, as advice to the user.
        kind: one of `KINDS`.
        colour: in figures, as "#rrggbb".
        order: place among the arms.
        widths: keys that set the size of encoder and decoder, see `eqvae.comparison.sizes.fit_widths`.
        latent: multiplicities of its latent in comparisons.
        pilot: learning rate of the chooser's pilots; None if it does not try this arm.
    """

    name: str
    label: str
    kind: str
    colour: str
    order: float
    widths: tuple[str | Mapping[str, float], ...]
    latent: tuple[int, ...]
    pilot: float | None = None


def arms() -> dict[str, Arm]:
    """The arms in configs/arm by name, in their order.

    Raises:
        ValueError: see `load_arms`.
    """
    return load_arms(Path(config.CONFIG_DIR) / "arm")


@cache
def load_arms(folder: Path) -> dict[str, Arm]:
    """The arms in a folder by name, in their order; a folder is read once.

    Raises:
        ValueError: if a file lacks a part, or a part has a value that it can't have.
    """
    found = [_read(file) for file in sorted(folder.glob("*.yaml"))]
    return {arm.name: arm for arm in sorted(found, key=lambda arm: (arm.order, arm.name))}


def of_kind(*kinds: str) -> list[str]:
    """Names of the arms of some kinds, in order."""
    return [arm.name for arm in arms().values() if arm.kind in kinds]


def pilots() -> dict[str, float]:
    """By name of each arm that the chooser tries its learning rate, in order."""
    return {arm.name: arm.pilot for arm in arms().values() if arm.pilot is not None}


def _read(file: Path) -> Arm:
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    defaults = [key for entry in content.get("defaults") or () for key in _keys(entry)]
    for part in _CHOICES:
        if f"override /{part}" not in defaults:
            raise ValueError(
                f"{file} must choose its {part}: a line '- override /{part}: CHOICE' under defaults."
            )
    known = [field.name for field in fields(Arm)[1:]]
    given = content.get("arm")
    if not isinstance(given, dict):
        raise ValueError(f"{file} must describe the arm under the key arm: {', '.join(known)}.")
    for key in given:
        if key not in known:
            raise ValueError(f"{file} has an unknown part arm.{key}; known are {', '.join(known)}.")
    for key, (rule, holds) in _RULES.items():
        if key not in given or not holds(given[key]):
            got = f"; got {given[key]!r}" if key in given else ""
            raise ValueError(f"{file} must give arm.{key}, {rule}{got}.")
    rate = given.get("pilot")
    if rate is not None and not (_is_number(rate) and rate > 0):
        raise ValueError(f"{file} must give arm.pilot as a learning rate above 0; got {rate!r}.")
    lists = {key: tuple(given[key]) for key in ("widths", "latent")}
    return Arm(name=file.stem, **{**given, **lists})


def _keys(entry: Any) -> Iterable[str]:
    return entry if isinstance(entry, dict) else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(value: Any, *kinds: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, kinds) for v in value)


_RULES = {
    "label": ("what it does in words", lambda v: isinstance(v, str) and v != ""),
    "kind": (f"one of {', '.join(KINDS)}", lambda v: isinstance(v, str) and v in KINDS),
    "colour": (
        "its colour in figures as '#rrggbb'",
        lambda v: isinstance(v, str) and re.fullmatch("#[0-9a-fA-F]{6}", v) is not None,
    ),
    "order": ("a number, its place in tables and figures", _is_number),
    "widths": (
        "the keys of its size, encoder then decoder, such as [model.encoder.width, model.decoder.width]",
        lambda v: _is_list_of(v, str, dict),
    ),
    "latent": (
        "the multiplicities of its latent, such as [4, 2, 2, 2, 2]",
        lambda v: _is_list_of(v, int),
    ),
}
