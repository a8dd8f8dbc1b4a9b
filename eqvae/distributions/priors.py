"""Priors of content: p(c), and of whole latents with a pose.

    normal     N(0, I)
    mixture    sum_k pi_k N(mu_k, diag s_k^2), all learned: the components are the clusters
    vamp       mean of q(c | u_k) over learned pseudo-images u_k

The KL of the normal prior is closed; the others take the difference of log densities at the draw that is
decoded, which has the right mean. All densities in nats, summed over the coordinates.

References: Jiang, Zheng, Tan, Tang, Zhou: Variational deep embedding (2017), https://arxiv.org/abs/1611.05148,
for the mixture; Tomczak, Welling: VAE with a VampPrior (2018), https://arxiv.org/abs/1705.07120, eq. 9.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.pose_prior import PosePrior
from eqvae.distributions.posed import PosedPosterior, check_pose_latent, from_latent, to_latent
from eqvae.symmetry.motions import motion, with_log_scale
from eqvae.symmetry.representations import Representation


class ContentPrior(nn.Module, ABC):
    """p(c)."""

    @abstractmethod
    def log_prob(self, c: Tensor) -> Tensor:
        """log p(c) in nats, (B,)."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws, (n, m)."""

    def kl(self, q: ContentPosterior, c: Tensor) -> Tensor:
        """KL(q || p) in nats, (B,), with c ~ q where no closed form exists."""
        return q.log_prob(c) - self.log_prob(c)

    def responsibilities(self, c: Tensor) -> Tensor | None:
        """p(component | c), (B, K); None if the prior has no components that are clusters."""
        return None

    def log_kinds(self, c: Tensor) -> Tensor | None:
        """Its logarithm, never below -69."""
        found = self.responsibilities(c)
        return None if found is None else found.clamp_min(1e-30).log()

    def bind(self, encoder: nn.Module) -> None:
        """Lend the model's encoder to a prior that needs it."""

    def start(self, coefficients: Tensor, posterior: ContentPosterior, seed: int) -> None:
        """Set what should start from data: coefficients (N, C, dim) and content of training images."""


