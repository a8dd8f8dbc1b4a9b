"""The SE(3)-VAE: what a structure is, apart from where it is and which way it points.

    x -> encoder -> q(c | x) -> c -> decoder -> template D(c)
                                     x, D(c) -> q(g | x, c), exact

    ELBO = E_q(c|x) [ log p(x | c) ] - KL(q(c | x) || p(c)),    log p(x | c) = log int dg p(g) p(x | c, g)

with the integral over SE(3) in closed form but for one dimension (`rigid`). Content holds invariants 0e and
handedness 0o; the encoder makes them so that q(c | g x) = g q(c | x), and the pose is Kabsch's of the
template, with its uncertainty and as many modes as the molecule has equal poses.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.orbit import OrbitFit
from eqvae.models.model import ELBO, Model
from eqvae.symmetry.group import Group
from eqvae.three.points import Points
from eqvae.three.vae.alignment import laid_together
from eqvae.three.vae.orbit_prior import SpaceOrbitPosedPrior
from eqvae.three.vae.orders import all_orders, check_elements
from eqvae.three.vae.posed import SpacePosedPosterior, from_latent
from eqvae.three.vae.prior import SpacePosedPrior
from eqvae.three.vae.rigid import RigidLikelihood, RigidMarginal

_REACH = 10.0  # standard deviations of the prior of shifts, which cost 50 nats


@dataclass(frozen=True)
class SpaceELBO(ELBO):
    """The ELBO with the pose summed out.

    Attributes:
        content: q(c | x).
    """

    content: ContentPosterior


class SpaceVAE(Model):
    """Content and pose of structures of one topology.

    Args:
        encoder: structures (B, P, N, 3) -> content: `InvariantEncoder`.
        decoder: has `.template(content)`: `CanonicalDecoder`.
        prior: `SpacePosedPrior`.
        likelihood: `RigidLikelihood`.
        equivalent: orders of atoms that can't be told apart, lists of their numbers; those that these lead to
            count too. None where every atom is itself.

    Raises:
        ValueError: if the parts speak different representations, or `equivalent` holds no permutation.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: SpacePosedPrior,
        likelihood: RigidLikelihood,
        equivalent: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__(encoder, decoder, prior, likelihood)
        orders = all_orders(equivalent or (), decoder.domain.num_atoms)
        self.register_buffer("orders", orders, persistent=False)

    def check_domain(self, domain: Points) -> None:
        """Refuse atoms of which `equivalent` exchanges different elements.

        Raises:
            ValueError: if it does.
        """
        check_elements(self.orders, domain.elements)

    def encode(self, batch: Batch) -> SpacePosedPosterior:
        """q(c, g | x), the pose that of the mean content."""
        x = self._ordered(batch)
        content = self.encoder(x)
        pose = self._marginal(x, content.loc).pose
        kinds = self.prior.content.log_kinds(content.loc)
        return SpacePosedPosterior(self.representation, content, pose, kinds)

    def score(self, batch: Batch, *, sample: bool = True, by_block: bool = True) -> SpaceELBO:
        """The ELBO with content drawn from q(c | x) (its mean, if not `sample`) and the pose summed out.

        `log_likelihood` is E_q(g|x,c) log p(x | c, g) and `kl["pose"]` what the pose costs; their difference
        is log p(x | c), and it alone has a gradient.
        """
        x = self._ordered(batch)
        q = self.encoder(x)
        return self._score(x, q, q.rsample() if sample else q.loc)

    @torch.no_grad()
    def elbo(self, batch: Batch, noise: Tensor) -> Tensor:
        x = self._ordered(batch)
        q = self.encoder(x)
        noise = noise[:, self.representation.slices.position.stop :][:, : q.loc.shape[1]]
        return self._score(x, q, q.loc + q.log_scale.exp() * noise).elbo

    def _score(self, x: Tensor, q: ContentPosterior, c: Tensor) -> SpaceELBO:
        found = self._marginal(x, c)
        kl = (self.prior.content.kl(q, c), found.pose_kl.to(x))
        return SpaceELBO(
            log_likelihood=(found.log_prob + found.pose_kl).to(x),
            kl=dict(zip(self.prior.blocks, kl, strict=True)),
            squared_error=found.squared_error.to(x),
            content=q,
        )

    def log_prob_of_content(self, batch: Batch, content: Tensor) -> Tensor:
        """log p(x | c), the pose summed out, nats, float64, (B,)."""
        return self._marginal(self._ordered(batch), content).log_prob

    def reconstruct(self, batch: Batch, posterior: SpacePosedPosterior) -> Tensor:
        """Structures at the mode of the posterior, in the likeliest order of their atoms, (B, 1, N, 3)."""
        decoded = self.decode(posterior.mode)
        if len(self.orders) == 1:
            return decoded
        back = self._likeliest_order(posterior).argsort(dim=1)
        return decoded[torch.arange(len(back))[:, None], 0, back][:, None]

    def upright(self, batch: Batch, posterior: SpacePosedPosterior) -> Tensor:
        """The structures themselves in the template's pose and likeliest order of atoms, (B, N, 3)."""
        x, order = batch.image[:, 0], self._likeliest_order(posterior)
        x = x[torch.arange(len(x))[:, None], order]
        return self.domain.group.act(self.domain.group.inverse(posterior.pose.mode.to(x)), x)

    def _likeliest_order(self, posterior: SpacePosedPosterior) -> Tensor:
        return self.orders[posterior.pose.peaks.argmax(dim=1)]

    def log_prob(self, batch: Batch, z: Tensor) -> Tensor:
        decoded, x = self.decoder(z), self._ordered(batch)
        each = [self.likelihood.log_prob(order, decoded[:, 0]) for order in x.unbind(dim=1)]
        return torch.stack(each).logsumexp(dim=0) - torch.tensor(float(len(each))).log().to(x)

    def fitted_prior(
        self,
        q: SpacePosedPosterior,
        held_out: SpacePosedPosterior,
        fit: OrbitFit,
        symmetry: Group | None = None,
    ) -> SpaceOrbitPosedPrior:
        symmetry = symmetry or self.symmetry
        self.representation.check(symmetry)
        return SpaceOrbitPosedPrior.fitted(q, held_out, fit, symmetry, self.prior.position_scale)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Begin at what training structures (F, N, 3) have in common: mean, size, motions.

        Warns where they lie farther out than the prior of shifts reaches.
        """
        far, reach = float(x.mean(dim=1).norm(dim=1).max()), _REACH * self.prior.position_scale
        if far > reach:
            warnings.warn(
                f"structures lie up to {far:,.0f} A from the origin, and model.prior.position_scale="
                f"{self.prior.position_scale:g} covers about {reach:,.0f}: positions would be drawn towards "
                f"the origin. Set it to {far:,.0f}, or shift the structures there.",
                stacklevel=2,
            )
        together = laid_together(x)
        scale = float(together.square().mean().sqrt().clamp_min(1e-3))
        self.decoder.start(together, scale)
        self.encoder.start(self._ordered(Batch(x[:, None])), scale)

    def content_latent(self, z: Tensor) -> Tensor:
        """Content (B, m) of latents (B, D)."""
        return from_latent(self.representation, z)[0]

    def _ordered(self, batch: Batch) -> Tensor:
        """Structures with their atoms in every equally right order, (B, P, N, 3)."""
        self.domain.check(batch.image)
        return batch.image if len(self.orders) == 1 else batch.image[:, 0][:, self.orders]

    def _marginal(self, x: Tensor, content: Tensor) -> RigidMarginal:
        template = self.decoder.template(content)
        return self.likelihood.marginal(x, template, self.prior.position_scale)
