"""The posterior of a rotation given two sets of coefficients: as many modes as there are.

    p(R) = exp(s(R) / temperature) / Z      with respect to the Haar measure

s is the correlation over the norms, so that -|a - D b|^2 / (2 sigma^2) of coefficients of unit norm has the
temperature sigma^2. On the grid p has the weights of the quadrature.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.space import rotation_part
from eqvae.three.search.correlation import RotationGrid


@dataclass(frozen=True)
class RotationPosterior:
    """Probabilities of the rotations of a grid, and of their mirror images if there are any.

    Attributes:
        probabilities: (..., M, alpha, beta, gamma) with M = 1, or 2 with mirror images second; they sum to 1.
        grid: the rotations.
    """

    probabilities: Tensor
    grid: RotationGrid

    @classmethod
    def of(cls, scores: Tensor, grid: RotationGrid, temperature: float) -> "RotationPosterior":
        """From scores (..., M, alpha, beta, gamma).

        Raises:
            ValueError: if temperature is not positive.
        """
        if not temperature > 0:
            raise ValueError(f"temperature must be positive; got {temperature!r}.")
        weights = grid.weights().to(scores)
        logits = scores / temperature + weights.log()
        flat = logits.flatten(-4).softmax(dim=-1)
        return cls(flat.view_as(logits), grid)

    @property
    def coarse(self) -> Tensor:
        """Whether one rotation holds more than half of the probability, (...,): the grid is too coarse."""
        return self.probabilities.flatten(-4).amax(-1) > 0.5

    def entropy(self) -> Tensor:
        """Differential entropy with respect to the Haar measure, nats, (...,): 0 for uniform, else below."""
        p = self.probabilities
        weights = self.grid.weights().to(p) / p.shape[-4]
        terms = torch.special.xlogy(p, p / weights)
        return -terms.sum(dim=(-4, -3, -2, -1))

    def mean_matrix(self) -> Tensor:
        """E[R], rotations alone, (..., 3, 3)."""
        p = self.probabilities.sum(-4).flatten(-3)
        matrices = rotation_part(self.grid.elements()).to(p)
        return (p @ matrices.flatten(1)).unflatten(-1, (3, 3))

    def mean_resultant(self) -> Tensor:
        """How concentrated it is about one rotation, (...,): max_R tr(R^T E[R]) / 3.

        1 for one rotation, 0 for uniform; it is small too where several poses are equally right.
        """
        mean = self.mean_matrix()
        size = torch.linalg.svdvals(mean)
        size[..., 2] = size[..., 2] * torch.linalg.det(mean).sign()
        return size.sum(-1) / 3

    def mirror_probability(self) -> Tensor:
        """Of the mirror images together, (...,)."""
        p = self.probabilities
        return p[..., 1:, :, :, :].sum(dim=(-4, -3, -2, -1))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws from the grid, (..., n, 5) elements of O(3), float64."""
        p = self.probabilities
        flat = p.reshape(-1, p.shape[-4:].numel())
        index = torch.multinomial(flat, n, replacement=True, generator=generator).cpu()
        drawn = self.grid.elements(index % len(self.grid))
        drawn[..., 0] = (index // len(self.grid)).double()
        return drawn.reshape(*p.shape[:-4], n, -1)
