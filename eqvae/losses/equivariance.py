"""Soft symmetry: penalties that are zero when a part commutes with the group.

    encoder     |E(g x) - g E(x)|^2              on posterior means, or as a divergence of posteriors
    decoder     |D(g z) - g D(z)|^2
    round trip  |D(g E(x)) - g x|^2              the EQ-VAE form

Each draws one motion for each image, uniform in the symmetry and with shifts in a disc. The encoder
term is relative to chance, with the gradient of both: a weight means the same for every latent, and neither
a small latent nor a large constant in it is a way out. Under a fixed size of the latent the way out is a
collapse, which a heavy weight then takes. Image terms are compared on the inscribed disc, which every
rotation keeps.

References: Kouzelis et al., EQ-VAE (2025), https://arxiv.org/abs/2502.09509, for the round trip, there
with scalar feature maps as latents, here with any representation.
"""

from dataclasses import replace

from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianPosterior
from eqvae.losses.term import PenaltyTerm, check_gaussian
from eqvae.models.model import Model
from eqvae.models.vae import LatentELBO
from eqvae.symmetry.actions import LatentAction, OwnAction
from eqvae.symmetry.group import Group
from eqvae.symmetry.plane import PlaneMotions

_OWN = OwnAction()


class EquivariancePenalty(PenaltyTerm):
    """What all penalties share: the motions.

    Args:
        symmetry: the group to draw from.
        shift: radius of the disc of shifts, pixels.
        interpolation: how images are moved, "bicubic" or "fourier".
        action: how a motion of the image moves its latent, g -> what `g z` above means. Another than the
            latent's own is wrong on purpose: what a wrong symmetry costs.
    """

    symmetric = True

    def __init__(
        self,
        symmetry: Group = PlaneMotions.so2(),
        shift: float = 5.0,
        interpolation: str = "bicubic",
        action: LatentAction = _OWN,
    ):
        super().__init__()
        self.action = action
        self.symmetry = symmetry
        self.shift = shift
        self.interpolation = interpolation

    def check(self, model: Model) -> None:
        check_gaussian(self, model)

    def draw(self, x: Tensor) -> Tensor:
        """A motion for each image, on the CPU: which of them are exact is decided without a wait."""
        return self.symmetry.sample(len(x), shift=self.shift).to(x.dtype)

    def moved(self, g: Tensor, batch: Batch, model: Model) -> Batch:
        return batch.act(g, model.domain, self.interpolation)

    def act(self, g: Tensor, z: Tensor, model: Model) -> Tensor:
        """g z, as the penalty has it."""
        return self.action(model.representation, g.to(z), z)

    def target(self, g: Tensor, elbo: LatentELBO, model: Model) -> GaussianPosterior:
        """g q(z|x), as the penalty has it."""
        return replace(elbo.posterior, loc=self.act(g, elbo.posterior.loc, model))


class EncoderPenalty(EquivariancePenalty):
    """|E(g x) - g E(x)|^2 on means, for every irrep block relative to half of what it is at chance.

        sum_blocks E |a_i - b_i|^2 / (E |a_i - b_j|^2 / 2),    a = E(g x),  b = g E(x),  i != j

    0 where equivariant, about 2 for each block at chance; a single image has no other and gets 2.
    """

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        g = self.draw(batch.image)
        moved, target = model.encode(self.moved(g, batch, model)), self.target(g, elbo, model)
        total = batch.image.new_zeros(())
        for block in model.representation.blocks:
            a, b = moved.mode[:, block.slice], target.mode[:, block.slice]
            chance = 0.5 * (a - b.roll(1, dims=0)).square().mean()
            total = total + (a - b).square().mean() / (chance + 1e-6)
        return total


class PosteriorPenalty(EquivariancePenalty):
    """Jeffreys divergence of q(z|g x) and g q(z|x), nats; the scale of the means gets no gradient.

    J = 1/2 sum_i (s_i^2 / r_i^2 + r_i^2 / s_i^2 - 2) + (a_i - b_i)^2 (1 / s_i^2 + 1 / r_i^2) / 2.
    Inflating the variances would hide a difference of means, so the second part takes them as given.
    """

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        g = self.draw(batch.image)
        moved, target = model.encode(self.moved(g, batch, model)), self.target(g, elbo, model)
        return jeffreys(moved, target).mean()


class DecoderPenalty(EquivariancePenalty):
    """|D(g z) - g D(z)|^2, summed over the pixels of the disc."""

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        g = self.draw(batch.image)
        decoded = model.decode(self.act(g, elbo.z, model))
        target = model.domain.act(g, elbo.reconstruction, self.interpolation)
        return _disc_error(decoded, target, model)


class RoundTripPenalty(EquivariancePenalty):
    """|D(g z) - g x|^2 with z ~ q(z|x), summed over the pixels of the disc."""

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        g = self.draw(batch.image)
        decoded = model.decode(self.act(g, elbo.z, model))
        return _disc_error(decoded, self.moved(g, batch, model).image, model)


def jeffreys(p: GaussianPosterior, q: GaussianPosterior) -> Tensor:
    """KL(p || q) + KL(q || p) in nats, (B,), without a gradient of the mean part to the variances."""
    ratio = (p.scale / q.scale).square()
    spread = 0.5 * (ratio + 1 / ratio - 2)
    precision = 0.5 * (p.scale.pow(-2) + q.scale.pow(-2)).detach()
    return (spread + precision * (p.loc - q.loc).square()).sum(dim=1)


def _disc_error(a: Tensor, b: Tensor, model: Model) -> Tensor:
    mask = model.domain.mask().to(a)
    return ((a - b).square() * mask).flatten(1).sum(dim=1).mean()
