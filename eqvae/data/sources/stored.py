"""What sources of the user's files share: grey values, classes, and settings that are kept with the run."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.data.grey import Grey
from eqvae.data.images import listing

_LOOKED_AT = 500  # images, for pixels out of range
_MANY = 0.02  # of the pixels


def brightness(values: np.ndarray, grey: Grey) -> tuple[Tensor, dict[str, Any], list[str]]:
    """Images (N, C, H, W) in [0, 1], the settings that read others in the same way, and lines that say so.

    Raises:
        ValueError: if the grey values have no order, see `Grey`.
    """
    chosen = grey.settled(values)
    images = torch.from_numpy(np.ascontiguousarray(chosen.read(values)))
    said = []
    usual = values.dtype == np.uint8 or values.dtype.kind in "bf"
    if not (usual and chosen.normalise == "dtype" and not chosen.invert):
        said.append(chosen.described(values.dtype))
    share = chosen.clipped(values[:: max(1, len(values) // _LOOKED_AT)]) if len(values) else 0.0
    if share > _MANY:
        said.append(
            f"grey values: {100 * share:.0f} % of the pixels lie outside {chosen.low:g} to {chosen.high:g} "
            "and are cut off: grey.low and grey.high of data.source say what becomes 0 and 1"
        )
    settings = {"grey": {"_target_": "eqvae.data.Grey", **asdict(chosen)}}
    return images, settings, said


def numbered(
    names: Sequence[str | None], classes: Sequence[str] | None
) -> tuple[Tensor, tuple[str, ...], list[str]]:
    """Numbers of classes by name, the names by number, and lines about unknown ones.

    Args:
        names: of each image's class, None where unknown.
        classes: names that have a number already, in their order; new ones follow them.
    """
    found = sorted({str(name) for name in names if name is not None})
    known = list(map(str, classes or ()))
    new = [name for name in found if name not in known]
    said = []
    if classes is not None and new:
        said.append(f"classes that the run did not know: {listing(new)}")
    every = [*known, *new]
    number = {name: i for i, name in enumerate(every)}
    labels = [-1 if name is None else number[str(name)] for name in names]
    return torch.tensor(labels, dtype=torch.int64), tuple(every), said


def absolute(path: str | Path) -> str:
    """A path that means the same file wherever the run is looked at from."""
    return str(Path(path).expanduser().resolve())
