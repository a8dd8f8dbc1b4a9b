"""Solid harmonics of every degree up to lmax at once: what the lift of many points needs.

    r^l Y_lm(p),  l = 0 ... lmax,  m = -l ... l,  one after the other

Order and signs are those of `eqvae.symmetry.wigner.solid_harmonics`, that is of e3nn; the recursion is kept
normalised, so that no factorial grows:

    P_lm = ((2 l - 1) c P_{l-1,m} - sqrt((l + m - 1) (l - m - 1)) r^2 P_{l-2,m}) / sqrt((l - m) (l + m))
"""

import math

import torch
from torch import Tensor


def all_harmonics(lmax: int, points: Tensor) -> Tensor:
    """r^l Y_lm at points (..., 3), (..., (lmax + 1)^2)."""
    b, c, a = points.movedim(-1, 0)
    r2 = points.square().sum(-1)
    cos, sin = [torch.ones_like(a)], [torch.zeros_like(a)]
    top = [torch.ones_like(a)]  # P_mm
    for m in range(1, lmax + 1):
        cos, sin = [*cos, a * cos[-1] - b * sin[-1]], [*sin, a * sin[-1] + b * cos[-1]]
        top.append(top[-1] * math.sqrt((2 * m - 1) / (2 * m) * (2 if m == 1 else 1)))
    cosines, sines = torch.stack(cos), torch.stack(sin)
    before, here = None, top[0][None]
    found = [here]
    for degree in range(1, lmax + 1):
        m = torch.arange(degree, dtype=points.dtype, device=points.device)
        m = m.reshape(-1, *[1] * a.dim())
        step = (2 * degree - 1) * c * here
        if before is not None:
            fall = ((degree + m[:-1] - 1) * (degree - m[:-1] - 1)).sqrt() * r2 * before
            step = torch.cat([step[:-1] - fall, step[-1:]])
        before, here = (
            here,
            torch.cat([step / ((degree - m) * (degree + m)).sqrt(), top[degree][None]]),
        )
        found += [(here * sines[: degree + 1])[1:].flip(0), here * cosines[: degree + 1]]
    return torch.cat(found).movedim(0, -1)


def degrees(lmax: int) -> Tensor:
    """l of each coefficient, ((lmax + 1)^2,)."""
    return torch.cat([torch.full((2 * n + 1,), n) for n in range(lmax + 1)])
