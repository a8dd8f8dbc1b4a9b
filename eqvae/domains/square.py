"""The square pixel grid as a domain: how motions of the plane act on images, (g x)(p) = x(g^-1 p).

Quarter turns, mirrors and whole-pixel shifts permute the pixels and are exact. Everything else needs
interpolation: bicubic (fast, the choice for augmentation) or Fourier (three shears, exact for
band-limited images, the choice for measurement). Shears cannot scale: of a motion that does, "fourier"
multiplies with sampled sinc functions first, which cut off the band that shrinking leaves no room for, and
then shears; "bicubic" blurs by a Gaussian before it shrinks. Pixels that come from outside the image have the
grey b of the ground, g x = b + g (x - b), which is zero unless the domain knows one.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eqvae.domains.grid import disc_mask, pixel_coordinates
from eqvae.domains.ground import GroundedDomain, checked_ground
from eqvae.domains.scaling import softened, zoomed
from eqvae.symmetry.motions import apply, has_scale, inverse, log_scale_of, motion, shift_of
from eqvae.symmetry.plane import PlaneMotions

_EXACT = 1e-6  # radians and pixels: closer to a grid motion than this is that grid motion


@dataclass(frozen=True)
class SquareGrid(GroundedDomain):
    """The pixels of square images, one pixel apart about the image centre.

    Args:
        size: side, pixels.
        ground: b, of all channels or of each; none for 0.

    Raises:
        ValueError: if the size is not a whole number of at least 1, or the ground is no finite numbers.

    Example:
        >>> x = torch.rand(2, 1, 9, 9)
        >>> g = motion(angle=math.pi / 2)
        >>> torch.equal(SquareGrid(9).act(g.expand(2, 4), x), torch.rot90(x, 1, dims=(-2, -1)))
        True
    """

    size: int
    ground: Sequence[float] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ground", checked_ground(self.ground))
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"size must be a whole number of pixels, >= 1; got {self.size!r}.")

    @classmethod
    def of(cls, x: Tensor) -> "SquareGrid":
        """The grid that images (..., H, H) live on.

        Raises:
            ValueError: if they are not square.
        """
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(
                f"x must be square to be rotated; got {x.shape[-2]}x{x.shape[-1]}. Crop or pad it."
            )
        return cls(int(x.shape[-1]))

    @property
    def group(self) -> PlaneMotions:
        return PlaneMotions.o2()

    @property
    def shape(self) -> tuple[int, int]:
        return (self.size, self.size)

    @property
    def radius(self) -> float:
        return self.size / 2

    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        return pixel_coordinates(self.size, self.size, dtype=dtype)

    def mask(self, radius: float | None = None) -> Tensor:
        return disc_mask(self.size, radius)

    def check(self, x: Tensor) -> None:
        if tuple(x.shape[-2:]) != self.shape:
            raise ValueError(
                f"x must be images of {self.size}x{self.size} pixels; got "
                f"{x.shape[-2]}x{x.shape[-1]}. Crop or pad it, or use SquareGrid.of(x)."
            )

    @property
    def interpolations(self) -> Collection[str]:
        return _RESAMPLERS

    def moved(self, g: Tensor, x: Tensor, interpolation: str) -> Tensor:
        """Images moved on black.

        Args:
            g: motions [reflection, angle, x, y], (B, 4), radians and pixels, or (B, 5) with log-scales.
            x: images, (B, C, H, H).
            interpolation: "bicubic" or "fourier"; unused where g maps the grid to itself.
        """
        g = g.to(dtype=x.dtype)  # where it is: motions on the CPU have nothing to wait for
        exact = _maps_grid_to_itself(g)
        if exact.all():
            return _permute_pixels(g, x)
        moved = self.resample(g, x, interpolation)
        if exact.any():
            moved[exact] = _permute_pixels(g[exact], x[exact])
        return moved

    def resample(self, g: Tensor, x: Tensor, interpolation: str = "bicubic") -> Tensor:
        """The same as `act` on black, by interpolation alone, also where g maps the grid to itself."""
        return _RESAMPLERS[interpolation](g.to(device=x.device, dtype=x.dtype), x)


def _maps_grid_to_itself(g: Tensor) -> Tensor:
    quarters = g[:, 1] / (math.pi / 2)
    shift = shift_of(g)
    whole = ((quarters - quarters.round()).abs() < _EXACT) & (
        (shift - shift.round()).abs().amax(dim=1) < _EXACT
    )
    return whole & (log_scale_of(g).abs() < _EXACT) if has_scale(g) else whole


def _permute_pixels(g: Tensor, x: Tensor) -> Tensor:
    """Exact action of mirrors, quarter turns and whole-pixel shifts."""
    kinds = torch.stack(
        [g[:, 0], (g[:, 1] / (math.pi / 2)).round() % 4, g[:, 2].round(), g[:, 3].round()], dim=1
    ).long()
    moved = torch.empty_like(x)
    size = x.shape[-1]
    for kind in kinds.unique(dim=0):
        mirror, quarter, dx, dy = kind.tolist()
        dx, dy = max(-size, min(dx, size)), max(-size, min(dy, size))  # farther is gone as well
        rows = (kinds == kind).all(dim=1)
        part = x[rows].flip(-2) if mirror else x[rows]
        part = torch.rot90(part, quarter, dims=(-2, -1))
        # F.pad with negative numbers crops: content moves dx to the right and dy up
        moved[rows] = F.pad(part, (dx, -dx, -dy, dy))
    return moved


def _bicubic(g: Tensor, x: Tensor) -> Tensor:
    size = x.shape[-1]
    if has_scale(g):
        x = softened(x, log_scale_of(g))
    points = pixel_coordinates(size, size).to(x).reshape(1, -1, 2).expand(g.shape[0], -1, -1)
    scale = points.new_tensor([2 / (size - 1), -2 / (size - 1)])  # y up, row index down
    grid = (apply(inverse(g), points) * scale).reshape(-1, size, size, 2)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


def _fourier(g: Tensor, x: Tensor) -> Tensor:
    """R(a) = X(-tan(a/2)) Y(sin a) X(-tan(a/2)), each shear a set of 1-D Fourier shifts.

    Unser, Thevenaz, Yaroslavsky: Convolution-based interpolation for fast, high-quality rotation of
    images (1995), eq. (3). Quarter turns are taken out first, so that |a| <= 45 degrees.
    """
    size = x.shape[-1]
    margin = size // 2  # room for the corners between shears: nothing wraps around
    if has_scale(g):
        canvas = zoomed(x, log_scale_of(g), margin)
    else:
        canvas = F.pad(x, (margin, margin, margin, margin))
    quarters = (g[:, 1] / (math.pi / 2)).round()
    turn = motion(quarters * (math.pi / 2), reflection=g[:, 0], dtype=g.dtype)
    canvas = _permute_pixels(turn, canvas)
    rest = g[:, 1] - turn[:, 1]
    tan, sin = torch.tan(rest / 2)[:, None], torch.sin(rest)[:, None]
    dx, dy = shift_of(g).split(1, dim=1)
    width = canvas.shape[-1]
    line = torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2  # = x = -y
    canvas = shift_lines(canvas, tan * line, dim=-1)
    canvas = shift_lines(canvas, -sin * line - dy, dim=-2)
    canvas = shift_lines(canvas, tan * (line + dy) + dx, dim=-1)
    return canvas[..., margin : margin + size, margin : margin + size]


def shift_lines(x: Tensor, shift: Tensor, dim: int) -> Tensor:
    """Shift every line of x along `dim` by its own fraction of pixels, shift (B, number of lines)."""
    size = x.shape[dim]
    frequency = 2 * math.pi * torch.fft.rfftfreq(size, dtype=x.dtype, device=x.device)
    if dim == -1:
        phase = shift[:, None, :, None] * frequency
    else:
        phase = shift[:, None, None, :] * frequency[:, None]
    spectrum = torch.fft.rfft(x, dim=dim) * torch.polar(torch.ones_like(phase), -phase)
    return torch.fft.irfft(spectrum, n=size, dim=dim)


_RESAMPLERS = {"bicubic": _bicubic, "fourier": _fourier}
