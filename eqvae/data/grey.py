"""What stored grey values mean: from the numbers of a file to brightness in [0, 1].

    y = clip((x' - low) / (high - low), 0, 1),    1 - y where objects are dark on a bright ground

with x' = x, or each image on its own first: (x - mean) / std of all its pixels (zscore) or of those in the
ring outside the object (background). What `auto` chooses is settled once, on the images that a model is
trained on, and kept: other images that it is shown later are read in the same way.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from eqvae.domains.grid import border

_MODES = ("auto", "dtype", "range", "percentile", "zscore", "background")
_BITS = (1, 8, 10, 12, 14, 16)  # of cameras and files
_TAILS = (0.1, 99.9)  # percentiles
_ROUNDING = 1e-3  # beyond [0, 1], of the range
_DARK = 1 / 16  # of the range: nothing reaches beyond, so that it is not that of the numbers
_SAMPLE = 4_000_000  # pixels that percentiles are found from
_GROUND = 0.3  # a bright ground is at least so bright
_CLEAR = 6.0  # standard errors by which objects are darker than the ground
_FEWEST = 10  # images that tell
_LEAST = 0.005  # the same, of the range


@dataclass(frozen=True)
class Grey:
    """How grey values are read.

    Args:
        normalise: "dtype" takes the range of the numbers (unsigned whole numbers from 0 to their largest,
            floats from 0 to 1), "range" that of the images, "percentile" from the 0.1st to the 99.9th;
            "zscore" and "background" bring each image to mean 0 and standard deviation 1 first, of all
            pixels or of the ring outside the object. "auto" takes the camera's bits of whole numbers, floats
            in [0, 1] as they are, and percentiles of what is neither.
        low, high: the numbers that become 0 and 1; None finds them.
        invert: whether objects are dark on a bright ground, True or False, or "auto".

    Raises:
        ValueError: if a value is none of these, or low is not below high.
    """

    normalise: str = "auto"
    low: float | None = None
    high: float | None = None
    invert: bool | str = "auto"

    def __post_init__(self):
        if self.normalise not in _MODES:
            raise ValueError(
                f"normalise must be one of {', '.join(_MODES)}; got {self.normalise!r}."
            )
        if self.invert not in (True, False, "auto"):
            raise ValueError(f"invert must be true, false or auto; got {self.invert!r}.")
        for name, value in (("low", self.low), ("high", self.high)):
            known = value is None or (isinstance(value, int | float) and math.isfinite(value))
            if not known:
                raise ValueError(
                    f"{name} must be a finite number, or null to find it; got {value!r}."
                )
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must be below high; got {self.low} and {self.high}.")

    @property
    def each_alone(self) -> bool:
        """Whether the numbers of an image are compared with each other only."""
        return self.normalise in ("zscore", "background")

    def settled(self, values: np.ndarray, whole: tuple[float, float] | None = None) -> "Grey":
        """The same with everything chosen by these images (N, C, H, W).

        Args:
            values: the images, or a fair sample of them.
            whole: the smallest and largest finite number of all images; None where `values` are all.

        Raises:
            ValueError: if the numbers have no order (complex, text, objects).
        """
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"grey values must be whole numbers or floats; got {values.dtype}. Convert them."
            )
        mode, low, high, known = self.normalise, self.low, self.high, _finite(values)
        if not known.size:  # refused later, with a reason
            return Grey("dtype", 0.0, 1.0, False)
        if low is None or high is None:
            mode, found = self._range(values, known, whole or (known.min(), known.max()))
            low = found[0] if low is None else low
            high = found[1] if high is None else high
            if not low < high:  # images of one value: refused later, with their names
                high = low + 1.0
        chosen = Grey(mode, float(low), float(high), self.invert)
        if self.invert == "auto":
            few = values[:: max(1, len(values) // 2000)]
            dark = is_dark_on_bright(replace(chosen, invert=False).read(few))
            chosen = replace(chosen, invert=dark)
        return chosen

    def read(self, values: np.ndarray) -> np.ndarray:
        """Brightness in [0, 1] of images (N, C, H, W), float32; NaN where there is no finite number.

        Raises:
            ValueError: if something is still to be chosen: see `settled`.
        """
        if self.low is None or self.high is None or self.invert == "auto":
            raise ValueError("grey values can be read once they are settled. Call settled first.")
        y = self._prepared(values)
        y = (y - np.float32(self.low)) / np.float32(self.high - self.low)
        if values.dtype.kind == "f":
            y[np.isinf(y)] = np.nan
        np.clip(y, 0, 1, out=y)
        return 1 - y if self.invert else y

    def clipped(self, values: np.ndarray) -> float:
        """Share of the pixels that lie outside low and high."""
        x = self._prepared(values)
        margin = _ROUNDING * (self.high - self.low)
        outside = (x < self.low - margin) | (x > self.high + margin)
        return float(outside.mean())

    def described(self, dtype: np.dtype) -> str:
        """What was chosen, in a line."""
        how = {"zscore": ", each image standardised", "background": ", each by its own ground"}
        line = f"grey values: {dtype}{how.get(self.normalise, '')}, {self.low:g} to {self.high:g}"
        return line + (", inverted (dark objects on a bright ground)" if self.invert else "")

    def _range(
        self, values: np.ndarray, known: np.ndarray, whole: tuple[float, float]
    ) -> tuple[str, tuple[float, float]]:
        """The mode, and the numbers that become 0 and 1, of images and their finite pixels."""
        mode = self.normalise
        if mode == "range":
            return mode, (float(whole[0]), float(whole[1]))
        if mode == "dtype":
            return mode, (0.0, _largest(values.dtype))
        if mode != "auto":
            return mode, _tails(_finite(self._prepared(values)))
        return _chosen(known, float(whole[0]), float(whole[1]))

    def _prepared(self, values: np.ndarray) -> np.ndarray:
        """float32, each image standardised if that is asked for."""
        x = values.astype(np.float32)
        if not self.each_alone:
            return x
        inside = x.reshape(*x.shape[:2], -1)
        if self.normalise == "background":
            inside = inside[..., ring(*x.shape[2:])]
        mean, std = inside.mean(2), inside.std(2)
        return (x - mean[..., None, None]) / np.maximum(std, 1e-12)[..., None, None]


def is_dark_on_bright(images: np.ndarray) -> bool:
    """Whether objects are darker than the ground they lie on, in images (N, C, H, W) in [0, 1].

    The ground of an image is the mean of its border. Objects are dark where images are darker than their
    ground on average, by more than six standard errors, and the ground itself is not dark.
    """
    x = images.mean(1).astype(np.float64)
    ground = border(torch.from_numpy(x)).mean(1).numpy()
    apart = x.mean((1, 2)) - ground
    apart, ground = apart[np.isfinite(apart)], ground[np.isfinite(apart)]
    if len(apart) < _FEWEST or ground.mean() < _GROUND:
        return False
    error = apart.std(ddof=1) / math.sqrt(len(apart))
    return bool(apart.mean() < -max(_LEAST, _CLEAR * error))


def ring(height: int, width: int) -> np.ndarray:
    """Pixels outside the largest disc that fits, (H * W,) bool."""
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return (radius > min(height, width) / 2).ravel()


def _chosen(values: np.ndarray, low: float, high: float) -> tuple[str, tuple[float, float]]:
    """What `auto` takes, of finite pixels that reach from low to high."""
    if values.dtype.kind == "f":
        if low >= -_ROUNDING and high <= 1 + _ROUNDING:
            found = "dtype", (0.0, 1.0)
        else:
            return "percentile", _tails(values)
    elif low < 0:
        return "percentile", _tails(values)
    else:
        bits = [b for b in _BITS if high < 2**b] if values.dtype.itemsize > 1 or high <= 1 else [8]
        found = "dtype", (0.0, float(2 ** bits[0] - 1) if bits else high)
    top = _tails(values)[1]
    return ("percentile", (0.0, top)) if 0 < top < _DARK * found[1][1] else found


def _tails(values: np.ndarray) -> tuple[float, float]:
    flat = values.reshape(-1)
    if flat.size > _SAMPLE:  # at random: a step could hit the same column of every image
        flat = flat[np.random.default_rng(0).integers(0, flat.size, _SAMPLE)]
    low, high = np.percentile(flat if flat.dtype.kind in "iu" else flat.astype(np.float64), _TAILS)
    return float(low), float(high)


def _finite(values: np.ndarray) -> np.ndarray:
    """The pixels that are numbers."""
    if values.dtype.kind != "f":
        return values
    there = np.isfinite(values)
    return values if there.all() else values[there]


def _largest(dtype: np.dtype) -> float:
    return 1.0 if dtype.kind in "bf" else float(np.iinfo(dtype).max)
