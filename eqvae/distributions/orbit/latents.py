"""Latents to fit a density to: what encoders say of many images, drawn from anew whenever it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.symmetry.representations import Representation

_SMALLEST = 1e-4  # variance, of the mean square of all coordinates
_ROWS = 2**16  # at a time, so that no copy of all latents is made


@dataclass(frozen=True)
class Latents:
    """q(v | x) of N images, one variance for each irrep copy.

    Attributes:
        representation: of v, without position.
        loc: means, (N, D).
        scale: standard deviations by copy, (N, copies); zeros for latents that are known exactly.
    """

    representation: Representation
    loc: Tensor
    scale: Tensor

    @classmethod
    def of(cls, q: GaussianPosterior) -> "Latents":
        """The v of a posterior."""
        vector = q.representation.vector
        first = q.representation.num_copies - vector.num_copies
        part = q.representation.slices.vector
        return cls(vector, q.loc[:, part], q.log_scale[:, first:].exp())

    def __len__(self) -> int:
        return len(self.loc)

    def __getitem__(self, rows: Tensor | slice) -> "Latents":
        return Latents(self.representation, self.loc[rows], self.scale[rows])

    def draw(self, generator: torch.Generator) -> Tensor:
        """One draw of each, (N, D)."""
        noise = torch.randn(self.loc.shape, generator=generator, dtype=self.loc.dtype)
        copies = self.representation.copy_index.to(self.loc.device)
        return self.loc + self.scale[:, copies] * noise.to(self.loc.device)

    def some(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws of at most n of them, picked at random."""
        return self[torch.randperm(len(self), generator=generator)[:n]].draw(generator)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Draws in batches of the same size, without end; all latents before any comes again."""
        size = min(size, len(self))
        while True:
            order = torch.randperm(len(self), generator=generator)
            for first in range(0, len(self) - size + 1, size):
                yield self[order[first : first + size]].draw(generator)

    def spread(self, still: bool) -> Tensor:
        """Variance by copy and dimension, (copies,): about the mean of what no motion changes.

        It is never zero, though all latents may be one.
        """
        mean = torch.zeros_like(self.loc[0])
        part = slice(None) if still else self.representation.slices.content
        mean[part] = self.loc[:, part].mean(0)
        sums = [(rows - mean).square().sum(0) for rows in self.loc.split(_ROWS)]
        square = torch.stack(sums).sum(0) / len(self)
        latent = self.representation
        total = torch.zeros_like(self.scale[0]).index_add_(
            0, latent.copy_index.to(square.device), square
        )
        dims = latent.copy_dims.to(square)
        spread = total / dims + self.scale.square().mean(0)
        least = _SMALLEST * self.loc.square().mean().clamp_min(1e-8)
        return torch.maximum(spread, least)
