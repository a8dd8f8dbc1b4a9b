"""The matrix Fisher distribution on SO(3): which rotation is likely, when points have Gaussian noise.

    p(R) = exp(tr F^T R) / c(F),      F = U diag(s_1, s_2, s_3) V^T,  s_1 >= s_2 >= |s_3|,  U and V proper

With respect to the Haar measure, of mass 1, the normaliser is one integral over u in [-1, 1],

    c(F) = 1/2 int I_0((s_1 - s_2)(1 - u) / 2) I_0((s_1 + s_2)(1 + u) / 2) exp(s_3 u) du.

What is computed is c(F) exp(-(s_1 + s_2 + s_3)), in which nothing is large; with w = 1 - u the integrand has
features near w = 0 and w = 2 as narrow as 1 / s_1, which the tanh-sinh rule resolves at any size. The mode is
U V^T, and unique where s_2 + s_3 > 0. As a quaternion in the axes of U and V, R has the Bingham density
exp(-2 [(s_2 + s_3) x^2 + (s_1 + s_3) y^2 + (s_1 + s_2) z^2]) / ..., which is how draws are made.

References:
    Lee, Bayesian attitude estimation with the matrix Fisher distribution on SO(3) (2018),
    https://arxiv.org/abs/1710.03746, eq. 8 and 11, with other indices in the integral.
    Kent, Ganeiber, Mardia, A new unified approach for the simulation of a wide class of directional
    distributions (2018), https://arxiv.org/abs/1310.8110, section 3.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqvae.symmetry.space import rotation_part

_REACH, _STEP = 3.4, 0.025  # of the rule: its last nodes are within 1e-19 of the ends
_TRIES = 64  # rounds of rejection; each accepts at least a third


@dataclass(frozen=True)
class ProperSVD:
    """F = U diag(s) V^T with rotations U and V.

    Attributes:
        u: (..., 3, 3).
        s: s_1 >= s_2 >= |s_3|, (..., 3).
        v: (..., 3, 3).
    """

    u: Tensor
    s: Tensor
    v: Tensor

    @property
    def mode(self) -> Tensor:
        """U V^T, the rotation with the largest tr F^T R, (..., 3, 3)."""
        return self.u @ self.v.mT


def proper_svd(f: Tensor) -> ProperSVD:
    """The singular values of matrices (..., 3, 3), the last one negative where F turns space inside out.

    Of a matrix that is not finite they are NaN, as a loss is that came from it.
    """
    finite = f.isfinite().all(dim=-1).all(dim=-1)
    u, s, vh = torch.linalg.svd(f.where(finite[..., None, None], torch.zeros_like(f)))
    s = s.where(finite[..., None], torch.full_like(s, torch.nan))
    of_u, of_v = torch.linalg.det(u).sign(), torch.linalg.det(vh).sign()
    last = torch.tensor([0.0, 0.0, 1.0], dtype=f.dtype, device=f.device)
    keep = 1 - last

    def turned(sign: Tensor) -> Tensor:
        return keep + last * sign[..., None]

    v = vh.mT
    return ProperSVD(
        u * turned(of_u)[..., None, :], s * turned(of_u * of_v), v * turned(of_v)[..., None, :]
    )


def log_scaled_normaliser(s: Tensor) -> Tensor:
    """log c(F) - (s_1 + s_2 + s_3) of proper singular values (..., 3), in float64, (...)."""
    return widths(s)[0]


def log_normaliser(f: Tensor) -> Tensor:
    """log c(F) of matrices (..., 3, 3), in float64, (...)."""
    s = proper_svd(f.double()).s
    return log_scaled_normaliser(s) + s.sum(dim=-1)


def mean_axes(s: Tensor) -> Tensor:
    """d log c / d s_i - 1 of singular values (..., 3): E[R] = U diag(1 + this) V^T, in float64."""
    return widths(s)[1]


def widths(s: Tensor, step: float = _STEP) -> tuple[Tensor, Tensor]:
    """`log_scaled_normaliser` (...) and `mean_axes` (..., 3) of proper singular values (..., 3).

    Args:
        s: the values.
        step: of the rule. At 0.05 it takes half the time, and is right to 1e-6 for values up to 1e5.
    """
    total, *slopes = _moments(s, step)
    return total.log(), torch.stack(slopes, dim=-1) / total[..., None]


def _moments(s: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c(F) exp(-tr S) and its three derivatives, each (...)."""
    s = s.detach().double()
    t = torch.arange(-_REACH, _REACH + step / 2, step, dtype=s.dtype, device=s.device)
    steep = math.pi * t.sinh()
    w, v = 2 * torch.sigmoid(steep), 2 * torch.sigmoid(-steep)  # 1 - u and 1 + u
    s1, s2, s3 = (s[..., i, None] for i in range(3))
    a, b = (s1 - s2) * w / 2, (s1 + s2) * v / 2
    near, far = torch.special.i0e(a), torch.special.i0e(b)
    weight = step * math.pi * t.cosh() * w * v / 4 * torch.exp(-(s2 + s3) * w)
    # d i0e = i1e - i0e at x >= 0, also at 0 where autograd takes the mean of both sides
    of_near = w / 2 * (torch.special.i1e(a) - near) * far
    of_far = v / 2 * (torch.special.i1e(b) - far) * near
    held = near * far
    parts = (held, of_near + of_far, of_far - of_near - w * held, -w * held)
    total, first, second, third = ((weight * part).sum(dim=-1) for part in parts)
    return total, first, second, third


