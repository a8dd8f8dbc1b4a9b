"""What the fitted priors of all models say of kinds: components of a mixture, or groups of them."""

from torch import Tensor

from eqvae.distributions.orbit.groups import group_components
from eqvae.distributions.orbit.mixture import OrbitMixture


class Kinds:
    """A prior whose objects are of the kinds of a mixture.

    Attributes:
        mixture: whose components are the kinds.
    """

    mixture: OrbitMixture
    rounds = 2  # of `Model.settle` that make its samples better

    @property
    def weights(self) -> Tensor:
        """pi_k, (K,)."""
        return self.mixture.logits.softmax(0)

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
