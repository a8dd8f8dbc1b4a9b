"""The Lie derivative of a function: its equivariance error for an infinitely small motion.

    L_X f (x) = d/dt|_0 rho_out(exp(-t X)) f(exp(t X) x) = J_f(x) X x - X f(x)
    LEE = E_x |L_X f|^2 / dim(output)                     mean square over the outputs; 0 is perfect

X x is the velocity of x under the motion: for images a spectral derivative, exact for band-limited ones,
so that nothing is interpolated and there is no kink at t = 0 (bilinear interpolation has one: forward,
central and automatic differentiation then give three different numbers). X f(x) is the velocity that the
output should have; leaving it out calls a pose an error. The product with the Jacobian is forward-mode
differentiation, `torch.func.jvp`, or central differences where a layer has no forward-mode rule.

Units: outputs squared per radian^2 (rotation) or per pixel^2 (shift).

Reference: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance (2023),
https://arxiv.org/abs/2210.02984, eq. (4). Their code takes shifts in units of half the image, the mean
absolute value, and every vector as invariant.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates
from eqvae.domains.square import act_on_image
from eqvae.metrics.equivariance.errors import border_window
from eqvae.metrics.intervals import mean_interval
from eqvae.metrics.score import Score

Flow = Callable[[Tensor, Tensor], Tensor]  # (x, t) -> x moved for the time t, a scalar tensor
Generator = str | Flow
Method = Literal["forward mode", "central differences"]

GENERATORS = {  # what t does in [reflection, angle, x, y]
    "rotation": (0.0, 1.0, 0.0, 0.0),
    "shift_x": (0.0, 0.0, 1.0, 0.0),
    "shift_y": (0.0, 0.0, 0.0, 1.0),
}
UNITS = {"rotation": "1/rad", "shift_x": "1/px", "shift_y": "1/px"}
_ASIDE = 0.3  # radians and pixels, see `velocity`


class Action(Protocol):
    """How something moves: g y, and perhaps its own velocity."""

    def __call__(self, g: Tensor, y: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class ImageAction:
    """Images and scalar feature maps (B, C, H, H) move on their grid.

    Attributes:
        stride: distance of their pixels, in pixels of the input image.
        windowed: for images that do not vanish at the border: velocities are then right on the inner 7/8
            of the inscribed disc only, but there without what the border would ring.
    """

    stride: float = 1.0
    windowed: bool = False

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        g = torch.cat([g[:, :2], g[:, 2:] / self.stride], dim=1)
        return act_on_image(g, y, "fourier")

    def velocity(self, y: Tensor, generator: str) -> Tensor:
        if self.windowed:
            y = y * border_window(y.shape[-1]).to(y)
        return image_velocity(y, generator, self.stride)


@dataclass(frozen=True)
class LieDerivative:
    """L_X f on a batch.

    Attributes:
        value: L_X f, (B, ...).
        output: f(x).
        control: J_f(x_i) X x_j - X f(x_k) for other images j and k: what unrelated motions give.
        method: how J_f was applied.
    """

    value: Tensor
    output: Tensor
    control: Tensor
    method: Method

    @property
    def error(self) -> float:
        """LEE = E_x |L_X f|^2 / dim(output); lower is better, 0 is perfect."""
        return self.value.square().mean().item()

    @property
    def relative(self) -> float:
        """|L_X f| / |f| in the root mean square, per radian or pixel."""
        return (self.value.norm() / self.output.norm()).item()


def lie_derivative(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    generator: Generator = "rotation",
    *,
    act: Action | Flow | None = None,
    act_in: Action | None = None,
    weight: Tensor | None = None,
    method: Method | None = None,
) -> LieDerivative:
    """L_X f at x.

    Args:
        f: inputs (B, ...) to outputs (B, ...), deterministic and without coupling between the images.
        x: inputs; images (B, C, H, H) unless `act_in` says otherwise.
        generator: "rotation" (per radian), "shift_x", "shift_y" (per pixel), or your own flow
            (x, t) -> x_t.
        act: how outputs move: (g, y) -> g y such as `representation.act`, `ImageAction()` for images, None
            for invariant outputs. With a flow of your own: (y, t) -> y_t.
        act_in: how inputs move; None for images.
        weight: factors on the outputs, broadcast against them: a mask, or units of a position.
        method: None tries forward mode first; the result says which was used.

    Returns:
        The derivative, (B, ...), the outputs and a control.

    Raises:
        ValueError: if the generator or the method is unknown, or x is not finite.

    Example:
        >>> conv = torch.nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
        >>> x = torch.rand(2, 1, 9, 9)
        >>> lie_derivative(conv, x, "shift_x", act=ImageAction()).relative < 1e-5
        True
    """
    if not callable(generator) and generator not in GENERATORS:
        raise ValueError(
            f"generator must be one of {sorted(GENERATORS)} or a function (x, t) -> x_t; "
            f"got {generator!r}."
        )
    if method not in (None, "forward mode", "central differences"):
        raise ValueError(
            f"method must be 'forward mode', 'central differences' or None; got {method!r}."
        )
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite; it holds NaN or infinity. Leave those rows out.")
    moving = velocity(ImageAction() if act_in is None else act_in, x, generator, flow=generator)
    with torch.no_grad():
        output = f(x)  # what is wrong with f itself shows here, not as a missing forward-mode rule
        still = torch.zeros_like(output)
        expected = still if act is None else velocity(act, output, generator, flow=act)
        pushed, method = directional_derivative(f, x, moving, method)
        other, method = directional_derivative(f, x, moving.roll(1, 0), method)
        factor = 1.0 if weight is None else weight
        parts = [
            factor * part for part in (pushed - expected, output, other - expected.roll(-1, 0))
        ]
    return LieDerivative(*parts, method)


def lie_scores(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    generators: Sequence[str] = tuple(GENERATORS),
    act: Action | None = None,
    act_in: Action | None = None,
    weight: Tensor | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """LEE, and the relative form |L_X f| / |f|, for each generator.

    Args:
        f, x, act, act_in, weight: as for `lie_derivative`.
        generators: names.
        seed: of the bootstrap over images.

    Returns:
        Scores `<generator>` and `<generator>/relative`; floors are measured on the controls.
    """
    scores = {}
    for name in generators:
        found = lie_derivative(f, x, name, act=act, act_in=act_in, weight=weight)
        known = {"n": len(x), "better": "lower", "ceiling": 0.0, "page": "lie-derivative"}
        value, output, control = (
            part.flatten(1).double().square().mean(1).cpu().numpy()
            for part in (found.value, found.output, found.control)
        )
        if len(x) > 1 and control.sum() <= 1e-24 * max(output.sum(), 1.0):
            still = Score.null("the outputs are the same for every image", **known)
            scores |= {name: still, f"{name}/relative": still}
            continue
        scores[name] = Score(
            value.mean(),
            floor=control.mean() if len(x) > 1 else None,
            interval=mean_interval(value, seed=seed),
            unit=UNITS[name] + "^2",
            **known,
        )
        if output.sum() <= 1e-24:
            scores[f"{name}/relative"] = Score.null("the outputs are zero", **known)
            continue
        interval = mean_interval(value, output, seed=seed)
        scores[f"{name}/relative"] = Score(
            math.sqrt(value.sum() / output.sum()),
            floor=math.sqrt(control.sum() / output.sum()) if len(x) > 1 else None,
            interval=interval and tuple(math.sqrt(max(end, 0.0)) for end in interval),
            unit=UNITS[name],
            **known,
        )
    return scores


def velocity(action: Action, y: Tensor, generator: Generator, flow: Flow | None = None) -> Tensor:
    """d/dt|_0 of exp(t X) y, the shape of y.

    An action is differentiated through A_{-s} A_{s + t}, which equals A_t: away from the identity, where
    actions that are exact on the grid (cosines that are exactly 1) stand still.

    Args:
        action: an action with a `velocity` of its own, or any (g, y) -> g y.
        y: what moves.
        generator: name, or a flow.
        flow: the flow of y if the generator is not a name.
    """
    if callable(generator):
        return derivative_in_time(lambda t: flow(y, t), y)
    if hasattr(action, "velocity"):
        return action.velocity(y, generator)
    direction = torch.tensor(GENERATORS[generator], dtype=y.dtype, device=y.device)

    def at(t: Tensor | float) -> Tensor:
        return (direction * t).expand(len(y), 4)

    return derivative_in_time(lambda t: action(at(-_ASIDE), action(at(t + _ASIDE), y)), y)


def image_velocity(x: Tensor, generator: str, stride: float = 1.0) -> Tensor:
    """Velocity of images under (g x)(p) = x(g^-1 p): -dx/dX, -dx/dY, or Y dx/dX - X dx/dY.

    Derivatives are those of the trigonometric polynomial through the pixels: exact for band-limited images
    that vanish at the border.

    Args:
        x: images (B, C, H, W).
        generator: "rotation", "shift_x" or "shift_y".
        stride: distance of the pixels, for shifts.
    """
    height, width = x.shape[-2:]
    across, up = _derivative(x, -1), -_derivative(x, -2)
    if generator == "shift_x":
        return -across / stride
    if generator == "shift_y":
        return -up / stride
    points = pixel_coordinates(height, width, dtype=x.dtype).to(x.device)
    return points[..., 1] * across - points[..., 0] * up


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
