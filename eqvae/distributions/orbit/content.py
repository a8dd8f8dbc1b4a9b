"""The fitted prior of a model that knows content and pose apart: p(c) p(g), with frames.

Content is a mixture of Gaussians, an orbit mixture of the trivial group. A content's template is drawn in a
frame of the decoder's choice, and training does not ask that the frames of alike contents agree: they drift.
Templates are moved by the group as latents of other models are, so that an orbit mixture of them says by
which turn each template stands upright in one frame for all, see `frames`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.orbit.fit import OrbitFit
from eqvae.distributions.orbit.frames import NEAR, align_frames, alike
from eqvae.distributions.orbit.kinds import Kinds
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.distributions.orbit.prior import described
from eqvae.distributions.orbit.reader import OrbitReader
from eqvae.distributions.posed import PosedPosterior, to_latent
from eqvae.distributions.priors import ContentPrior, PosedPrior
from eqvae.symmetry.motions import (
    angle_of,
    compose,
    identity,
    log_scale_of,
    reflection_of,
    shift_of,
)
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

_CONTENTS = 20_000  # that frames are found from, at most
_ANGLES = 120  # of the grid that templates are compared on


class OrbitContent(ContentPrior):
    """sum_k pi_k N(mu_k, diag(s_k^2) + W_k W_k^T), fitted after training.

    Where content knows handedness, its mirror image is as likely: the mean of that over both signs.

    Args:
        dim: number of content coordinates.
        components: K.
        rank: of W_k.
        handed: how many coordinates, the last ones, a mirror gives the other sign.
    """

    def __init__(self, dim: int, components: int = 40, rank: int = 16, handed: int = 0):
        super().__init__()
        latent, symmetry = _contents(dim, handed)
        self.mixture = OrbitMixture(latent, symmetry, components, min(rank, dim - 1))

    @classmethod
    def fitted(
        cls, fit: OrbitFit, q: ContentPosterior, held_out: ContentPosterior, handed: int = 0
    ) -> "OrbitContent":
        """The prior that draws of these contents look as if they came from.

        Args:
            fit: how.
            q: contents to fit.
            held_out: of others, to choose the number of components by.
            handed: as above.
        """
        dim = q.loc.shape[1]
        latent, symmetry = _contents(dim, handed)
        known = (Latents(latent, part.loc, part.log_scale.exp()) for part in (q, held_out))
        mixture = fit(*known, [symmetry])
        content = cls(dim, mixture.components, mixture.rank, handed).to(q.loc)
        content.mixture = mixture
        return content

    def log_prob(self, c: Tensor) -> Tensor:
        return self.mixture.log_prob(c)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.mixture.sample(n, generator)

    def responsibilities(self, c: Tensor) -> Tensor:
        return self.mixture.cluster_log_prob(c).exp()


@dataclass(frozen=True)
class Templates:
    """How a decoder draws contents, each in a frame of its own.

    Attributes:
        representation: of the coefficients, irrep by irrep.
        symmetry: that moves them.
        draw: contents (B, m) -> coefficients (B, dim).
    """

    representation: Representation
    symmetry: PlaneMotions
    draw: Callable[[Tensor], Tensor]


class TemplateFrames(nn.Module):
    """Which turn brings the templates of each kind of content upright.

    Templates drift little by little as content changes; what a kind's middle asks for all its contents get.

    Args:
        components: kinds of content.

    Attributes:
        turn: h with rho(h) template upright, motions (K, 4).
        scale: how well defined an angle is among contents of a kind, radians, (K,): by how much templates
            would turn further to overlap best, see `frames`.
    """

    def __init__(self, components: int):
        super().__init__()
        self.register_buffer("turn", identity(components))
        self.register_buffer("scale", torch.zeros(components))

    @classmethod
    @torch.no_grad()
    def fitted(
        cls, kinds: OrbitMixture, contents: Tensor, templates: Templates, seed: int
    ) -> "TemplateFrames":
        """Frames in which alike kinds stand alike.

        Args:
            kinds: mixture of contents.
            contents: some, (N, m).
            templates: how they are drawn.
            seed: of the alignment.
        """
        some = contents[:: max(1, len(contents) // _CONTENTS)]
        centres, drawn = templates.draw(kinds.loc), templates.draw(some)
        latent, symmetry = templates.representation, templates.symmetry
        mixture = OrbitMixture(latent, symmetry, len(centres), 0, _ANGLES).to(centres)
        mixture.requires_grad_(False).loc.copy_(centres)
        mixture.log_scale.fill_(0.5 * math.log(float(centres.square().mean()) + 1e-12))
        log_p = torch.cat([joint.amax(0) for _, joint in kinds.parts(some)])
        exact = Latents(latent, drawn, drawn.new_zeros(len(drawn), latent.num_copies))
        frames = cls(len(centres)).to(centres)
        frames.turn.copy_(align_frames(mixture, exact, seed, log_p))
        within = _drift(mixture, drawn, log_p.argmax(1), frames.turn)
        variance = mixture.frame_scale.square() + alike(mixture.overlap).to(within) @ within
        frames.scale.copy_(variance.sqrt())
        return frames


def _drift(mixture: OrbitMixture, drawn: Tensor, kind: Tensor, turn: Tensor) -> Tensor:
    """Variance of the angle at which templates overlap best with the middle of their kind, (K,)."""
    to_middle = OrbitReader(mixture).read_vector(drawn, kind).mode
    off = compose(to_middle, turn[kind])  # the middle stands upright, after its turn
    angle = (angle_of(off) + math.pi) % (2 * math.pi) - math.pi
    here = (angle.abs() < NEAR) & (reflection_of(off) < 0.5)  # not at a symmetry of the template
    count = torch.zeros_like(mixture.frame_scale).index_add_(0, kind, here.to(angle)).clamp_min(1)
    sums = [
        torch.zeros_like(count).index_add_(0, kind, here * power) / count
        for power in (angle, angle.square())
    ]
    return (sums[1] - sums[0].square()).clamp_min(0)


class OrbitPosedPrior(Kinds, PosedPrior):
    """p(c) p(g) with p(c) an `OrbitContent`: the fitted prior of a model that knows content and pose apart.

    Args:
        representation: of the latent.
        components, rank: of the content, see `OrbitContent`.
        position_scale: standard deviation of the position, pixels.
        frames: of templates, a `TemplateFrames`; None leaves them as the decoder draws them.
        log_scale_width: standard deviation of the log-scale, where the latent has one.
    """

    def __init__(
        self,
        representation: Representation,
        components: int = 40,
        rank: int = 16,
        position_scale: float = 5.0,
        frames: TemplateFrames | None = None,
        log_scale_width: float = 0.5,
    ):
        content = OrbitContent(representation.multiplicities[0], components, rank)
        super().__init__(representation, content, position_scale, log_scale_width)
        self.frames = frames

    @property
    def mixture(self) -> OrbitMixture:
        """Of the contents."""
        return self.content.mixture

    @classmethod
    def fitted(
        cls,
        q: PosedPosterior,
        held_out: PosedPosterior,
        fit: OrbitFit,
        templates: Templates,
    ) -> "OrbitPosedPrior":
        """The prior that draws of these posteriors look as if they came from, see `OrbitPrior.fitted`.

        Args:
            q, held_out, fit: as there.
            templates: how contents are drawn.
        """
        latent = q.representation
        content = OrbitContent.fitted(fit, q.content, held_out.content)
        mixture = content.mixture
        scale = float(shift_of(q.pose.mode).square().mean().sqrt().clamp_min(1e-3))
        prior = cls(latent, mixture.components, mixture.rank, scale).to(q.content.loc)
        if latent.scale:
            width = float(log_scale_of(q.pose.mode).square().mean().sqrt().clamp_min(1e-3))
            prior.pose = replace(prior.pose, log_scale_width=width)
        prior.content = content
        prior.frames = TemplateFrames.fitted(mixture, q.content.loc, templates, fit.seed)
        return prior

    def upright(self, v: Tensor) -> Tensor:
        return to_latent(self.representation, v, identity(len(v)).to(v))

    def description(self) -> dict[str, Any]:
        """What `build` makes a prior of the same shape from."""
        return {
            "_target_": "eqvae.distributions.orbit.OrbitPosedPrior",
            "representation": described(self.representation),
            "components": self.mixture.components,
            "rank": self.mixture.rank,
            "position_scale": self.pose.position_scale,
            "log_scale_width": self.pose.log_scale_width,
            "frames": self.frames
            and {
                "_target_": "eqvae.distributions.orbit.TemplateFrames",
                "components": self.mixture.components,
            },
        }


def _contents(dim: int, handed: int) -> tuple[Representation, PlaneMotions]:
    """How contents move: not at all, but for those that know handedness."""
    latent = Representation((dim - handed,), position=False, sign=handed)
    return latent, PlaneMotions.dihedral(1) if handed else PlaneMotions.trivial()
