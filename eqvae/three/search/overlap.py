"""The exact score of placed points, and its maximum on SE(3) by Newton's method.

    S(g) = sum_k sum_ij a_kij exp(-|g p_i - q_j|^2 / (2 s_k^2))

Sums over j are moments of the points q, one matrix product for value, gradient and Hessian together. A step
turns about the placed points' centre, x -> c + exp(omega) (x - c) + v, along eigenvectors of the Hessian with
the size of their eigenvalues, so that it climbs at saddles too; it is kept if the score rose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space import SpaceRotations, rotation_matrix
from eqvae.symmetry.space_motions import space_motion, translation_of, turn_of

_ROOM = 1 << 19  # pairs of points at once, so that they stay in the processor's cache


@dataclass(frozen=True)
class Term:
    """One Gaussian of a score.

    Attributes:
        width: s, Angstrom.
        weights: a, (M, N), or one number for all pairs.
    """

    width: float
    weights: Tensor | float = 1.0


@dataclass(frozen=True)
class PairScore:
    """A sum of Gaussians of the distances between M placed and N resting points.

    Args:
        resting: q, (N, 3), Angstrom.
        terms: of the sum.
    """

    resting: Tensor
    terms: Sequence[Term]

    def __call__(self, placed: Tensor) -> Tensor:
        """S of each set of placed points, (K, M, 3) -> (K,)."""
        return torch.cat([self._moments(part)[0].sum(1) for part in self._parts(placed)])

    def slopes(self, placed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """S (K,), and its gradient (K, M, 3) and Hessian (K, M, 3, 3) with each point."""
        found = [self._moments(part, order=2) for part in self._parts(placed)]
        return tuple(
            torch.cat(parts).sum(1) if i == 0 else torch.cat(parts)
            for i, parts in enumerate(zip(*found, strict=True))
        )

    def _parts(self, placed: Tensor) -> Sequence[Tensor]:
        return placed.split(max(1, _ROOM // (placed.shape[1] * len(self.resting))))

    def _moments(self, placed: Tensor, order: int = 0) -> list[Tensor]:
        centre = self.resting.mean(0)
        q, x = self.resting - centre, placed - centre
        squares = (x.square().sum(-1, keepdim=True) + q.square().sum(-1)).sub_(2 * x @ q.T)
        value = gradient = hessian = 0
        about = [torch.ones_like(q[:, :1])]
        if order:
            about += [q, (q[:, :, None] * q[:, None]).flatten(1)]
        about, eye = torch.cat(about, dim=1), torch.eye(3).to(q)
        for term in self.terms:
            s2 = term.width**2
            e = (squares / (-2 * s2)).exp_() * term.weights
            m = e @ about
            value = value + m[..., 0]
            if order:
                m0, m1, m2 = m[..., :1], m[..., 1:4], m[..., 4:].unflatten(-1, (3, 3))
                d1 = m0 * x - m1  # sum e d, d = x - q
                cross = x[..., :, None] * m1[..., None, :]
                outer = m0[..., None] * x[..., :, None] * x[..., None, :]
                d2 = outer - cross - cross.mT + m2
                gradient = gradient - d1 / s2
                hessian = hessian + d2 / s2**2 - m0[..., None] * eye / s2
        return [value, gradient, hessian][: order + 1]


def climb(
    score: PairScore, points: Tensor, poses: Tensor, *, steps: int, reach: float
) -> tuple[Tensor, Tensor]:
    """Motions in whose neighbourhood the score is highest, and their scores.

    Args:
        score: to climb.
        points: p, (M, 3).
        poses: where to begin, (K, 8).
        steps: of Newton's method, at most.
        reach: how far points may move in the first step, Angstrom, root mean square.

    Returns:
        Motions (K, 8) and their scores (K,).
    """
    centre = points.mean(0)
    arms = points - centre
    size = arms.square().sum(-1).mean().sqrt()
    turns = rotation_matrix(turn_of(poses))
    places = translation_of(poses) + turns @ centre
    trust = torch.full_like(places[:, 0], reach)
    best, gradient, hessian = _six(score, arms, turns, places, size)
    for _ in range(steps):
        step = _ascent(gradient, hessian, trust)
        turned = rotation_matrix(SpaceRotations().exp(step[:, :3] / size)) @ turns
        moved = places + step[:, 3:]
        value, new_gradient, new_hessian = _six(score, arms, turned, moved, size)
        rose = value > best
        best = torch.where(rose, value, best)
        turns = torch.where(rose[:, None, None], turned, turns)
        places = torch.where(rose[:, None], moved, places)
        gradient = torch.where(rose[:, None], new_gradient, gradient)
        hessian = torch.where(rose[:, None, None], new_hessian, hessian)
        trust = torch.where(rose, (1.5 * trust).clamp(max=reach), trust / 4)
        if bool((step.norm(dim=1) < 1e-6).all()):
            break
    u, _, vt = torch.linalg.svd(turns)  # products of many rotations drift off the group
    turns = u @ vt
    return space_motion(turns, places - turns @ centre), best


def _six(
    score: PairScore, arms: Tensor, turns: Tensor, places: Tensor, size: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Score, gradient (K, 6) and Hessian (K, 6, 6) with size omega and v, both in Angstrom."""
    y = arms @ turns.mT
    value, f, h = score.slopes(y + places[:, None])
    zero = torch.zeros_like(y[..., 0])
    a, b, c = (y / size).unbind(-1)
    lever = torch.stack([zero, c, -b, -c, zero, a, b, -a, zero], dim=-1).unflatten(-1, (3, 3))
    jacobian = torch.cat(
        [lever, torch.eye(3).to(y).expand_as(lever)], dim=-1
    )  # dx / d(size omega, v)
    gradient = torch.einsum("kma,kmab->kb", f, jacobian)
    hessian = torch.einsum("kmac,kmab,kmbd->kcd", jacobian, h, jacobian)
    fy = torch.einsum("kma,kmb->kab", f, y) / size**2
    trace = fy.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]
    hessian[:, :3, :3] += (fy + fy.mT) / 2 - trace * torch.eye(3).to(y)
    return value, gradient, hessian


def _ascent(gradient: Tensor, hessian: Tensor, trust: Tensor) -> Tensor:
    """Newton's step with the sizes of eigenvalues, no longer than `trust`."""
    hessian = torch.nan_to_num(hessian)
    values, vectors = torch.linalg.eigh(hessian)
    floor = 1e-6 * values.abs().amax(dim=1, keepdim=True) + 1e-12
    along = (vectors.mT @ gradient[..., None])[..., 0] / torch.maximum(values.abs(), floor)
    step = (vectors @ along[..., None])[..., 0]
    return step * (trust[:, None] / step.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
