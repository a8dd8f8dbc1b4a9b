"""The grey beyond images: one number for all channels, or one for each."""

import math
from collections.abc import Sequence

from torch import Tensor


def checked_ground(ground: Sequence[float]) -> tuple[float, ...]:
    """The grey values as numbers.

    Raises:
        ValueError: if one is not finite.
    """
    grey = tuple(map(float, ground))
    if not all(map(math.isfinite, grey)):
        raise ValueError(
            f"ground must be finite grey values, one for all channels or for each; got {grey}."
        )
    return grey


def ground_like(ground: Sequence[float], x: Tensor) -> Tensor:
    """The grey to subtract from images (B, C, H, W): (C, 1, 1), or (1, 1, 1).

    Raises:
        ValueError: if there are other channels than grey values.
    """
    if len(ground) not in (0, 1, x.shape[1]):
        raise ValueError(
            f"ground must be one number, or one for each of {x.shape[1]} channels; got "
            f"{list(ground)}. Use .black for what is no image."
        )
    return x.new_tensor(ground or (0.0,)).view(-1, 1, 1)
