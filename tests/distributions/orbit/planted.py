"""Mixtures with known parameters, and latents drawn from them, for the tests of this folder."""

import torch
from torch import Tensor

from eqvae.distributions.orbit import Latents, OrbitMixture
from eqvae.symmetry import PlaneMotions, Representation

LATENT = Representation((2, 2, 1), position=False)
SO2, O2, TRIVIAL = PlaneMotions.so2(), PlaneMotions.o2(), PlaneMotions.trivial()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def planted(
    latent: Representation = LATENT,
    symmetry: PlaneMotions = SO2,
    components: int = 3,
    rank: int = 0,
    *,
    distance: float = 2.0,
    scale: float = 0.3,
    angles: int = 64,
    seed: int = 0,
) -> OrbitMixture:
    """Means of standard deviation `distance`, about `scale` around them, unlike weights; float64."""
    generator = seeded(seed)

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    mixture = OrbitMixture(latent, symmetry, components, rank, angles).double()
    mixture.loc.copy_(distance * draw(mixture.loc))
    mixture.log_scale.copy_(torch.tensor(scale).log() + 0.3 * draw(mixture.log_scale))
    mixture.logits.copy_(0.3 * draw(mixture.logits))
    mixture.factor.copy_(scale * draw(mixture.factor))
    return mixture.requires_grad_(False)


def known(v: Tensor, latent: Representation = LATENT, scale: float = 0.0) -> Latents:
    """Latents of means v, all known equally well."""
    return Latents(latent, v, torch.full((len(v), latent.num_copies), scale).to(v))


def motions(symmetry: PlaneMotions, n: int, seed: int = 1) -> Tensor:
    """Without shift, in float64, (n, 4)."""
    return symmetry.sample(n, generator=seeded(seed)).double()
