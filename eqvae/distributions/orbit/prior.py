"""The prior of a latent z = (t, [s,] v) whose objects lie on orbits: p(z) = p(t) p(s) p(v).

v is an `OrbitMixture`. Positions get one too, of rings: mixtures of Gaussians at some distance from the
image centre, turned by every angle, so that p(t) depends on |t| alone and has the extent of the data. No
proper prior is unchanged by shifts. Log-scales s, where there are any, are normal.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.orbit.fit import OrbitFit, fit_components, refine_grid
from eqvae.distributions.orbit.kinds import Kinds
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.distributions.orbit.reader import OrbitReader
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

PLANE = Representation(
    (0, 1), position=False
)  # a position about the image centre turns as psi_1 does
_SMALLEST = 1e-6  # variance of the log-scale: objects may all be of one size


class OrbitPrior(Kinds, nn.Module):
    """p(t) p(v), both invariant under the symmetry.

    Args:
        representation: of the latent.
        symmetry: whose orbits the latents lie on; trivial for networks without one.
        components: of v.
        rank: of their covariances, see `OrbitMixture`.
        angles: of the grid that turns are summed over.
        rings: components of the position.
        ring_angles: of their grid.
    """

    def __init__(
        self,
        representation: Representation,
        symmetry: PlaneMotions,
        components: int = 40,
        rank: int = 16,
        angles: int = 64,
        rings: int = 3,
        ring_angles: int = 64,
    ):
        super().__init__()
        self.representation = representation
        self.mixture = OrbitMixture(
            representation.vector, symmetry.linear, components, rank, angles
        )
        self.place = None
        if representation.position:
            self.place = OrbitMixture(PLANE, PlaneMotions.so2(), rings, 0, ring_angles)
        self.size = NormalSize() if representation.scale else None
        self.register_buffer("scale", torch.ones(representation.dim))

    @classmethod
    def fitted(
        cls,
        q: GaussianPosterior,
        held_out: GaussianPosterior,
        symmetries: Sequence[PlaneMotions],
        fit: OrbitFit,
    ) -> "OrbitPrior":
        """The prior that draws of these posteriors look as if they came from.

        Args:
            q: of the images to fit.
            held_out: of others, to choose the number of components by.
            symmetries: whose orbits the latents may lie on, see `OrbitFit`.
            fit: how.
        """
        latent = q.representation
        linear = list(dict.fromkeys(symmetry.linear for symmetry in symmetries))
        mixture = fit(Latents.of(q), Latents.of(held_out), linear)
        prior = cls(latent, mixture.symmetry, mixture.components, mixture.rank, mixture.angles).to(
            q.loc
        )
        prior.mixture = mixture
        if latent.position:
            where = Latents(PLANE, q.loc[:, latent.slices.position], q.scale[:, :1])
            rings = min(prior.place.components, len(where))
            prior.place = fit_components(where, PlaneMotions.so2(), rings, 0, fit.seed)
            refine_grid(prior.place, where, fit.seed)
            prior.scale[latent.slices.position] = where.spread(False).sqrt()
        if latent.scale:
            part = latent.slices.scale
            prior.size.fit(q.loc[:, part], q.scale[:, part])
            prior.scale[part] = prior.size.width
        return prior

    def description(self) -> dict[str, Any]:
        """What `build` makes a prior of the same shape from."""
        latent = self.representation
        return {
            "_target_": "eqvae.distributions.orbit.OrbitPrior",
            "representation": described(latent),
            "symmetry": described(self.mixture.symmetry),
            "components": self.mixture.components,
            "rank": self.mixture.rank,
            "angles": self.mixture.angles,
            "rings": self.place.components if self.place is not None else 1,
            "ring_angles": self.place.angles if self.place is not None else 1,
        }

    @property
    def reader(self) -> OrbitReader:
        """How content, pose and cluster are read from a posterior."""
        return OrbitReader(self.mixture)

    def upright(self, v: Tensor) -> Tensor:
        z = v.new_zeros(len(v), self.representation.dim)
        z[:, self.representation.slices.vector] = v
        return z

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents of n draws, (n, D)."""
        v = self.mixture.sample(n, generator)
        before = [
            part.sample(n, generator).to(v) for part in (self.place, self.size) if part is not None
        ]
        return torch.cat([*before, v], 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (B,)."""
        parts = self.representation.slices
        found = self.mixture.log_prob(z[:, parts.vector])
        if self.place is not None:
            found = found + self.place.log_prob(z[:, parts.position])
        return found if self.size is None else found + self.size.log_prob(z[:, parts.scale])

    def kl(self, q: GaussianPosterior, z: Tensor) -> dict[str, Tensor]:
        """E log q(z_b | x) - log p(z_b | blocks of v before b), nats by block, each (B,); right on average.

        Args:
            q: the posterior.
            z: draws from it, (B, D).
        """
        parts = self.representation.slices
        found = self.mixture.log_prob_by_block(z[:, parts.vector])
        if self.size is not None:
            found = {self.size.block: self.size.log_prob(z[:, parts.scale]), **found}
        if self.place is not None:
            found = {"position": self.place.log_prob(z[:, parts.position]), **found}
        entropy = q.entropy_by_block()
        return {name: -entropy[name] - log_p for name, log_p in found.items()}

    def kl_in_all(self, q: GaussianPosterior, z: Tensor) -> Tensor:
        """The sum of `kl` over the blocks, (B,), several times faster."""
        return -sum(q.entropy_by_block().values()) - self.log_prob(z)


class NormalSize(nn.Module):
    """A normal distribution of log-scales (B, 1)."""

    block = "log_scale"

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("width", torch.ones(1))

    def fit(self, loc: Tensor, scale: Tensor) -> None:
        """To draws of posteriors with these means and standard deviations, each (N, 1)."""
        self.mean.copy_(loc.mean(0))
        variance = loc.var(0, unbiased=False) + scale.square().mean(0)
        self.width.copy_(variance.clamp_min(_SMALLEST).sqrt())

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, 1, generator=generator, dtype=self.mean.dtype).to(self.mean.device)
        return self.mean + self.width * noise

    def log_prob(self, s: Tensor) -> Tensor:
        return normal_log_prob(s, self.mean, self.width)[:, 0]


def described(value: Representation | PlaneMotions) -> dict[str, Any]:
    """The constructor call that makes an equal value, as a configuration has it."""
    plain = {f.name: getattr(value, f.name) for f in fields(value)}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}
    return {"_target_": f"eqvae.symmetry.{type(value).__name__}", **plain}
