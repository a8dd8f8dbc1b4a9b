"""The fitted priors of models of structures: a few kinds of content, both hands of each, at every pose.

    p(c, g) = p(g) sum_k pi_k 1/|M| sum_m N(m^-1 c; mu_k, S_k)

M is the trivial group, or where mirror images count, 1 and the inversion, which changes the sign of 0o. On
the orbits of SO(3) this needs no grid: content does not move, and p(g) is Haar's measure. What a model says
of shifts stays as it was trained, since structures may stand elsewhere tomorrow. Templates need no frames
either: the decoder draws all of them about one reference, see `CanonicalDecoder`.

Latents of a network without symmetry hold vectors that a pose is one with. Elsewhere than its training
structures such a network draws nothing of use, so that positions are fitted too:

    p(t, v) = N(t; 0, position_scale^2) p(v),    p(v) a `SpaceOrbitMixture`
"""

from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions.gaussian import GaussianPosterior, GaussianPrior
from eqvae.distributions.orbit import Latents, OrbitContent, OrbitFit, OrbitMixture
from eqvae.distributions.orbit.kinds import Kinds
from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.vae.orbit_mixture import SpaceOrbitMixture, align_frames, fit_components
from eqvae.three.vae.orbit_reader import SpaceOrbitReader
from eqvae.three.vae.posed import SpacePosedPosterior, handed_signs, to_latent
from eqvae.three.vae.prior import SpacePosedPrior


class SpaceOrbitPosedPrior(Kinds, SpacePosedPrior):
    """p(c) Haar(R) N(t; 0, position_scale^2) with p(c) an `OrbitContent`.

    Args:
        representation: of the latent.
        components, rank: of the content, see `OrbitContent`.
        mirrors: whether both hands of a structure are alike.
        position_scale: standard deviation of the shift, Angstrom.
    """

    def __init__(
        self,
        representation: SpaceRepresentation,
        components: int = 40,
        rank: int = 16,
        mirrors: bool = False,
        position_scale: float = 20.0,
    ):
        dim, handed = len(handed_signs(representation)), _handed(representation, mirrors)
        content = OrbitContent(dim, components, rank, handed)
        super().__init__(representation, position_scale, content)
        self.mirrors = mirrors

    @property
    def mixture(self) -> OrbitMixture:
        """Of the contents."""
        return self.content.mixture

    @classmethod
    def fitted(
        cls,
        q: SpacePosedPosterior,
        held_out: SpacePosedPosterior,
        fit: OrbitFit,
        symmetry: SpaceMotions,
        position_scale: float,
    ) -> "SpaceOrbitPosedPrior":
        """The prior that draws of these contents look as if they came from.

        Args:
            q: of the structures to fit.
            held_out: of others, to choose the number of components by.
            fit: how.
            symmetry: SE(3), or E(3) where both hands are alike.
            position_scale: of the prior that the model was trained with, Angstrom.
        """
        latent, mirrors = q.representation, symmetry.parity
        content = OrbitContent.fitted(fit, q.content, held_out.content, _handed(latent, mirrors))
        mixture = content.mixture
        prior = cls(latent, mixture.components, mixture.rank, mirrors, position_scale)
        prior.content = content
        return prior.to(q.content.loc)

    def upright(self, v: Tensor) -> Tensor:
        """Latents of contents, in the reference's pose, (n, D)."""
        still = SpaceMotions().identity(len(v)).to(v)
        return to_latent(self.representation, v, still)

    def description(self) -> dict[str, Any]:
        """What `build` makes a prior of the same shape from."""
        return {
            "_target_": "eqvae.three.vae.SpaceOrbitPosedPrior",
            "representation": _described(self.representation),
            "components": self.mixture.components,
            "rank": self.mixture.rank,
            "mirrors": self.mirrors,
            "position_scale": self.position_scale,
        }


