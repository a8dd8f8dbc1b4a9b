"""Layouts of detectors: centres of pixels, in any unit and turned by any angle, found to be a hexagonal
lattice.

Lengths and directions between neighbours give spacing and orientation, which number the pixels; then

    z_p = o + a e^{i alpha} w_p,    w_p = q + r e^{2 pi i / 3},

is fitted to all centres at once (z = x + i y), until the whole numbers (q, r) stay. What is left over says
whether it is a lattice. Pixels may be missing anywhere.
"""

import math
from dataclasses import dataclass

import numpy as np

from eqvae.domains.hexagonal import SAME_BAND, HexagonalGrid

_E2 = np.exp(2j * math.pi / 3)
_ROUNDS = 10


@dataclass(frozen=True)
class HexagonalLayout:
    """Where the pixels of a detector lie on a hexagonal lattice.

    Attributes:
        axial: (q, r) of each pixel from the middle of the lattice, (P, 2) int64.
        spacing: of neighbours, in the unit of the centres.
        orientation: by which the lattice's rows are turned from the x axis, radians, -pi/6 to pi/6.
        origin: of the middle, in the unit of the centres.
        off: how far the worst pixel lies from its place, in spacings.
    """

    axial: np.ndarray
    spacing: float
    orientation: float
    origin: tuple[float, float]
    off: float

    @classmethod
    def of(cls, centres: np.ndarray, tolerance: float = 0.1) -> "HexagonalLayout":
        """The layout of pixels with these centres (P, 2), x to the right and y up.

        Args:
            centres: of the pixels, in any unit.
            tolerance: how far a pixel may lie from its place, in spacings.

        Raises:
            ValueError: if there are fewer than 7 pixels, two are in one place, or they form no hexagonal
                lattice.
        """
        centres = np.asarray(centres, dtype=np.float64)
        if centres.ndim != 2 or centres.shape[1] != 2 or len(centres) < 7:
            raise ValueError(
                f"centres of pixels must be a table (P, 2) of at least 7; got shape {centres.shape}. "
                "Give x and y of each pixel."
            )
        if not np.isfinite(centres).all():
            raise ValueError("centres of pixels must be finite; some are NaN or infinite.")
        z = centres @ np.array([1, 1j])
        step = _first_step(z)
        w, step, origin = _fitted(z, step)
        away = np.abs(z - origin - step * (w @ np.array([1, _E2]))) / abs(step)
        worst = int(away.argmax())
        if not away[worst] <= tolerance:
            raise ValueError(
                f"centres of pixels form no hexagonal lattice: pixel {worst} lies {away[worst]:.2f} "
                f"spacings beside its place, and tolerance={tolerance:g}. Give all centres in one unit, or "
                "for square pixels use data=npz."
            )
        if len(np.unique(w, axis=0)) < len(w):
            raise ValueError(
                "centres of pixels must differ; two of them are in one place of the lattice. Leave one out."
            )
        middle = _middle(w)
        at = origin + step * (middle @ np.array([1, _E2]))
        return cls(
            w - middle, abs(step), float(np.angle(step)), (at.real, at.imag), float(away[worst])
        )

    @property
    def domain(self) -> HexagonalGrid:
        """The smallest lattice that holds all pixels, rows one pixel apart."""
        return HexagonalGrid(2 * int(np.abs(self.axial).max()) + 1, spacing=SAME_BAND)

    @property
    def pixel_size(self) -> float:
        """Distance of rows, which counts as one pixel, in the unit of the centres."""
        return self.spacing / SAME_BAND

    @property
    def missing(self) -> int:
        """Places without a pixel that have five or six neighbours with one."""
        there = {tuple(p) for p in self.axial.tolist()}
        around = [(1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1)]
        count: dict[tuple[int, int], int] = {}
        for q, r in there:
            for dq, dr in around:
                place = (q + dq, r + dr)
                if place not in there:
                    count[place] = count.get(place, 0) + 1
        return sum(n >= 5 for n in count.values())

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Values of the pixels (N, P) as arrays (N, 1, n, n) of `domain`; others have each image's median."""
        size = self.domain.size
        half = size // 2
        rest = np.median(values, axis=1).astype(values.dtype)
        images = np.empty((len(values), size, size), values.dtype)
        images[:] = rest[:, None, None]
        images[:, half - self.axial[:, 1], half + self.axial[:, 0]] = values
        return images[:, None]


def _first_step(z: np.ndarray) -> complex:
    """A step from a pixel to its neighbour, a mean over all, whichever of the six directions."""
    from scipy.spatial import cKDTree

    tree = cKDTree(np.stack([z.real, z.imag], axis=1))
    nearest = float(np.median(tree.query(tree.data, k=2)[0][:, 1]))
    if not nearest > 0:
        raise ValueError("centres of pixels must differ; most of them are in one place.")
    pairs = tree.query_pairs(1.35 * nearest, output_type="ndarray")
    steps = z[pairs[:, 1]] - z[pairs[:, 0]]
    return np.abs(steps).mean() * np.exp(1j * np.angle((steps**6).sum()) / 6)


def _fitted(z: np.ndarray, step: complex) -> tuple[np.ndarray, complex, complex]:
    """Numbers (P, 2), step and origin, from the middle outwards: errors of the step do not add up."""
    origin = z[np.abs(z - z.mean()).argmin()]
    distance = np.abs(z - origin) / abs(step)
    reach, farthest = 4.0, distance.max()
    for _ in range(100):
        near = distance <= reach
        for _ in range(_ROUNDS):
            before = step, origin
            w = _numbers((z[near] - origin) / step)
            design = np.stack([np.ones(near.sum()), w @ np.array([1, _E2])], axis=1)
            (origin, step), *_ = np.linalg.lstsq(design, z[near], rcond=None)
            if np.allclose(before, (step, origin), rtol=1e-12):
                break
        if reach >= farthest or step == 0:
            break
        reach *= 1.5
    if step == 0:
        raise ValueError("centres of pixels form no hexagonal lattice: they lie on no plane grid.")
    # whichever of the six directions: the one nearest to the x axis
    step = step * np.exp(-1j * math.pi / 3 * round(np.angle(step) / (math.pi / 3)))
    return _numbers((z - origin) / step), step, origin


def _numbers(u: np.ndarray) -> np.ndarray:
    """Nearest lattice points to complex places in spacings: (P, 2) int64."""
    r = u.imag / _E2.imag
    q = u.real + r / 2
    first = np.floor(np.stack([q, r], axis=1))
    best, closest = first, np.full(len(u), np.inf)
    for dq in (0, 1):
        for dr in (0, 1):
            place = first + (dq, dr)
            away = np.abs(place @ np.array([1, _E2]) - u)
            best = np.where((away < closest)[:, None], place, best)
            closest = np.minimum(away, closest)
    return best.astype(np.int64)


def _middle(w: np.ndarray) -> np.ndarray:
    """The point from which the smallest array holds all of them."""
    low, high = w.min(axis=0), w.max(axis=0)
    return (low + high) // 2
