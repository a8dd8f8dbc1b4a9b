"""How far a function is from f(g x) = g f(x): relative errors by motion and by image.

    error(g) = sqrt( sum_i |f(g x_i) - g f(x_i)|^2 / sum_i |g f(x_i)|^2 )        0 for a perfect model

The function, how its input moves and how its output moves are callables, so any model can be measured:

    encoder      latents, moved by the representation          round trip   images, D(E(g x)) and g D(E(x))
    decoder      images, moved on the grid                     invariant    an output that stays as it is

Quarter turns, mirrors and whole-pixel shifts are exact. At other motions an image has to be resampled, and
the error is read beside the resampling floor |g^-1 g x - x| / |x| / 2, what the test itself costs. Images
that are moved exactly (`eqvae.testing.GaussianScenes`) leave no such floor.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.metrics.equivariance.norms import Measure, norms
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import motion

Move = Callable[[Tensor], Tensor]  # one motion (1, E) -> moved inputs (B, ...)
Action = Callable[[Tensor, Tensor], Tensor]  # motions (B, E), outputs (B, ...) -> moved outputs


@dataclass(frozen=True)
class Errors:
    """Squared errors of one function at several motions.

    Attributes:
        motions: (M, E).
        squared: |f(g x) - g f(x)|^2, (M, B).
        scale: |g f(x)|^2, (M, B).
        unrelated: the same error against the next image's g f(x), (M, B): what chance gives.
    """

    motions: Tensor
    squared: np.ndarray
    scale: np.ndarray
    unrelated: np.ndarray

    @property
    def relative(self) -> np.ndarray:
        """The relative error at each motion, (M,); lower is better, 0 is perfect."""
        return np.sqrt(self.squared.sum(1) / np.maximum(self.scale.sum(1), 1e-24))

    def score(
        self,
        page: str = "equivariance-error",
        seed: int = 0,
        *,
        relative: bool = True,
        unit: str = "",
        chance: bool = True,
    ) -> Score:
        """Root mean square over motions and images, with a bootstrap interval over images.

        The floor is measured on pairs of different images: about sqrt(2) for outputs without a common
        part, less where all outputs look alike. Outputs that are the same for every image get no score.

        Args:
            page: heading in docs/metrics.md.
            seed: of the bootstrap.
            relative: False for outputs in a unit of their own, which may well be equal for all images.
            unit: that unit.
            chance: False leaves the floor out.
        """
        n, total = self.squared.shape[1], self.scale.sum()
        known = {"n": n, "better": "lower", "ceiling": 0.0, "page": page}
        if not np.isfinite(self.squared).all():
            return Score.null("the outputs are not finite", **known)
        if total <= 1e-20 * max(1, self.scale.size):
            return Score.null("the outputs are zero, so there is no relative error", **known)
        if relative and n > 1 and self.unrelated.sum() <= 1e-16 * total:
            return Score.null("the outputs are the same for every image", **known)
        floor = np.sqrt(self.unrelated.sum() / total) if chance and n > 1 else None
        known |= {"floor": floor, "unit": unit}
        squares, weights = self.squared.sum(0), self.scale.sum(0)
        return Score.of_root(squares, Resampling(seed=seed), weights, **known)


def equivariance_errors(
    f: Callable[[Tensor], Tensor],
    move: Move,
    act: Action,
    motions: Tensor,
    measure: Measure = norms,
    still: Tensor | None = None,
) -> Errors:
    """The errors |f(g x) - g f(x)| of any function.

    Args:
        f: the function, inputs (B, ...) to outputs (B, ...).
        move: one motion (1, E) -> the inputs moved by it; the identity gives them unmoved.
        act: how outputs move, (g (B, E), f(x)) -> g f(x); `keep` for an invariant output.
        motions: (M, E).
        measure: (actual, expected) -> squared error and squared norm of each image.
        still: f of the unmoved inputs; None finds it by the identity motion of the plane.

    Example:
        >>> from eqvae.domains import SquareGrid
        >>> x, act = torch.rand(4, 1, 8, 8), SquareGrid(8).act
        >>> move = lambda g: act(g.expand(4, -1), x)
        >>> blur = lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        >>> bool(equivariance_errors(blur, move, act, motion(angle=torch.pi / 2)).relative < 1e-6)
        True
    """
    with torch.no_grad():
        still = f(move(motion())) if still is None else still
        actual = (f(move(g)) for g in motions[:, None])
        expected = (act(g, still) for g in each(motions, still))
        return paired_errors(motions, actual, expected, measure)


def paired_errors(
    motions: Tensor,
    actual: Iterable[Tensor],
    expected: Iterable[Tensor],
    measure: Measure = norms,
) -> Errors:
    """Errors between f(g x) and g f(x) that are computed already, one pair for each motion."""
    rows = []
    for a, e in zip(actual, expected, strict=True):
        squared, scale = measure(a, e)
        unrelated, _ = measure(a, e.roll(1, 0))
        rows.append(torch.stack([squared, scale, unrelated]))
    table = torch.stack(rows).double().cpu().numpy()
    return Errors(motions, *table.transpose(1, 0, 2))


def keep(g: Tensor, y: Tensor) -> Tensor:
    """The trivial action: an invariant output."""
    return y


def each(motions: Tensor, like: Tensor) -> Iterator[Tensor]:
    """The motions one by one, each for a whole batch: (B, E) of its type and device."""
    for g in motions[:, None]:
        yield g.expand(len(like), -1).to(like)
