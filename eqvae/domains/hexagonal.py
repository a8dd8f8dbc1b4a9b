"""The hexagonal lattice as a domain: how motions of the plane act on images whose pixels are hexagons.

Sixths of a turn, mirrors and steps from point to point permute the points and are exact. Everything else is
interpolated: linearly on the triangle that a point lies in, cubically along two axes of the lattice, or by
three Fourier shears, each along an axis of the lattice, so that points stay on it (exact for band-limited
images).

With rows one pixel apart, which is the default, points lie 2 / sqrt(3) = 1.155 pixels apart and hold every
frequency below pi, as the square grid does, with 13 % fewer points.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates
from eqvae.domains.ground import GroundedDomain, checked_ground, ground_like
from eqvae.domains.lattice import (
    axial_points,
    in_plane,
    on_lattice,
    steps_from_middle,
    whole_motion,
)
from eqvae.domains.splines import resampled, weights_at
from eqvae.domains.square import shift_lines
from eqvae.symmetry.motions import apply, inverse, motion
from eqvae.symmetry.plane import PlaneMotions

SAME_BAND = 2 / math.sqrt(3)  # pixels: rows one pixel apart
SAME_DENSITY = math.sqrt(SAME_BAND)  # pixels: one point for each square pixel
_EXACT = 1e-6  # radians and steps: closer to a motion of the lattice than this is that motion
_SIXTH = math.pi / 3


@dataclass(frozen=True)
class HexagonalGrid(GroundedDomain):
    """A rhombus of a hexagonal lattice about the image centre, stored as an ordinary array (B, C, size,
    size).

    Columns and rows of the array are axial coordinates, see `lattice.py`. Stored this way a step on the
    lattice is a step in the array, so that a convolution of the array is one of the lattice, any network of
    square arrays takes it, and sixths of a turn are permutations. The price is the rhombus: what lies in
    its two sharp corners, beyond the hexagon of `hexagon()`, leaves it when it is turned, as corners of
    square images do.

    Args:
        size: points along each axis of the lattice; odd, so that one of them is the centre.
        ground: grey beyond the lattice, of all channels or of each; none for 0.
        spacing: of neighbours, pixels. 2 / sqrt(3) holds the frequencies of the square grid; 1.0746 has as
            many points as there are square pixels.

    Raises:
        ValueError: if size is no odd whole number, spacing is not positive, or the ground is no finite
            numbers.

    Example:
        >>> x, grid = torch.rand(1, 1, 9, 9), HexagonalGrid(9)
        >>> sixth, hexagon = motion(angle=math.pi / 3), grid.hexagon()
        >>> y = x * hexagon
        >>> for _ in range(6):
        ...     y = grid.act(sixth, y)
        >>> torch.equal(y, x * hexagon)
        True
    """

    size: int
    ground: Sequence[float] = ()
    spacing: float = SAME_BAND

    def __post_init__(self) -> None:
        object.__setattr__(self, "ground", checked_ground(self.ground))
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"size must be a whole number of points, >= 1; got {self.size!r}.")
        if self.size % 2 == 0:
            raise ValueError(
                f"size of a hexagonal grid must be odd, so that turns by 60 degrees keep its middle; got "
                f"{self.size}. Use {self.size + 1}."
            )
        if not 0 < self.spacing < math.inf:
            raise ValueError(f"spacing must be positive, pixels; got {self.spacing!r}.")

    @property
    def group(self) -> PlaneMotions:
        return PlaneMotions.o2()

    @property
    def shape(self) -> tuple[int, int]:
        return (self.size, self.size)

    @property
    def area(self) -> float:
        return self.spacing**2 * math.sqrt(3) / 2

    @property
    def radius(self) -> float:
        return self.size * self.spacing * math.sqrt(3) / 4

    @property
    def band(self) -> float:
        return 2 * math.pi / (math.sqrt(3) * self.spacing)

    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        return in_plane(axial_points(self.size, dtype=dtype), self.spacing)

    def mask(self, radius: float | None = None) -> Tensor:
        radius = self.radius if radius is None else radius
        return (self.points(dtype=torch.float64).norm(dim=-1) <= radius + 1e-9).float()

    def hexagon(self, steps: int | None = None) -> Tensor:
        """1 on the points at most so many steps from the middle, (size, size): C6 and D6 map it to itself.

        Args:
            steps: from point to neighbour; None for the largest hexagon.
        """
        steps = (self.size - 1) // 2 if steps is None else steps
        return (steps_from_middle(axial_points(self.size, dtype=torch.float64)) <= steps).float()

    def frequencies(self) -> Tensor:
        """|k| of each coefficient of an array's discrete Fourier transform, rad/pixel, float64, (size, size).

        Of the many k that agree on the points it is the shortest.
        """
        turn = 2 * math.pi * torch.fft.fftfreq(self.size, dtype=torch.float64)
        steps = 2 * math.pi * torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
        # k . e1 and k . e2 times the spacing; r runs up, against the rows
        along, across = turn[:, None, None] + steps, -turn[:, None, None] - steps
        k1, k2 = along[None, :, :, :], across[:, None].mT
        x = k1
        y = (k2 + k1 / 2) * (2 / math.sqrt(3))
        return (x.square() + y.square()).sqrt().flatten(2).amin(dim=2) / self.spacing

    @property
    def interpolations(self) -> Collection[str]:
        return _RESAMPLERS

    def moved(self, g: Tensor, x: Tensor, interpolation: str) -> Tensor:
        """Images moved on black.

        Args:
            g: motions [reflection, angle, x, y], (B, 4), radians and pixels.
            x: images, (B, C, size, size).
            interpolation: "linear" on triangles of three neighbours, "bicubic" along two axes of the
                lattice, or "fourier" by three shears along them, exact for frequencies below 0.77 of the
                band; unused where g maps the lattice to itself.
        """
        g = g.to(dtype=x.dtype)
        exact = self._maps_to_itself(g)
        if exact.all():
            return self._permute(g, x)
        moved = self.resample(g, x, interpolation)
        if exact.any():
            moved[exact] = self._permute(g[exact], x[exact])
        return moved

    def resample(self, g: Tensor, x: Tensor, interpolation: str = "bicubic") -> Tensor:
        """The same as `act` on black, by interpolation alone, also where g maps the lattice to itself."""
        return _RESAMPLERS[interpolation](self, g.to(device=x.device, dtype=x.dtype), x)

    def from_pixels(self, images: Tensor) -> Tensor:
        """Square images (B, C, H, H) about the same centre at the points of the lattice, by quintic splines.

        Points beyond the frame of the images have the ground's grey.
        """
        weights = _weights_of(self.size, self.spacing, images.shape[-1], True, *_like(images))
        ground = ground_like(self.ground, images)
        return resampled(images - ground, *weights) + ground

    def to_pixels(self, x: Tensor, size: int | None = None) -> Tensor:
        """Images of the lattice as square images about the same centre, by quintic splines.

        Args:
            x: (B, C, size, size) of this grid.
            size: side of the square images, pixels; None for the square about the disc of `mask`.

        Returns:
            (B, C, size, size), with the ground's grey where the rhombus ends.
        """
        self.check(x)
        size = max(1, round(2 * self.radius)) if size is None else size
        weights = _weights_of(self.size, self.spacing, size, False, *_like(x))
        ground = ground_like(self.ground, x)
        return resampled(x - ground, *weights) + ground

    def check(self, x: Tensor) -> None:
        if tuple(x.shape[-2:]) != self.shape:
            raise ValueError(
                f"x must be images of {self.size}x{self.size} points of a hexagonal lattice; got "
                f"{x.shape[-2]}x{x.shape[-1]}. Square images become such by from_pixels."
            )

    def _maps_to_itself(self, g: Tensor) -> Tensor:
        sixths, steps = g[:, 1] / _SIXTH, on_lattice(g[:, 2:], self.spacing)
        # float32 holds steps of sqrt(3) / 2 pixels to 1e-7 of their length
        near = _EXACT * (1 + steps.abs().amax(dim=1))
        return ((sixths - sixths.round()).abs() < _EXACT) & (
            (steps - steps.round()).abs().amax(dim=1) < near
        )

    def _permute(self, g: Tensor, x: Tensor) -> Tensor:
        """Exact action of mirrors, sixths of a turn and whole steps."""
        steps = on_lattice(g[:, 2:], self.spacing).round().clamp(-2 * self.size, 2 * self.size)
        sixths = (g[:, 1] / _SIXTH).round() % 6
        kinds = torch.cat([g[:, :1], sixths[:, None], steps], dim=1).long()
        moved = torch.empty_like(x)
        for kind in kinds.unique(dim=0):
            rows = (kinds == kind).all(dim=1)
            index = _permutation(x.shape[-1], *kind.tolist()).to(x.device)
            part = F.pad(x[rows].flatten(2), (0, 1))  # one place more, for what comes from outside
            moved[rows] = part[..., index].unflatten(-1, tuple(x.shape[-2:]))
        return moved


@lru_cache(maxsize=128)
def _permutation(size: int, mirror: int, sixths: int, right: int, up: int) -> Tensor:
    """Where in a flat array each point comes from, size^2 for outside, (size^2,)."""
    (a, b), (c, d) = whole_motion(mirror, sixths)
    determinant = a * d - b * c
    q, r = (axial_points(size, dtype=torch.float64) - torch.tensor([right, up])).unbind(-1)
    q, r = determinant * (d * q - b * r), determinant * (a * r - c * q)
    half = (size - 1) / 2
    inside = (q.abs() <= half) & (r.abs() <= half)
    index = ((half - r) * size + q + half).long()
    return torch.where(inside, index, size * size).flatten()


def _sources(grid: HexagonalGrid, g: Tensor, size: int) -> Tensor:
    """Axial coordinates of where each point comes from, (B, size, size, 2)."""
    points = grid.points(dtype=g.dtype).to(g.device).reshape(1, -1, 2).expand(len(g), -1, -1)
    moved = apply(inverse(g), points)
    return on_lattice(moved, grid.spacing).unflatten(1, (size, size))


def _linear(grid: HexagonalGrid, g: Tensor, x: Tensor) -> Tensor:
    """Barycentric: the cell of four points is cut along its short diagonal, (0, 0) to (1, 1)."""
    size = x.shape[-1]
    q, r = (_sources(grid, g, size)).unbind(-1)
    q0, r0 = q.floor(), r.floor()
    q1, r1 = q - q0, r - r0
    corners = (
        (0, 0, 1 - torch.maximum(q1, r1)),
        (1, 1, torch.minimum(q1, r1)),
        (1, 0, (q1 - r1).clamp_min(0)),
        (0, 1, (r1 - q1).clamp_min(0)),
    )
    flat, half = F.pad(x.flatten(2), (0, 1)), (size - 1) / 2
    moved = torch.zeros_like(x)
    for dq, dr, weight in corners:
        column, row = (q0 + dq + half).long(), (half - r0 - dr).long()
        inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        index = torch.where(inside, row * size + column, size * size).flatten(1)
        value = flat.gather(2, index[:, None].expand(-1, x.shape[1], -1)).view_as(x)
        moved = moved + weight[:, None] * value
    return moved


def _bicubic(grid: HexagonalGrid, g: Tensor, x: Tensor) -> Tensor:
    size = x.shape[-1]
    scale = x.new_tensor([2 / (size - 1), -2 / (size - 1)])  # r up, row index down
    places = _sources(grid, g, size) * scale
    return F.grid_sample(x, places, mode="bicubic", padding_mode="zeros", align_corners=True)


def _fourier(grid: HexagonalGrid, g: Tensor, x: Tensor) -> Tensor:
    """R(a) on (q, r) = Q(u) R(v) Q(w): three shears along axes of the lattice, each of 1-D Fourier shifts.

    v = 2 sin(a) / sqrt(3), u = 1/2 - sqrt(3)/2 tan(a/2), w = -1/2 - sqrt(3)/2 tan(a/2), as for any matrix of
    determinant 1. Sixths of a turn are taken out first, so that |a| <= 30 degrees.
    """
    size = x.shape[-1]
    margin = size // 2  # room for the corners between shears: nothing wraps around
    canvas = F.pad(x, (margin, margin, margin, margin))
    sixths = (g[:, 1] / _SIXTH).round()
    turn = motion(sixths * _SIXTH, reflection=g[:, 0], dtype=g.dtype)
    canvas = grid._permute(turn, canvas)
    rest = g[:, 1] - turn[:, 1]
    lean = (math.sqrt(3) / 2 * torch.tan(rest / 2))[:, None]
    v = (2 / math.sqrt(3) * torch.sin(rest))[:, None]
    right, up = on_lattice(g[:, 2:], grid.spacing).split(1, dim=1)
    width = canvas.shape[-1]
    line = torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2  # = q = -r
    canvas = shift_lines(canvas, (0.5 + lean) * line, dim=-1)
    canvas = shift_lines(canvas, -v * line - up, dim=-2)
    canvas = shift_lines(canvas, (lean - 0.5) * (line + up) + right, dim=-1)
    return canvas[..., margin : margin + size, margin : margin + size]


_RESAMPLERS = {"linear": _linear, "bicubic": _bicubic, "fourier": _fourier}


def _like(x: Tensor) -> tuple[torch.dtype, torch.device]:
    return x.dtype, x.device


@lru_cache(maxsize=16)
def _weights_of(
    size: int, spacing: float, side: int, to_lattice: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What `resampled` needs between a lattice and a square grid about the same centre."""
    if to_lattice:
        x, y = in_plane(axial_points(size, dtype=torch.float64), spacing).unbind(-1)
        rows, columns, count = (side - 1) / 2 - y[:, 0], x + (side - 1) / 2, side
    else:
        points = on_lattice(pixel_coordinates(side, side, dtype=torch.float64), spacing)
        rows, columns, count = (
            (size - 1) / 2 - points[:, 0, 1],
            points[..., 0] + (size - 1) / 2,
            size,
        )
    with torch.inference_mode(False), torch.no_grad():
        return tuple(
            weights_at(places, count).to(device, dtype).contiguous() for places in (rows, columns)
        )