class NormalContent(ContentPrior):
    """N(0, I).

    Args:
        dim: number of content coordinates.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("loc", torch.zeros(dim), persistent=False)

    def log_prob(self, c: Tensor) -> Tensor:
        return normal_log_prob(c, self.loc, torch.ones_like(self.loc)).sum(dim=1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, len(self.loc), generator=generator, dtype=self.loc.dtype)
        return noise.to(self.loc.device)

    def kl(self, q: ContentPosterior, c: Tensor) -> Tensor:
        log_scale = q.log_scale
        by_coordinate = 0.5 * (q.loc.square() + (2 * log_scale).exp() - 1) - log_scale
        return by_coordinate.sum(dim=1)


class MixtureContent(ContentPrior):
    """A mixture of Gaussians with learned weights, means and variances: its components are clusters.

    It is N(0, I) until `start` sets the components (the callback `StartPrior` does that after some
    epochs): components that start at random all end at the same place.

    Args:
        dim: number of content coordinates.
        components: K.

    Raises:
        ValueError: if there are fewer than 2 components.
    """

    def __init__(self, dim: int, components: int = 10):
        super().__init__()
        if components < 2:
            raise ValueError(
                f"components must be at least 2; got {components}. Use NormalContent for 1."
            )
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.zeros(components, dim))
        self.log_scale = nn.Parameter(torch.zeros(components, dim))
        self.register_buffer("started", torch.zeros(()))

    @torch.no_grad()
    def start(self, coefficients: Tensor, posterior: ContentPosterior, seed: int) -> None:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        # k-means finds the same clusters from most starts; mixtures of Gaussians end in many optima
        with threadpool_limits(1):
            found = KMeans(len(self.logits), n_init=10, random_state=seed).fit(
                posterior.loc.cpu().numpy()
            )
        member = nn.functional.one_hot(torch.from_numpy(found.labels_).long()).to(posterior.loc)
        size = member.sum(dim=0)
        loc = member.T @ posterior.loc / size[:, None]
        square = posterior.loc.square() + (2 * posterior.log_scale).exp()  # of draws, not of means
        variance = member.T @ square / size[:, None] - loc.square()
        self.logits.copy_((size / size.sum()).log())
        self.loc.copy_(loc)
        self.log_scale.copy_(0.5 * variance.clamp_min(1e-4).log())
        self.started.fill_(1.0)

    def log_joint(self, c: Tensor) -> Tensor:
        """log p(c, k), (B, K)."""
        by_coordinate = normal_log_prob(c[:, None], self.loc, self.log_scale.exp())
        return self.logits.log_softmax(0) + by_coordinate.sum(dim=2)

    def log_prob(self, c: Tensor) -> Tensor:
        return self.log_joint(c).logsumexp(dim=1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        k = torch.multinomial(
            self.logits.softmax(0).cpu(), n, replacement=True, generator=generator
        )
        noise = torch.randn(n, self.loc.shape[1], generator=generator, dtype=self.loc.dtype)
        k = k.to(self.loc.device)
        return self.loc[k] + self.log_scale[k].exp() * noise.to(self.loc.device)

    def responsibilities(self, c: Tensor) -> Tensor | None:
        return self.log_joint(c).softmax(dim=1) if self.started > 0 else None

    def export(self) -> nn.Module:
        """What says of which component contents are, without asking whether the mixture has started."""
        return StartedMixture(self) if self.started > 0 else NormalContent(self.loc.shape[1])


class StartedMixture(nn.Module):
    """Says of which component of a `MixtureContent` that has started contents are: a plain graph.

    Args:
        mixture: the prior.
    """

    def __init__(self, mixture: MixtureContent):
        super().__init__()
        self.mixture = mixture

    def responsibilities(self, c: Tensor) -> Tensor:
        """p(component | c), (B, K)."""
        return self.mixture.log_joint(c).softmax(dim=1)


class VampContent(ContentPrior):
    """The mean of the posteriors of learned pseudo-images, kept as disk-harmonic coefficients.

    It is N(0, I) until `start` takes its first pseudo-images from the data.

    Args:
        dim: number of content coordinates.
        harmonics: the `DiskHarmonics` of the pseudo-images, those of the encoder.
        components: number of pseudo-images.
    """

    def __init__(
        self,
        dim: int,
        harmonics: Any,
        components: int = 50,
    ):
        super().__init__()
        self.pseudo = nn.Parameter(torch.zeros(components, harmonics.channels, harmonics.dim))
        self.register_buffer("started", torch.zeros(()))
        self.dim = dim

    def bind(self, encoder: nn.Module) -> None:
        self.__dict__["encoder"] = encoder  # lent, not owned: its weights are the model's

    @torch.no_grad()
    def start(self, coefficients: Tensor, posterior: ContentPosterior, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(coefficients), (len(self.pseudo),), generator=generator)
        self.pseudo.copy_(coefficients[rows.to(coefficients.device)])
        self.started.fill_(1.0)

    def _components(self) -> ContentPosterior:
        if self.started == 0:
            zero = self.pseudo.new_zeros(1, self.dim)
            return ContentPosterior(zero, zero)
        return self.encoder(self.pseudo)

    def _joint(self, c: Tensor) -> Tensor:
        q = self._components()
        by_coordinate = normal_log_prob(c[:, None], q.loc, q.log_scale.exp())
        return by_coordinate.sum(dim=2) - math.log(len(q.loc))

    def log_prob(self, c: Tensor) -> Tensor:
        return self._joint(c).logsumexp(dim=1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        q = self._components()
        k = torch.randint(len(q.loc), (n,), generator=generator).to(q.loc.device)
        noise = torch.randn(n, self.dim, generator=generator, dtype=q.loc.dtype).to(q.loc.device)
        return q.loc[k] + q.log_scale[k].exp() * noise


class PosedPrior(nn.Module):
    """p(z) = p(c) p(g): content, positions N(0, position_scale^2 I), every angle (and chirality) alike.

    Args:
        representation: of the latent.
        content: p(c), default N(0, I).
        position_scale: standard deviation of the position, pixels; cover the shifts in your data.
        log_scale_width: standard deviation of the log-scale, where the latent has one.
        scales: smallest and largest of scales that are alike, instead; see `PosePrior`.

    Attributes:
        frames: templates (B, dim) -> the turns (B, 4) that bring them into one frame, or None.
    """

    rounds = 0  # of `Model.settle` that make its samples better

    def __init__(
        self,
        representation: Representation,
        content: ContentPrior | None = None,
        position_scale: float = 5.0,
        log_scale_width: float = 0.5,
        scales: Sequence[float] | None = None,
    ):
        super().__init__()
        check_pose_latent(representation, bool(representation.sign))
        self.frames: nn.Module | None = None
        self.representation = representation
        self.content = content or NormalContent(representation.multiplicities[0])
        self.pose = PosePrior(position_scale, log_scale_width, scales)
        scale = torch.ones(representation.dim)
        scale[representation.slices.position] = position_scale
        scale[representation.slices.scale] = log_scale_width
        self.register_buffer("scale", scale, persistent=False)

    def knows_kinds(self, groups: int | None = None) -> bool:
        """Whether `kinds` can tell so many groups of objects apart: the components of a learned mixture."""
        zero = self.scale.new_zeros(1, self.representation.multiplicities[0])
        found = self.content.responsibilities(zero)
        return found is not None and groups in (None, found.shape[1])

    @torch.no_grad()
    def kinds(self, content: Tensor, groups: int | None = None, seed: int = 0) -> Tensor:
        """p(component | content), (N, K), of a prior that `knows_kinds`."""
        return self.content.responsibilities(content)

    @property
    def blocks(self) -> tuple[str, str]:
        """Names of the two parts of the KL: content, and the pose as one."""
        part = self.representation.slices.content
        return next(b.name for b in self.representation.blocks if b.slice == part), "pose"

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents of n draws, (n, D)."""
        c = self.content.sample(n, generator)
        u = torch.rand(n, 2, generator=generator, dtype=self.scale.dtype)
        shift = torch.randn(n, 2, generator=generator, dtype=self.scale.dtype) * self.scale[0].cpu()
        chirality = (u[:, 1] < 0.5).to(u) * self.representation.sign
        g = motion(2 * math.pi * u[:, 0], shift, chirality, dtype=u.dtype)
        if self.representation.scale:
            g = with_log_scale(g, self.pose.sample_log_scale(n, generator).to(g))
        return to_latent(self.representation, c, g.to(c))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) with respect to dt dc and the Haar measure of the angle, nats, (B,)."""
        c, g = from_latent(self.representation, z)
        return self.content.log_prob(c) + self.pose.log_prob(g)

    def kl(self, q: PosedPosterior) -> dict[str, Tensor]:
        """KL(q || p) in nats, each (B,): closed or, where it is not, from one draw."""
        g = q.pose.sample()
        content = self.content.kl(q.content, q.content.rsample())
        pose = q.pose.log_prob(g) - self.pose.log_prob(g)
        return dict(zip(self.blocks, (content, pose), strict=True))