class SpaceOrbitPrior(Kinds, nn.Module):
    """N(t; 0, position_scale^2) p(v) with p(v) a `SpaceOrbitMixture`.

    Args:
        representation: of the latent.
        symmetry: whose orbits v lies on; None for a mixture that stands still.
        components: of v.
        position_scale: standard deviation of the position, Angstrom.
    """

    rounds = 0  # without symmetry draws don't settle: beside its training data an encoder answers anything

    def __init__(
        self,
        representation: SpaceRepresentation,
        symmetry: SpaceRotations | None,
        components: int = 40,
        position_scale: float = 20.0,
    ):
        super().__init__()
        self.representation = representation
        self.position_scale = position_scale
        self.place = None
        if representation.position:
            self.place = GaussianPrior(SpaceRepresentation((), position=True), position_scale)
        self.mixture = SpaceOrbitMixture(representation.vector, symmetry, components)

    @classmethod
    def fitted(
        cls,
        q: GaussianPosterior,
        held_out: GaussianPosterior,
        fit: OrbitFit,
        symmetry: SpaceRotations,
    ) -> "SpaceOrbitPrior":
        """The prior that draws of these posteriors look as if they came from, their positions too.

        Args:
            q, held_out, fit: as of `SpaceOrbitPosedPrior`.
            symmetry: whose orbits they may lie on; on none where held-out latents are likelier so.
        """
        known = [Latents.of(part) for part in (q, held_out)]
        mixture = fit.choose(fit_components, *known, [symmetry, None])
        align_frames(mixture, known[0], fit.seed)
        place = q.representation.slices.position
        square = q.loc[:, place].square() + q.scale[:, place].square()
        scale = float(square.mean().sqrt().clamp_min(1e-3)) if q.representation.position else 1.0
        prior = cls(q.representation, mixture.symmetry, mixture.components, scale)
        prior.mixture = mixture
        return prior.to(q.loc)

    @property
    def reader(self) -> SpaceOrbitReader:
        """How content, pose and cluster are read from a posterior."""
        return SpaceOrbitReader(self.mixture)

    def upright(self, v: Tensor) -> Tensor:
        """Latents of vectors in the frames of their components, at the origin, (n, D)."""
        return torch.cat([v.new_zeros(len(v), self.representation.dim - v.shape[1]), v], dim=1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents of n draws, (n, D)."""
        v = self.mixture.sample(n, generator)
        return v if self.place is None else torch.cat([self.place.sample(n, generator).to(v), v], 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (B,)."""
        parts = self.representation.slices
        found = self.mixture.log_prob(z[:, parts.vector])
        return found if self.place is None else found + self.place.log_prob(z[:, parts.position])

    def kl(self, q: GaussianPosterior, z: Tensor) -> dict[str, Tensor]:
        """E log q(z_b | x) - log p(z_b | blocks of v before b), nats by block, each (B,); right on average.

        Args:
            q: the posterior.
            z: draws from it, (B, D).
        """
        parts, entropy = self.representation.slices, q.entropy_by_block()
        found = self.mixture.log_prob_by_block(z[:, parts.vector])
        if self.place is not None:
            found = {"position": self.place.log_prob(z[:, parts.position]), **found}
        return {name: -entropy[name] - log_p for name, log_p in found.items()}

    def kl_in_all(self, q: GaussianPosterior, z: Tensor) -> Tensor:
        """The sum of `kl` over the blocks, (B,), in one evaluation."""
        return -sum(q.entropy_by_block().values()) - self.log_prob(z)

    def description(self) -> dict[str, Any]:
        """What `build` makes a prior of the same shape from."""
        symmetry = self.mixture.symmetry
        return {
            "_target_": "eqvae.three.vae.SpaceOrbitPrior",
            "representation": _described(self.representation),
            "symmetry": symmetry
            and {"_target_": "eqvae.symmetry.SpaceRotations", "parity": symmetry.parity},
            "components": self.mixture.components,
            "position_scale": self.position_scale,
        }


def _described(representation: SpaceRepresentation) -> dict[str, Any]:
    return {"_target_": "eqvae.symmetry.SpaceRepresentation.parse", "text": str(representation)}


def _handed(representation: SpaceRepresentation, mirrors: bool) -> int:
    """How many coordinates of content a mirror image has with the other sign."""
    return representation.multiplicities.get("0o", 0) if mirrors else 0
