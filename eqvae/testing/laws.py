"""An assertion for f(g x) = rho(g) f(x), and the motions that a square grid carries out exactly."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from eqvae.symmetry.motions import motion


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected| in the root mean square over everything; 0 is perfect."""
    return ((actual - expected).norm() / expected.norm()).item()


def assert_equivariant(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    motions: Iterable[Tensor],
    *,
    act_in: Callable[[Tensor, Tensor], Tensor],
    act_out: Callable[[Tensor, Tensor], Tensor],
    rtol: float = 1e-5,
    error: Callable[[Tensor, Tensor], float] = relative_error,
) -> float:
    """Check f(g x) = g f(x) for every motion, and say which is the worst.

    Args:
        function: f, from (B, ...) to (B, ...).
        x: inputs, (B, ...).
        motions: elements of a group, (E,) each, such as rows [reflection, angle, x, y]; all of a finite
            group, seeded draws of a continuous one.
        act_in: (g, x) -> g x, with g (B, E).
        act_out: (g, y) -> g y.
        rtol: largest error accepted.
        error: (f(g x), g f(x)) -> number.

    Returns:
        The largest error found.

    Raises:
        AssertionError: if it is above `rtol`.
    """
    with torch.no_grad():
        still = function(x)
        errors = []
        for g in motions:
            batch = g.reshape(1, -1).to(x.dtype).expand(len(x), -1)
            errors.append((error(function(act_in(batch, x)), act_out(batch, still)), g))
    worst, g = max(errors, key=lambda pair: pair[0] if math.isfinite(pair[0]) else math.inf)
    if not worst <= rtol:
        raise AssertionError(
            f"not equivariant: relative error {worst:.2e} > {rtol:.0e} at "
            f"g = {[round(v, 4) for v in g.tolist()]}."
        )
    return worst


def quarter_turns(reflections: bool = False) -> Tensor:
    """The motions a square grid carries out exactly: C_4, or D_4 with `reflections`, (4 or 8, 4)."""
    angle = torch.arange(4, dtype=torch.float64) * (math.pi / 2)
    turns = motion(angle=angle, dtype=torch.float64)
    if not reflections:
        return turns
    return torch.cat([turns, motion(angle=angle, reflection=1.0, dtype=torch.float64)])
