"""The prior of content that no motion changes: an orbit mixture of the trivial group, with frames.

A model that knows content and pose apart draws the template of each content in a frame of its own, and
training does not ask that frames of unlike contents agree. `frame` says for each content by which turn
its template stands as those of the other components do.
"""

from typing import Any

import torch
from torch import Tensor

from eqvae.distributions.orbit.fit import OrbitFit
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.distributions.orbit.prior import described
from eqvae.distributions.posed import PosedPosterior, to_latent
from eqvae.distributions.priors import ContentPrior, PosedPrior
from eqvae.symmetry.motions import compose, identity, shift_of
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class OrbitContent(ContentPrior):
    """sum_k pi_k N(mu_k, diag(s_k^2) + W_k W_k^T), fitted after training.

    Args:
        dim: number of content coordinates.
        components: K.
        rank: of W_k.
    """

    def __init__(self, dim: int, components: int = 40, rank: int = 16):
        super().__init__()
        latent = Representation((dim,), position=False)
        self.mixture = OrbitMixture(latent, PlaneMotions.trivial(), components, min(rank, dim - 1))
        self.register_buffer("turns", identity(components))

    def log_prob(self, c: Tensor) -> Tensor:
        return self.mixture.log_prob(c)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.mixture.sample(n, generator)

    def responsibilities(self, c: Tensor) -> Tensor:
        return self.mixture.cluster_log_prob(c).exp()

    def frame(self, c: Tensor) -> Tensor:
        return self.turns[self.responsibilities(c.detach()).argmax(1)]

    @torch.no_grad()
    def turn_frames(self, h: Tensor) -> None:
        """Turn the frame of each component by h (K, 4)."""
        self.turns.copy_(compose(h.to(self.turns), self.turns))


class OrbitPosedPrior(PosedPrior):
    """p(c) p(g) with p(c) an `OrbitContent`: the fitted prior of a model that knows content and pose apart.

    Args:
        representation: of the latent.
        components, rank: of the content, see `OrbitContent`.
        position_scale: standard deviation of the position, pixels.
    """

    def __init__(
        self,
        representation: Representation,
        components: int = 40,
        rank: int = 16,
        position_scale: float = 5.0,
    ):
        content = OrbitContent(representation.multiplicities[0], components, rank)
        super().__init__(representation, content, position_scale)

    @classmethod
    def fitted(
        cls, q: PosedPosterior, held_out: PosedPosterior, fit: OrbitFit
    ) -> "OrbitPosedPrior":
        """The prior that draws of these posteriors look as if they came from, see `OrbitPrior.fitted`."""
        latent = q.representation
        mixture = fit(_content(q), _content(held_out), [PlaneMotions.trivial()])
        scale = float(shift_of(q.pose.mode).square().mean().sqrt().clamp_min(1e-3))
        prior = cls(latent, mixture.components, mixture.rank, scale).to(q.content.loc)
        prior.content.mixture = mixture
        return prior

    @property
    def weights(self) -> Tensor:
        """pi_k, (K,)."""
        return self.content.mixture.logits.softmax(0)

    def centres(self) -> Tensor:
        """The latents in the middle of each component, upright at the image centre, (K, D)."""
        loc = self.content.mixture.loc
        return to_latent(self.representation, loc, identity(len(loc)).to(loc))

    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Latents of draws of each component (n,), upright at the image centre, (n, D)."""
        c = self.content.mixture.draw_upright(component, generator, temperature)
        return to_latent(self.representation, c, identity(len(c)).to(c))

    def description(self) -> dict[str, Any]:
        """What `build` makes a prior of the same shape from."""
        return {
            "_target_": "eqvae.distributions.orbit.OrbitPosedPrior",
            "representation": described(self.representation),
            "components": self.content.mixture.components,
            "rank": self.content.mixture.rank,
            "position_scale": self.pose.position_scale,
        }


def _content(q: PosedPosterior) -> Latents:
    m = Representation((q.content.loc.shape[1],), position=False)
    return Latents(m, q.content.loc, q.content.log_scale.exp())
