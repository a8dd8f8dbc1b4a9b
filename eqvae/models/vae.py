"""The parts wired together: x -> encoder -> q(z|x) -> z = (t, v) -> decoder -> p(x|z).

Swap any of them for your own: an encoder maps images to a `GaussianPosterior`, a decoder maps latents to
images, and both say which `representation` they speak.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.orbit import OrbitFit, OrbitPrior
from eqvae.models.model import ELBO, Model
from eqvae.symmetry.plane import PlaneMotions


@dataclass(frozen=True)
class LatentELBO(ELBO):
    """The ELBO of a draw, with the draw.

    Attributes:
        posterior: q(z|x).
        z: the draw (the mode, if nothing was to be sampled), (B, D).
        reconstruction: mean of p(x|z), (B, C, H, H).
    """

    posterior: GaussianPosterior
    z: Tensor
    reconstruction: Tensor


class VAE(Model):
    """A `Model` whose posterior is Gaussian on the whole latent, with one variance for each irrep copy.

    It explains images as the camera took them: optics that a batch knows are not undone.

    Args:
        encoder: images (B, C, H, H) -> `GaussianPosterior`; has `.representation`.
        decoder: latents (B, D) -> images (B, C, H, H); has `.representation`, `.domain` and
            `.channels`.
        prior: p(z), with `.kl(q, z)` by block, `.kl_in_all(q, z)`, `.log_prob(z)`, `.sample(n)` and
            `.reader`.
        likelihood: p(x|z), with `.log_prob(x, decoded)` and `.mean(decoded)`.
        mask: p(m|z), which pixels are the object; its term of the loss is `eqvae.losses.MaskPenalty`, and the
            ELBO stays that of the images.

    Raises:
        ValueError: if the parts speak different representations.

    Example:
        vae = eqvae.load_vae("runs/.../checkpoints/best.ckpt")
        z = vae.encode(Batch(images)).mode
        turned = vae.decode(vae.representation.act(motion(angle=0.5), z[:1]))
    """

    def encode(self, batch: Batch) -> GaussianPosterior:
        return replace(self.encoder(batch.image), reader=self.prior.reader)

    def score(self, batch: Batch, *, sample: bool = True, by_block: bool = True) -> LatentELBO:
        x, posterior = batch.image, self.encode(batch)
        z = posterior.rsample() if sample else posterior.mode
        decoded = self.decoder(z)
        mean = self.likelihood.mean(decoded)
        prior = self.prior
        kl = prior.kl(posterior, z) if by_block else {"all": prior.kl_in_all(posterior, z)}
        return LatentELBO(
            log_likelihood=self.likelihood.log_prob(x, decoded),
            kl=kl,
            squared_error=(x - mean).square().flatten(1).sum(dim=1),
            posterior=posterior,
            z=z,
            reconstruction=mean,
        )

    def reconstruct(self, batch: Batch, posterior: GaussianPosterior) -> Tensor:
        return self.decode(posterior.mode)

    def log_prob(self, batch: Batch, z: Tensor) -> Tensor:
        return self.likelihood.log_prob(batch.image, self.decoder(z))

    @torch.no_grad()
    def elbo(self, batch: Batch, noise: Tensor) -> Tensor:
        q = self.encode(batch)
        z = q.loc + q.scale * noise
        return self.log_prob(batch, z) - sum(self.prior.kl(q, z).values())

    def fitted_prior(
        self,
        q: GaussianPosterior,
        held_out: GaussianPosterior,
        fit: OrbitFit,
        symmetry: PlaneMotions | None = None,
    ) -> OrbitPrior:
        none = PlaneMotions.trivial()
        own = none if self.symmetry == none else self.symmetry.ambient
        symmetries = [symmetry] if symmetry else list(dict.fromkeys([own, none]))
        return OrbitPrior.fitted(q, held_out, symmetries, fit)
