"""Sprites: generated shapes of known symmetry, at exactly known poses.

A shape is a union of strokes and rings, so it can be drawn at any pose on any grid without
interpolation. A stroke whose middle line lies at distance d from the point g^-1 p covers

    a = Phi((w - d) / s) - Phi((-w - d) / s),    Phi the normal distribution function,

of the pixel at p: the profile of a straight band of half width w blurred by a Gaussian of standard
deviation s; a union covers 1 - prod_i (1 - a_i). All of it is smooth, which keeps aliasing low. The
strokes are laid out without mirror symmetry: C_k means k rotations and no more.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.data.images import ImageSet
from eqvae.data.sources.scenes import Scenes, as_tuples
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import apply, inverse

_BLUR = 0.9  # pixels: moving by Fourier interpolation then errs by < 1 %, at 0.05 by 40 %


@dataclass(frozen=True)
class Shape:
    """A shape inside the unit disc.

    Attributes:
        order: k when it looks the same after 1/k turn and no less, 0 when after any.
        strokes: straight strokes (x1, y1, x2, y2); each stands for its `order` rotated copies.
        width: half the thickness of strokes.
        ring: radius of a ring of the same thickness about the centre.
    """

    order: int
    strokes: tuple[tuple[float, float, float, float], ...] = ()
    width: float = 0.16
    ring: float | None = None

    def coverage(self, points: Tensor, blur: Tensor) -> Tensor:
        """How much of the pixels at `points` (..., 2) is covered; `blur` is s in the same unit."""
        empty = points.new_ones(points.shape[:-1])
        for distance in self._distances(points):
            inside = torch.special.ndtr((self.width - distance) / blur)
            empty = empty * (1 - inside + torch.special.ndtr((-self.width - distance) / blur))
        return 1 - empty

    def _distances(self, points: Tensor) -> Iterator[Tensor]:
        """Distances from the middle lines."""
        if self.ring is not None:
            yield points.norm(dim=-1) - self.ring
        copies = max(self.order, 1)
        for angle in (2 * math.pi * k / copies for k in range(copies)):
            cos, sin = math.cos(angle), math.sin(angle)
            turn = points.new_tensor([[cos, -sin], [sin, cos]])
            for x1, y1, x2, y2 in self.strokes:
                start = turn @ points.new_tensor([x1, y1])
                along = turn @ points.new_tensor([x2 - x1, y2 - y1])
                part = ((points - start) @ along / (along @ along).clamp_min(1e-12)).clamp(0, 1)
                yield (points - start - part[..., None] * along).norm(dim=-1)


SHAPES = {
    "flag": Shape(1, ((-0.35, -0.7, -0.35, 0.7), (-0.35, 0.7, 0.45, 0.7), (-0.35, 0.1, 0.25, 0.1))),
    "zed": Shape(2, ((0.0, 0.0, 0.5, 0.65), (0.5, 0.65, -0.5, 0.65))),
    "whirl3": Shape(3, ((0.35, -0.75, 0.35, 0.0),)),
    "whirl4": Shape(4, ((0.5, -0.62, 0.5, -0.02),)),
    "ring": Shape(0, ring=0.7),
    "disc": Shape(0, ((0.0, 0.0, 0.0, 0.0),), width=0.7),
}


@dataclass(frozen=True)
class Sprites(Scenes):
    """Generated images of shapes, label = place of the shape in `shapes`.

    Background and noise belong to the camera: they do not move with the object.

    Args:
        num_images: how many.
        size: side of the images in pixels; a posing may ask for more.
        shapes: names out of flag (C_1), zed (C_2), whirl3 (C_3), whirl4 (C_4), ring, disc (O(2)).
        radius: smallest and largest radius of the objects, pixels.
        background: "clean" (0), "constant" (0.3) or "gradient" (0 to 0.6 in a random direction).
        noise: standard deviation s of Gaussian pixel noise, in units of the object's brightness. Noisy
            images are (x + 3 s) / (1 + 6 s): clipped at 0 and 1 noise would be weaker inside and outside
            the object than at its edge.
        seed: of shapes, radii, gradients and noise.

    Raises:
        ValueError: if a shape or background is unknown, or a number is out of its range.
    """

    num_images: int = 5000
    size: int = 28
    shapes: tuple[str, ...] = tuple(SHAPES)
    radius: tuple[float, float] = (8.0, 11.0)
    background: str = "clean"
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self):
        for name in ("shapes", "radius"):
            object.__setattr__(self, name, as_tuples(getattr(self, name)))
        unknown = [name for name in self.shapes if name not in SHAPES]
        if unknown or not self.shapes:
            raise ValueError(
                f"shapes must be names out of {list(SHAPES)}; got {list(self.shapes)}."
            )
        if self.background not in _BACKGROUNDS:
            raise ValueError(
                f"background must be one of {sorted(_BACKGROUNDS)}; got {self.background!r}."
            )
        if self.num_images < 1:
            raise ValueError(f"num_images must be at least 1; got {self.num_images}.")
        if not 0 <= self.noise:
            raise ValueError(f"noise is a standard deviation and not negative; got {self.noise}.")
        low, high = self.radius
        if not 0 < low <= high <= self.size / 2:
            raise ValueError(
                f"radius must be (smallest, largest) in pixels with 0 < smallest <= largest <= "
                f"size / 2 = {self.size / 2:g}; got {(low, high)}."
            )

    @property
    def symmetry_orders(self) -> tuple[int, ...]:
        """By label: k for C_k, 0 for O(2)."""
        return tuple(SHAPES[name].order for name in self.shapes)

    def load(self) -> ImageSet:
        """Draw all sprites at the identity pose."""
        return self.still(
            labels=self._factors()[0],
            symmetry_orders=self.symmetry_orders,
        )

    def render(self, rows: Tensor, g: Tensor, size: int) -> Tensor:
        labels, radii, directions = (factor[rows] for factor in self._factors())
        grid = pixel_coordinates(size, size, dtype=g.dtype).reshape(1, -1, 2)
        points = apply(inverse(g), grid.expand(len(g), -1, -1)) / radii[:, None, None].to(g)
        blur = (_BLUR / radii[:, None]).to(g)
        cover = torch.empty_like(points[..., 0])
        for label in labels.unique().tolist():
            members = labels == label
            shape = SHAPES[self.shapes[label]]
            cover[members] = shape.coverage(points[members], blur[members])
        images = cover + (1 - cover) * _BACKGROUNDS[self.background](grid, directions.to(g), size)
        if self.noise:
            images = images + self.noise * self.white_noise(rows, size).flatten(1).to(g)
            images = (images + 3 * self.noise) / (1 + 6 * self.noise)
        return images.clamp(0, 1).reshape(-1, 1, size, size)

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, radii and unit vectors of the gradients of all scenes."""
        generator = torch.Generator().manual_seed(self.seed)
        labels = torch.randint(len(self.shapes), (self.num_images,), generator=generator)
        u, angle = torch.rand(2, self.num_images, generator=generator)
        angle = 2 * math.pi * angle
        low, high = self.radius
        return labels, low + (high - low) * u, torch.stack([angle.cos(), angle.sin()], dim=1)


def _gradient(grid: Tensor, directions: Tensor, size: int) -> Tensor:
    ramp = (directions[:, None, :] * grid).sum(dim=-1) / (size / 2 * math.sqrt(2))
    return 0.3 + 0.3 * ramp


_BACKGROUNDS = {
    "clean": lambda grid, directions, size: 0.0,
    "constant": lambda grid, directions, size: 0.3,
    "gradient": _gradient,
}
