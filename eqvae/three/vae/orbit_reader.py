"""Content, pose and cluster of a Gaussian latent of space, read by an orbit mixture.

clusters            p(k | v)
pose                p(R | v), matrix Fisher for each component and hand
canonical content   rho(m R)^-1 v at the likeliest of them
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.reader import Reader
from eqvae.symmetry.space import SpaceRotations, spin_of_matrix
from eqvae.three.vae.matrix_fisher import proper_svd
from eqvae.three.vae.orbit_mixture import Explained, SpaceOrbitMixture
from eqvae.three.vae.pose import SpacePosePosterior


@dataclass(frozen=True)
class SpaceOrbitReader(Reader):
    """Reads posteriors by an orbit mixture of space.

    Args:
        mixture: of v; None where no prior is fitted: then no turn and no cluster can be told.
    """

    mixture: SpaceOrbitMixture | None = None

    def has_pose(self, q: GaussianPosterior) -> bool:
        """Whether the mixture lies on orbits: where it stands still, no turn can be told."""
        return self.mixture is not None and self.mixture.symmetry is not None

    @torch.no_grad()
    def read(self, q: GaussianPosterior) -> Explained | None:
        """What the mixture says of the means."""
        if self.mixture is None:
            return None
        return self.mixture.explain(q.loc[:, q.representation.slices.vector])

    def content(self, q: GaussianPosterior) -> ContentPosterior:
        """Canonical content: v moved back by its likeliest element, (B, D - 3)."""
        part = q.representation.slices.vector
        still = q.loc[:, part]
        if self.has_pose(q):
            hands, group = q.reading.log_joint.shape[2], SpaceRotations(parity=True)
            best = q.reading.log_joint.flatten(1).argmax(dim=1)
            f = q.reading.concentration.flatten(1, 2)[torch.arange(len(best)), best]
            # the second hand is the mirror image
            sign = 1 - 2 * (best % hands)[:, None, None].to(f)
            turn = spin_of_matrix(sign * proper_svd(f).mode)
            still = q.representation.vector.act(group.inverse(turn).to(still), still)
        return ContentPosterior(still, q.scale[:, part].log())

    def pose(self, q: GaussianPosterior) -> SpacePosePosterior:
        """The rotation, mixed over components and hands, and the position.

        Raises:
            ValueError: if no turn can be told.
        """
        if not self.has_pose(q):
            raise ValueError(
                "no pose can be read: the latents of this model lie on no orbits, or no prior is fitted to "
                "them. Train it with a penalty, such as objective=elbo_soft, or take model=se3."
            )
        place = q.representation.slices.position
        return SpacePosePosterior(
            concentration=q.reading.concentration.flatten(1, 2),
            log_weights=q.reading.log_shares.flatten(1),
            shift=q.loc[:, place].double(),
            shift_scale=q.scale[:, place.start].double(),
        )

    def cluster(self, q: GaussianPosterior) -> Tensor | None:
        if self.mixture is None:
            return None
        return q.reading.log_shares.logsumexp(dim=2).to(q.loc)
