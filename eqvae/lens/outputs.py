"""What is known of a function's outputs, in coordinates in which their spread is 1 in every direction.

With y = f(x) and y' = f(g x), all rows less their mean, scaled and turned so that without noise

    E[w w^T] = 1,      w = W (y - mean)

Directions that no output moves along, or that noise drowns, are left out: a function with 9 outputs may span
5. Sums of products are kept for each element g apart, so that elements can be weighted anew.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_DEAD = 1e-10  # of the largest variance: no more than rounding
_DROWNED = (
    0.2  # share of noise in the variance of a direction: its signal is less than twice its noise
)
_PURE = 0.6  # share from which it may hold no signal at all
_CERTAIN = 3.0  # standard errors


@dataclass(frozen=True)
class Whitening:
    """An affine map to coordinates of spread 1.

    Attributes:
        mean: of the outputs, (D,).
        matrix: W, (r, D).
        noise: covariance of noise in the new coordinates, (r, r).
        constant: number of directions without any spread.
        drowned: number of directions whose signal is less than twice their noise.
        doubtful: how many of these seem to hold a signal all the same.
    """

    mean: Tensor
    matrix: Tensor
    noise: Tensor
    constant: int
    drowned: int
    doubtful: int

    @property
    def rank(self) -> int:
        return len(self.matrix)

    def __call__(self, y: Tensor) -> Tensor:
        return (y - self.mean) @ self.matrix.T


def whitening(y: Tensor, noise: Tensor) -> Whitening:
    """The whitening of rows (n, D) whose noise has a covariance (D, D)."""
    mean = y.mean(0)
    centred = y - mean
    scale = centred.square().mean(0).sqrt()
    alive = scale > 1e-9 * torch.maximum(mean.abs(), scale.max())
    one = torch.where(alive, 1 / torch.where(alive, scale, 1.0), 0.0)
    values, vectors = torch.linalg.eigh((centred * one).T @ (centred * one) / len(y))
    seen = values > _DEAD * values[-1]
    total = (vectors[:, seen] / values[seen].sqrt()).T * one
    share, turned = torch.linalg.eigh(total @ noise @ total.T)
    clear = share < _DROWNED
    matrix = (turned[:, clear] / (1 - share[clear]).sqrt()).T @ total
    return Whitening(
        mean,
        matrix,
        matrix @ noise @ matrix.T,
        constant=int((~seen).sum()),
        drowned=int((~clear).sum()),
        doubtful=int((~clear & (share < _PURE)).sum()),
    )


def allowance(noise: Tensor | float, rows: int) -> Tensor | float:
    """How far a mean square over rows may be from what it should be, if noise adds `noise` to it.

    Three standard errors of a mean of squares, noise being known no better than from as many rows.
    """
    return _CERTAIN * noise * (2 / rows) ** 0.5


@dataclass(frozen=True)
class Moments:
    """Sums over data of products of w' = w(f(g x)), w = w(f(x)), each with a 1 appended, for each element.

    Attributes:
        cross: mean of w' w^T, (M, r + 1, r + 1).
        after: mean of w' w'^T, (M, r + 1, r + 1).
        still: mean of w w^T, (r + 1, r + 1).
        noise: covariance of noise in either, (r + 1, r + 1).
        rows: number of data.
    """

    cross: Tensor
    after: Tensor
    still: Tensor
    noise: Tensor
    rows: int

    @classmethod
    def of(cls, still: Tensor, after: Tensor, noise: Tensor) -> "Moments":
        """From rows w (N, r), w' (M, N, r) and the noise of whitened outputs (r, r)."""
        n = len(still)
        still, after = (torch.nn.functional.pad(w, (0, 1), value=1.0) for w in (still, after))
        noise = torch.nn.functional.pad(noise, (0, 1, 0, 1))
        return cls(after.mT @ still / n, after.mT @ after / n, still.T @ still / n, noise, n)

    def select(self, elements: Tensor) -> "Moments":
        """Those of some elements, by number, which may come twice."""
        cross, after = self.cross[elements], self.after[elements]
        return Moments(cross, after, self.still, self.noise, self.rows)

    def maps(self) -> Tensor:
        """The affine maps that come closest to w' = M(g) w, noise taken off w, (M, r, r + 1)."""
        return (self.cross @ torch.linalg.pinv(self.still - self.noise, hermitian=True))[:, :-1]
