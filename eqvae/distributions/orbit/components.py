"""What all mixtures on orbits have: components with weights, means and one variance for each irrep copy."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eqvae.distributions.orbit.groups import group_components
from eqvae.symmetry.blocks import SumOfIrreps


class Mixture(nn.Module, ABC):
    """Components of a density of vectors v (B, D).

    Args:
        representation: of v; a latent's `vector`, without position.
        components: K.

    Attributes:
        overlap: how often each two components explain the same latents, (K, K).

    Raises:
        ValueError: if the latent has a position, to which no proper density is invariant, or there are
            no components.
    """

    def __init__(self, representation: SumOfIrreps, components: int):
        super().__init__()
        if representation.position:
            raise ValueError(
                f"representation must be without a position; got {representation}. Give latent.vector."
            )
        if components < 1:
            raise ValueError(f"components must be at least 1; got {components}.")
        self.representation = representation
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.zeros(components, representation.dim))
        self.log_scale = nn.Parameter(torch.zeros(components, representation.num_copies))
        self.register_buffer("overlap", torch.zeros(components, components))

    @property
    def components(self) -> int:
        return len(self.logits)

    @property
    def scale(self) -> Tensor:
        """s_k by coordinate, (K, D)."""
        return self.log_scale.exp()[:, self.representation.copy_index.to(self.loc.device)]

    @abstractmethod
    def log_prob(self, v: Tensor) -> Tensor:
        """log p(v) in nats, (B,)."""

    @abstractmethod
    def cluster_log_prob(self, v: Tensor) -> Tensor:
        """log p(k | v), (B, K)."""

    @abstractmethod
    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws in the frames of their components (n,): mu_k + eps, (n, D).

        Args:
            component: of each draw, (n,).
            generator: source of randomness, on the CPU.
            temperature: of eps, whose standard deviation grows with its root; 0 gives the means.
        """

    @torch.no_grad()
    def kinds(self, v: Tensor, groups: int | None = None, seed: int = 0) -> Tensor:
        """p(group | v), (B, groups); None for the components themselves, see `group_components`."""
        by_component = self.cluster_log_prob(v).exp()
        if groups is None:
            return by_component
        group = group_components(self.overlap, self.logits.softmax(0), groups, seed).to(v.device)
        return v.new_zeros(len(v), groups).index_add_(1, group, by_component)

    def drawn_components(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Components of n draws by their weights, (n,)."""
        weights = self.logits.softmax(0).detach().cpu()
        k = torch.multinomial(weights, n, replacement=True, generator=generator)
        return k.to(self.loc.device)
