"""Ordinary networks on coordinates: no symmetry built in, the reference."""

from dataclasses import replace

from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions.gaussian import START_LOG_SCALE, GaussianPosterior
from eqvae.distributions.orbit import OrbitFit
from eqvae.models.vae import VAE
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae.encoder import check_atoms, check_symmetry
from eqvae.three.vae.orbit_prior import SpaceOrbitPrior
from eqvae.three.vae.orbit_reader import SpaceOrbitReader
from eqvae.three.vae.posed import check_space


class PlainStructureEncoder(nn.Module):
    """Structures (B, 1, N, 3) to a Gaussian on the whole latent.

    Args:
        domain: the atoms.
        representation: of the latent.
        symmetry: names the action that losses and scores use; nothing is imposed.
        hidden: width of both layers.
        scale: typical coordinate, Angstrom.
    """

    def __init__(
        self,
        domain: Points,
        representation: SpaceRepresentation,
        symmetry: SpaceMotions = SpaceMotions(),
        hidden: int = 256,
        scale: float = 10.0,
    ):
        super().__init__()
        check_atoms(domain)
        check_space(representation)
        check_symmetry(symmetry)
        self.domain, self.representation, self.symmetry = domain, representation, symmetry
        self.scale = scale
        self.trunk = _mlp(3 * domain.num_atoms, hidden)
        self.loc = nn.Linear(hidden, representation.dim)
        self.log_scale = nn.Linear(hidden, representation.num_copies)
        nn.init.zeros_(self.log_scale.weight)
        nn.init.constant_(self.log_scale.bias, START_LOG_SCALE)

    def forward(self, x: Tensor) -> GaussianPosterior:
        h = self.trunk(x.flatten(1) / self.scale)
        return GaussianPosterior(self.representation, self.loc(h), self.log_scale(h))


class PlainStructureDecoder(nn.Module):
    """Latents (B, D) to structures (B, 1, N, 3).

    Args:
        domain: the atoms.
        representation: of the latent.
        hidden: width of both layers.
        scale: typical coordinate, Angstrom.
    """

    channels = 1

    def __init__(
        self,
        domain: Points,
        representation: SpaceRepresentation,
        hidden: int = 256,
        scale: float = 10.0,
    ):
        super().__init__()
        check_atoms(domain)
        check_space(representation)
        self.domain, self.representation, self.scale = domain, representation, scale
        self.trunk = _mlp(representation.dim, hidden)
        self.out = nn.Linear(hidden, 3 * domain.num_atoms)

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * self.out(self.trunk(z)).unflatten(1, (1, -1, 3))


class PlainStructureVAE(VAE):
    """A VAE of structures whose posterior is Gaussian on the whole latent."""

    def encode(self, batch: Batch) -> GaussianPosterior:
        q = super().encode(batch)  # which a prior of the plane's kind reads as an image's
        fitted = isinstance(self.prior, SpaceOrbitPrior)
        return q if fitted else replace(q, reader=SpaceOrbitReader())

    def fitted_prior(
        self,
        q: GaussianPosterior,
        held_out: GaussianPosterior,
        fit: OrbitFit,
        symmetry: SpaceMotions | None = None,
    ) -> SpaceOrbitPrior:
        symmetry = symmetry or self.symmetry
        self.representation.check(symmetry)
        return SpaceOrbitPrior.fitted(q, held_out, fit, symmetry.linear)


def _mlp(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
