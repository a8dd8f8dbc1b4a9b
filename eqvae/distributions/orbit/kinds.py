"""What the fitted priors of all models say of kinds: components of a mixture, or groups of them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqvae.distributions.orbit.components import Mixture
from eqvae.distributions.orbit.groups import group_components


class Kinds(ABC):
    """A prior whose objects are of the kinds of a mixture.

    Attributes:
        mixture: whose components are the kinds.
    """

    mixture: Mixture
    rounds = 2  # of `Model.settle` that make its samples better

    @property
    def weights(self) -> Tensor:
        """pi_k, (K,)."""
        return self.mixture.logits.softmax(0)

    @abstractmethod
    def upright(self, v: Tensor) -> Tensor:
        """Latents (n, D) of what the mixture is of (n, m), upright in the middle."""

    def centres(self) -> Tensor:
        """The latents in the middle of each component, upright in the middle, (K, D)."""
        return self.upright(self.mixture.loc)

    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Latents of draws in the frames of their components (n,), upright in the middle, (n, D)."""
        component = component.to(self.mixture.loc.device)
        return self.upright(self.mixture.draw_upright(component, generator, temperature))

    def knows_kinds(self, groups: int | None = None) -> bool:
        """Whether `kinds` can tell so many groups of objects apart."""
        return groups is None or groups <= self.mixture.components

    def kinds(self, content: Tensor, groups: int | None = None, seed: int = 0) -> Tensor:
        """p(group | content), (N, groups): of the components, or of fewer groups of them.

        Args:
            content: as a posterior has it, (N, m).
            groups: how many; None for the components themselves.
            seed: of the grouping, see `group_components`.

        Raises:
            ValueError: if there are fewer components than groups.
        """
        return self.mixture.kinds(content, groups, seed)

    def members(self, groups: int, seed: int = 0) -> list[list[int]]:
        """The components of each group of `kinds`, the heaviest group first.

        Raises:
            ValueError: if there are fewer components than groups.
        """
        group = group_components(self.mixture.overlap, self.weights, groups, seed)
        return [(group == i).nonzero()[:, 0].tolist() for i in range(groups)]
