"""How far masks overlap.

    Dice = 2 |A and B| / (|A| + |B|),    IoU = |A and B| / |A or B| = Dice / (2 - Dice)

Both are 1 where the masks are the same, two empty ones among them, and 0 where they share no pixel.

References: Dice, Measures of the amount of ecologic association between species (1945); Jaccard, The
distribution of the flora in the alpine zone (1912).
"""

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "dice-and-iou"


def overlap_scores(
    predicted: ArrayLike, truth: ArrayLike, **draws: Unpack[Draws]
) -> dict[str, Score]:
    """Dice and IoU of masks, means over images.

    Args:
        predicted: probabilities or 0 and 1, (N, 1, H, H); the object is where they exceed 1/2.
        truth: the same of the true masks.
        **draws: see `Draws`.

    Returns:
        "dice" and "iou"; higher is better, 1 is perfect. The floor is that of the masks of other images in
        the same place.

    Raises:
        ValueError: if the masks differ in shape, or are not finite.
    """
    resampling = Resampling.of(draws)
    a, b = (as_array(m, name, 4) > 0.5 for m, name in ((predicted, "predicted"), (truth, "truth")))
    n = check_lengths(predicted=a, truth=b, groups=resampling.groups)
    if a.shape != b.shape:
        raise ValueError(f"masks must be of one shape; got {a.shape} and {b.shape}.")
    others = np.roll(np.arange(n), max(1, n // 2))
    found = {}
    for name, by_image in (("dice", dice), ("iou", iou)):
        floor = float(by_image(a, b[others]).mean()) if n > 1 else None
        known = {"floor": floor, "ceiling": 1.0, "page": PAGE}
        found[name] = Score.of_mean(by_image(a, b), resampling, **known)
    return found


def dice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each pair of boolean masks (N, ...), (N,)."""
    shared, sizes = _sizes(a & b), _sizes(a) + _sizes(b)
    return np.where(sizes > 0, 2 * shared / np.maximum(sizes, 1), 1.0)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each pair of boolean masks (N, ...), (N,)."""
    shared, either = _sizes(a & b), _sizes(a | b)
    return np.where(either > 0, shared / np.maximum(either, 1), 1.0)


def _sizes(masks: np.ndarray) -> np.ndarray:
    return masks.reshape(len(masks), -1).sum(axis=1)