@dataclass(frozen=True)
class Concentration:
    """What matrices F (..., 3, 3) say of a rotation.

    Attributes:
        svd: of F, without a gradient, float64.
        log_width: log c(F) - max_R tr F^T R <= 0, what the rotation's freedom is worth; a function of F with
            the gradient U diag(mean_axes) V^T, also where singular values are equal.
        mean_axes: d log c / d s_i - 1, (..., 3).
    """

    svd: ProperSVD
    log_width: Tensor
    mean_axes: Tensor

    @classmethod
    def of(cls, f: Tensor) -> "Concentration":
        svd = proper_svd(f.detach().double())
        width, axes = widths(svd.s)
        slope = (svd.u * axes[..., None, :]) @ svd.v.mT
        return cls(svd, Known.apply(f, width, slope), axes)


class Known(torch.autograd.Function):
    """A function of F whose value and gradient are known."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        ctx.kind = f.dtype
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return (grad[..., None, None] * slope).to(ctx.kind), None, None


@torch.no_grad()
def sample(f: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A rotation of the distribution of each matrix (B, 3, 3), by a generator on their device, (B, 3, 3)."""
    parts = proper_svd(f.double())
    s = parts.s
    energy = 2 * torch.stack(
        [0 * s[:, 0], s[:, 1] + s[:, 2], s[:, 0] + s[:, 2], s[:, 0] + s[:, 1]], 1
    )
    b = _envelope(energy)
    spread = 1 + 2 * energy / b[:, None]
    bound = -(4 - b) / 2 + 2 * (4 / b).log()
    found, like = torch.zeros_like(energy), {"dtype": energy.dtype, "device": energy.device}
    open_ = torch.ones(len(f), dtype=torch.bool, device=f.device)
    for _ in range(_TRIES):
        y = torch.randn(energy.shape, generator=generator, **like)
        x = torch.nn.functional.normalize(y / spread.sqrt(), dim=1)
        ratio = -(energy * x * x).sum(1) + 2 * (spread * x * x).sum(1).log() - bound
        draw = torch.rand(len(f), generator=generator, **like)
        taken = open_ & (draw.log() < ratio)
        found[taken] = x[taken]
        open_ &= ~taken
        if not bool(open_.any()):
            break
    found[open_] = torch.eye(4, dtype=found.dtype, device=f.device)[0]  # the mode, after 64 rounds
    turns = rotation_part(torch.cat([0 * found[:, :1], found], dim=1))
    return (parts.u @ turns @ parts.v.mT).to(f)


def _envelope(energy: Tensor) -> Tensor:
    """b with sum_i 1 / (b + 2 e_i) = 1, by bisection in (0, 4]."""
    low, high = torch.full_like(energy[:, 0], 1e-9), torch.full_like(energy[:, 0], 4.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = (1 / (middle[:, None] + 2 * energy)).sum(1) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return high
