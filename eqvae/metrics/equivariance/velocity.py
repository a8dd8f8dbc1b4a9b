"""How fast things move: the derivative of exp(t X) y at t = 0 for a generator X of a group.

For images on a grid, (g x)(p) = x(g^-1 p), it is -grad x . v with v(p) = d/dt exp(t X) p the velocity of the
points, and the gradient that of the trigonometric polynomial through the pixels: exact for band-limited
images that vanish at the border. So nothing is interpolated and there is no kink at t = 0 (bilinear
interpolation has one: forward, central and automatic differentiation then give three different numbers).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from eqvae.domains import SquareGrid
from eqvae.metrics.equivariance.resampling import border_window
from eqvae.metrics.equivariance.sweeps import flow
from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import shift_of, with_shift
from eqvae.symmetry.plane import PlaneMotions

Method = Literal["forward mode", "central differences"]
_ASIDE = 0.3  # radians and pixels, see `velocity`


class Action(Protocol):
    """How something moves: g y, and perhaps its own velocity along a generator."""

    def __call__(self, g: Tensor, y: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class ImageAction:
    """Images and scalar feature maps (B, C, H, H) move on their grid.

    Attributes:
        stride: distance of their pixels, in pixels of the input image.
        windowed: for images that do not vanish at the border: velocities are then right on the inner 7/8
            of the inscribed disc only, but there without what the border would ring.
        group: that the motions belong to, in pixels of the input image.
        ground: grey beyond images, see `SquareGrid`.
    """

    stride: float = 1.0
    windowed: bool = False
    group: Group = PlaneMotions()
    ground: tuple[float, ...] = ()

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        if self.stride != 1:
            g = with_shift(g, shift_of(g) / self.stride)
        return SquareGrid.of(y).on(self.ground).act(g, y, "fourier")

    def velocity(self, y: Tensor, generator: Generator) -> Tensor:
        if self.windowed:
            grey = y.new_tensor(self.ground or (0.0,)).view(-1, 1, 1)
            y = (y - grey) * border_window(y.shape[-1]).to(y)
        return image_velocity(y, generator, self.stride, self.group)


def image_velocity(
    x: Tensor, generator: Generator, stride: float = 1.0, group: Group = PlaneMotions()
) -> Tensor:
    """Velocity of images: -dx/dX, -dx/dY for shifts, Y dx/dX - X dx/dY for rotations.

    Args:
        x: images (B, C, H, H).
        generator: of the group.
        stride: distance of the pixels in the unit of the group's shifts.
        group: that acts on points of the plane.
    """
    points = stride * SquareGrid.of(x).points(dtype=torch.float64).reshape(1, -1, 2)

    def moved(t: Tensor) -> Tensor:
        return group.act(flow(group, generator, t[None]), points)

    # not forward mode: cosines that are exactly 1 at the identity are flat there
    speed = central_difference(moved, points) / stride
    right, up = speed.reshape(*x.shape[-2:], 2).to(x).unbind(-1)
    return up * _derivative(x, -2) - right * _derivative(x, -1)  # rows grow downwards


def velocity(action: Action, y: Tensor, generator: Generator, group: Group) -> Tensor:
    """d/dt|_0 of exp(t X) y, the shape of y.

    An action is differentiated through A_{-s} A_{s + t}, which equals A_t: away from the identity, where
    actions that are exact on the grid (cosines that are exactly 1) stand still.

    Args:
        action: an action with a `velocity` of its own, or any (g, y) -> g y.
        y: what moves.
        generator: X.
        group: whose generator it is.
    """
    if hasattr(action, "velocity"):
        return action.velocity(y, generator)

    def at(t: Tensor) -> Tensor:
        return flow(group, generator, t[None]).expand(len(y), -1)

    aside = y.new_tensor(_ASIDE)
    return derivative_in_time(lambda t: action(at(-aside), action(at(t + aside), y)), y)


def directional_derivative(
    f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor, method: Method | None = None
) -> tuple[Tensor, Method]:
    """J_f(x) v, and how it was found.

    Central differences are of fourth order, (8 (f_1 - f_-1) - (f_2 - f_-2)) / 12 h with a relative step of
    the fourth root of the type's precision: about 1e-5 in float32, 1e-11 in float64 on smooth functions.
    """
    if method != "central differences":
        try:
            return torch.func.jvp(f, (x,), (v,))[1], "forward mode"
        except (RuntimeError, NotImplementedError):  # a layer without a forward-mode rule
            if method is not None:
                raise
    fraction = torch.finfo(x.dtype).eps ** 0.25
    step = fraction * (x.norm() / v.norm()).item() if x.any() and v.any() else fraction
    near, far = (f(x + k * step * v) - f(x - k * step * v) for k in (1, 2))
    return (8 * near - far) / (12 * step), "central differences"


def derivative_in_time(path: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """d/dt|_0 of a path, in forward mode or by `central_difference`."""
    with torch.no_grad():
        try:
            return torch.func.jvp(path, (like.new_zeros(()),), (like.new_ones(()),))[1]
        except (RuntimeError, NotImplementedError):
            return central_difference(path, like)


def central_difference(path: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """d/dt|_0 of a path by fourth-order central differences."""
    step = torch.finfo(like.dtype).eps ** 0.2
    near, far = (path(like.new_tensor(k * step)) - path(like.new_tensor(-k * step)) for k in (1, 2))
    return (8 * near - far) / (12 * step)


def _derivative(x: Tensor, dim: int) -> Tensor:
    """Spectral derivative along a dimension, per pixel in the direction of growing index."""
    size = x.shape[dim]
    frequency = 2 * math.pi * torch.fft.rfftfreq(size, dtype=x.dtype, device=x.device)
    if size % 2 == 0:
        frequency[-1] = 0  # the highest cosine's derivative is a sine that the grid does not see
    frequency = frequency.reshape(-1, *[1] * (-1 - dim))
    return torch.fft.irfft(1j * frequency * torch.fft.rfft(x, dim=dim), n=size, dim=dim)
