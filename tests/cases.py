"""What the tests of laws run over: groups, latents, and motions of each group."""

import torch
from torch import Tensor

from eqvae.domains import SquareGrid
from eqvae.nn import DiskHarmonics
from eqvae.symmetry import PlaneMotions, Representation

SYMMETRIES = [
    PlaneMotions.trivial(),
    PlaneMotions.cyclic(4),
    PlaneMotions.cyclic(8),
    PlaneMotions.dihedral(1),
    PlaneMotions.dihedral(4),
    PlaneMotions.so2(),
    PlaneMotions.o2(),
]
LATENTS = [
    Representation(multiplicities=(4, 2, 1)),
    Representation(multiplicities=(0, 1, 0, 3), sign=2),
    Representation(multiplicities=(3,), sign=1, position=False),
    Representation(multiplicities=(1, 2, 3, 1), position=False),
]
BY_NAME = {"ids": lambda value: getattr(value, "name", None) or str(value)}


def draw(symmetry: PlaneMotions, n: int, seed: int = 0, shift: float = 4.0) -> Tensor:
    """Random motions in float64, (n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return symmetry.sample(n, shift=shift, generator=generator).double()


def basis(
    size: int, channels: int = 1, degree: int = 22, radius: float | None = None
) -> DiskHarmonics:
    """Disk harmonics for images of `size` pixels a side."""
    return DiskHarmonics(SquareGrid(size), channels, degree, radius)


def latent_id(representation: Representation) -> str:
    return "+".join(f"{b.copies}{b.name}" for b in representation.blocks)


def move(g: Tensor, x: Tensor, interpolation: str = "bicubic") -> Tensor:
    """g x on the grid that images (B, C, H, H) live on."""
    return SquareGrid.of(x).act(g, x, interpolation)
