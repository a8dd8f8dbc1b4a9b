"""What every model offers: from a batch of images to a posterior of latents, and back.

    encode      x -> q(z | x)              score    x -> ELBO, nats
    decode      z -> mean of p(x | z)      sample   p(z) -> images
    segment     z -> p(m | z), where a model knows masks

Hard symmetry means q(z | g x) = g q(z | x) and D(g z) = g D(z); nothing here depends on whether the parts
obey it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions.orbit import OrbitFit
from eqvae.distributions.posterior import Posterior
from eqvae.domains import Domain
from eqvae.models.object_mask import ObjectMask
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_AT_ONCE = 250  # images that are decoded and encoded in one batch


@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound of each image of a batch, in nats, and its parts.

    Attributes:
        log_likelihood: log p(x|z), (B,).
        kl: KL(q || p) by block, each (B,).
        squared_error: |x - mean(z)|^2 summed over the pixels, (B,).
    """

    log_likelihood: Tensor
    kl: dict[str, Tensor]
    squared_error: Tensor

    @property
    def kl_total(self) -> Tensor:
        return sum(self.kl.values())

    @property
    def elbo(self) -> Tensor:
        """A one-sample estimate of the bound, (B,)."""
        return self.log_likelihood - self.kl_total


class Model(nn.Module, ABC):
    """A variational autoencoder whose latent carries a representation of SE(2) or E(2).

    Args:
        encoder: has `.representation`.
        decoder: latents (B, D) -> images (B, C, H, H); has `.representation`, `.domain` and
            `.channels`.
        prior: p(z), with `.sample(n)` and `.log_prob(z)`.
        likelihood: p(x|z), with `.mean(decoded)` and `.constant(x)`.
        mask: p(m|z), which pixels are the object; None for a model that knows no masks.

    Raises:
        ValueError: if the parts speak different representations.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        likelihood: nn.Module,
        mask: ObjectMask | None = None,
    ):
        super().__init__()
        spoken = [encoder.representation, decoder.representation, prior.representation]
        if any(r != spoken[0] for r in spoken):
            raise ValueError(
                f"encoder, decoder and prior must share one representation; got {spoken}."
            )
        if mask is not None and mask.decoder.representation != spoken[0]:
            raise ValueError(
                f"the mask's decoder must share the encoder's representation, {spoken[0]}; got "
                f"{mask.decoder.representation}."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.mask = mask

    @property
    def representation(self) -> Representation:
        return self.encoder.representation

    @property
    def symmetry(self) -> PlaneMotions:
        """The group that the encoder names; a plain network obeys none and names one all the same."""
        return self.encoder.symmetry

    @property
    def domain(self) -> Domain:
        """Where the images live."""
        return self.decoder.domain

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, H) of the images that the model knows."""
        return (self.decoder.channels, *self.domain.shape)

    def check_domain(self, domain: Domain) -> None:
        """Refuse data, by what is known of their domain, that the model was told another thing of.

        Raises:
            ValueError: if they are of another kind; here nothing is asked.
        """

    @abstractmethod
    def encode(self, batch: Batch) -> Posterior:
        """q(z|x)."""

    @abstractmethod
    def score(self, batch: Batch, *, sample: bool = True, by_block: bool = True) -> ELBO:
        """The ELBO of a batch, with a draw from the posterior; with its mean, if not `sample`.

        Args:
            batch: the images.
            sample: whether to draw.
            by_block: whether the KL has to be told apart by block, which can take much longer.
        """

    @abstractmethod
    def reconstruct(self, batch: Batch, posterior: Posterior) -> Tensor:
        """Images at the mode of the posterior of a batch, (B, C, H, H)."""

    @abstractmethod
    def log_prob(self, batch: Batch, z: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""

    @abstractmethod
    def elbo(self, batch: Batch, noise: Tensor) -> Tensor:
        """ELBO of images with the draw that standard normal noise (B, D) makes, (B,), nats."""

    @abstractmethod
    def fitted_prior(
        self,
        q: Posterior,
        held_out: Posterior,
        fit: OrbitFit,
        symmetry: PlaneMotions | None = None,
    ) -> nn.Module:
        """The prior that latents of trained encoders look as if they came from; the model keeps its own.

        Args:
            q: posteriors of the images to fit.
            held_out: of others, to choose the number of components by.
            fit: how.
            symmetry: whose orbits the latents lie on, if not the model's.
        """

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z) for latents (B, D)."""
        return self.likelihood.mean(self.decoder(self.framed(z)))

    def segment(self, z: Tensor) -> Tensor:
        """Probabilities that a pixel belongs to the object, (B, 1, H, H), for latents (B, D).

        Raises:
            ValueError: if the model knows no masks.
        """
        if self.mask is None:
            raise ValueError(
                "this model decodes no mask. Train one with mask=harmonic, steerable or plain on images "
                "whose masks are known."
            )
        return self.mask(self.framed(z))

    def framed(self, z: Tensor) -> Tensor:
        """Latents (B, D) as the decoder draws them: the same, unless a prior gives objects other frames."""
        return z

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, rounds: int | None = None
    ) -> Tensor:
        """Mean images of n draws from the prior, see `settle`."""
        return self.decode(self.settle(self.prior.sample(n, generator), generator, rounds=rounds))

    @torch.no_grad()
    def settle(
        self, z: Tensor, generator: torch.Generator | None = None, *, rounds: int | None = None
    ) -> Tensor:
        """Latents moved towards those of images: z <- a draw of q(z | D(z)), a few times.

        A fitted prior is smoother than the latents of images are. Decoded and encoded again, a draw from
        it comes closer to them; the poses of an equivariant model stay. After many rounds what encoder
        and decoder do wrong would add up.

        Args:
            z: draws from the prior, (B, D).
            generator: source of randomness, on the CPU.
            rounds: how many; None for as many as the prior asks for: 2 of a fitted one, else none.

        Reference: Rezende, Mohamed, Wierstra, Stochastic backpropagation and approximate inference in deep
        generative models (2014), appendix F, for the Markov chain that this is the start of.
        """
        rounds = self.prior.rounds if rounds is None else rounds
        seed = int(torch.randint(2**62, (1,), generator=generator)) if rounds else 0
        noise = torch.Generator(z.device).manual_seed(seed)
        for _ in range(rounds):
            parts = z.split(_AT_ONCE)
            moved = torch.cat([self.encode(Batch(self.decode(p))).rsample(noise) for p in parts])
            # far from its training data an encoder may answer with infinite spread
            z = torch.where(moved.isfinite().all(dim=1, keepdim=True), moved, z)
        return z

    def transform(self, g: Tensor, batch: Batch) -> Tensor:
        """Move what the images show through the latent: D(g . E(x)), one motion for each image."""
        return self.decode(self.representation.act(g, self.encode(batch).mode))
