"""The Lie derivative of a function: its equivariance error for an infinitely small motion.

    L_X f (x) = d/dt|_0 rho_out(exp(-t X)) f(exp(t X) x) = J_f(x) X x - X f(x)
    LEE = E_x |L_X f|^2 / dim(output)                     mean square over the outputs; 0 is perfect

X x is the velocity of x under the motion and X f(x) the velocity that the output should have (`velocity.py`);
leaving that out calls a pose an error. The product with the Jacobian is forward-mode differentiation,
`torch.func.jvp`, or central differences where a layer has no forward-mode rule.

Units: outputs squared per unit of the generator squared, radians for rotations and pixels for shifts.

Reference: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance (2023),
https://arxiv.org/abs/2210.02984, eq. (4). Their code takes shifts in units of half the image, the mean
absolute value, and every vector as invariant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.metrics.equivariance.velocity import (
    Action,
    ImageAction,
    Method,
    derivative_in_time,
    directional_derivative,
    velocity,
)
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score
from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.plane import PlaneMotions

Flow = Callable[[Tensor, Tensor], Tensor]  # (x, t) -> x moved for the time t, a scalar tensor


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
        """|L_X f| / |f| in the root mean square, per unit of the generator."""
        return (self.value.norm() / self.output.norm()).item()


def lie_derivative(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    generator: str | Flow = "rotation",
    *,
    act: Action | Flow | None = None,
    act_in: Action | None = None,
    group: Group = PlaneMotions(),
    weight: Tensor | None = None,
    method: Method | None = None,
) -> LieDerivative:
    """L_X f at x.

    Args:
        f: inputs (B, ...) to outputs (B, ...), deterministic and without coupling between the images.
        x: inputs; images (B, C, H, H) unless `act_in` says otherwise.
        generator: name of a generator of the group, or your own flow (x, t) -> x_t.
        act: how outputs move: (g, y) -> g y such as `representation.act`, `ImageAction()` for images, None
            for invariant outputs. With a flow of your own: (y, t) -> y_t.
        act_in: how inputs move; None for images.
        group: that acts.
        weight: factors on the outputs, broadcast against them: a mask, or units of a position.
        method: None tries forward mode first; the result says which was used.

    Raises:
        ValueError: if the generator or the method is unknown, or x is not finite.

    Example:
        >>> conv = torch.nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
        >>> x = torch.rand(2, 1, 9, 9)
        >>> lie_derivative(conv, x, "shift_x", act=ImageAction()).relative < 1e-5
        True
    """
    if method not in (None, "forward mode", "central differences"):
        raise ValueError(
            f"method must be 'forward mode', 'central differences' or None; got {method!r}."
        )
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite; it holds NaN or infinity. Leave those rows out.")
    moving, expected = _velocities(generator, act, act_in, group)
    with torch.no_grad():
        speed, output = moving(x), f(x)  # what is wrong with f itself shows here
        asked = expected(output)
        pushed, method = directional_derivative(f, x, speed, method)
        other, method = directional_derivative(f, x, speed.roll(1, 0), method)
        factor = 1.0 if weight is None else weight
        parts = (pushed - asked, output, other - asked.roll(-1, 0))
    return LieDerivative(*(factor * part for part in parts), method)


def lie_scores(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    generators: Sequence[str] | None = None,
    group: Group = PlaneMotions(),
    seed: int = 0,
    **how: Action | Tensor | None,
) -> dict[str, Score]:
    """LEE, and the relative form |L_X f| / |f|, for each generator.

    Args:
        f, x: as for `lie_derivative`.
        generators: names; all of the group's if None.
        group: that acts.
        seed: of the bootstrap over images.
        **how: `act`, `act_in` and `weight` of `lie_derivative`.

    Returns:
        Scores `<generator>` and `<generator>/relative`; floors are measured on the controls.
    """
    known = {"better": "lower", "ceiling": 0.0, "page": "lie-derivative"}
    resampling, several, scores = Resampling(seed=seed), len(x) > 1, {}
    for name in group.generators() if generators is None else generators:
        unit = f"1/{_named(name, group).unit}"
        found = lie_derivative(f, x, name, group=group, **how)
        value, output, control = (
            part.flatten(1).double().square().mean(1).cpu().numpy()
            for part in (found.value, found.output, found.control)
        )
        pair = name, f"{name}/relative"
        if several and control.sum() <= 1e-24 * max(output.sum(), 1.0):
            reason = "the outputs are the same for every image"
            scores |= Score.nulls(pair, reason, n=len(x), **known)
            continue
        floor = control.mean() if several else None
        scores[name] = Score.of_mean(value, resampling, floor=floor, unit=f"{unit}^2", **known)
        if output.sum() <= 1e-24:
            scores[pair[1]] = Score.null("the outputs are zero", n=len(x), **known)
            continue
        floor = (control.sum() / output.sum()) ** 0.5 if several else None
        relative = {"floor": floor, "unit": unit, **known}
        scores[pair[1]] = Score.of_root(value, resampling, output, **relative)
    return scores


Velocity = Callable[[Tensor], Tensor]


def _velocities(
    generator: str | Flow, act: Action | Flow | None, act_in: Action | None, group: Group
) -> tuple[Velocity, Velocity]:
    """The velocities of inputs and of outputs."""

    def of(action: Action | Flow | None) -> Velocity:
        if action is None:
            return torch.zeros_like
        if callable(generator):
            return lambda y: derivative_in_time(lambda t: action(y, t), y)
        return lambda y: velocity(action, y, _named(generator, group), group)

    if callable(generator):
        return of(generator), of(act)
    _named(generator, group)
    return of(ImageAction(group=group) if act_in is None else act_in), of(act)


def _named(generator: str, group: Group) -> Generator:
    known = group.generators()
    if generator not in known:
        raise ValueError(
            f"generator must be one of {sorted(known)} or a function (x, t) -> x_t; got {generator!r}."
        )
    return known[generator]
