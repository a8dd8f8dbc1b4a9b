"""Canonicalised networks: a small equivariant network finds the pose, a plain one does the rest.

    encoder: g = c(x),   q(z|x) = g . q_0(z | g^-1 x)          c(h x) = h c(x)
    decoder: g = c(z),   D(z) = g . D_0(g^-1 z)                c from the position and first psi_1 of z

Both laws then hold whatever q_0 and D_0 are, up to the interpolation of images. Where an object has no
direction of its own, the angle jumps, as every continuous choice of one must.

References: Kaba et al., Equivariance with learned canonicalization functions (2023),
https://arxiv.org/abs/2211.06489.
"""

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior, read_pose
from eqvae.nn.fibre import FibreMLP
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.localise import Localiser
from eqvae.nn.network import Wrapper, refuse_scale
from eqvae.symmetry.motions import inverse, motion
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class Canonicaliser(nn.Module):
    """Where an object is and which way it points: motions c(x) with c(g x) = g c(x) under SE(2).

    A localiser gives the position, a fibre network on disk harmonics about it one vector: the direction.

    Args:
        harmonics: the basis that images are read in.
        localiser: images -> positions (B, 2), default a learned `Localiser`.
        degree: what a direction needs of the basis, at most its own.
        hidden, frequency, depth: of the `FibreMLP`.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        localiser: nn.Module | None = None,
        degree: int = 12,
        hidden: int = 16,
        frequency: int = 3,
        depth: int = 2,
    ):
        super().__init__()
        self.localiser = localiser or Localiser(harmonics.domain, harmonics.channels)
        self.harmonics = harmonics.coarser(degree)
        self.mlp = FibreMLP(
            self.harmonics.representation,
            Representation((0, 1), position=False),
            PlaneMotions.so2(),
            hidden,
            frequency,
            depth,
            out_frequency=1,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Motions (B, 4) of images (B, C, H, H), without mirrors."""
        return pointing(*self.place(x))

    def place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B, 2), and vectors (B, 2) that point along the objects."""
        t = self.localiser(x)
        return t, self.mlp(self.harmonics.by_irrep(self.harmonics.analyse(x, t)))

    def export(self) -> "PreciseCanonicaliser":
        """The same, more precise."""
        return PreciseCanonicaliser(self)


class PreciseCanonicaliser(nn.Module):
    """A canonicaliser that finds positions and directions in float64, and rounds them.

    A direction that is short beside what it is the sum of has an angle that is off by 1e-5 in float32, and
    an image turned by it is off by more where it is steep.

    Args:
        canonicaliser: it becomes one of float64.
    """

    def __init__(self, canonicaliser: Canonicaliser):
        super().__init__()
        self.canonicaliser = canonicaliser.double()

    def forward(self, x: Tensor) -> Tensor:
        """Motions (B, 4) of images (B, C, H, H), of their dtype."""
        t, direction = self.canonicaliser.place(x.double())
        return pointing(t.to(x), direction.to(x))


class CanonicalEncoder(Wrapper):
    """q(z|x) = g . q_0(z | g^-1 x) with g = c(x): q(z|h x) = h q(z|x) for all of SE(2).

    Args:
        canonicaliser: images (B, C, H, H) -> motions (B, 4), c(h x) = h c(x).
        encoder: any encoder, q_0.
        interpolation: how images are moved, "bicubic" or "fourier"; both pass gradients to g.

    Raises:
        ValueError: if the encoder's symmetry has mirrors.
    """

    inner = "encoder"

    def __init__(
        self, canonicaliser: nn.Module, encoder: nn.Module, interpolation: str = "bicubic"
    ):
        super().__init__()
        check_canonical(encoder)
        self.canonicaliser = canonicaliser
        self.encoder = encoder
        self.interpolation = interpolation

    def forward(self, x: Tensor) -> GaussianPosterior:
        """The posterior of images (B, C, H, H)."""
        g = self.canonicaliser(x)
        return self.encoder(self.domain.resample(inverse(g), x, self.interpolation)).act(g)


class CanonicalDecoder(Wrapper):
    """D(z) = g . D_0(g^-1 z) with g the position and first psi_1 of z: D(h z) = h D(z) for all of SE(2).

    Args:
        decoder: any decoder, D_0.
        interpolation: how images are moved, "bicubic" or "fourier"; what comes from outside is 0.

    Raises:
        ValueError: if the decoder's symmetry has mirrors, or its latent no position or no psi_1.
    """

    inner = "decoder"

    def __init__(self, decoder: nn.Module, interpolation: str = "bicubic"):
        super().__init__()
        check_canonical(decoder)
        latent = decoder.representation
        if not (latent.position and latent.has_frame):
            raise ValueError(
                "representation must carry a position and a psi_1 for a canonical decoder, which reads "
                f"the pose there; got {latent}. Set latent.position=true and use latent=default."
            )
        self.decoder = decoder
        self.interpolation = interpolation

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        g = read_pose(self.representation, z).motion
        images = self.decoder(self.representation.act(inverse(g), z))
        return self.domain.resample(g, images, self.interpolation)


def pointing(t: Tensor, direction: Tensor) -> Tensor:
    """The motions (B, 4) that take the origin to t (B, 2) and the x axis to a direction (B, 2)."""
    return motion(torch.atan2(direction[:, 1], direction[:, 0]), t, dtype=t.dtype)


def check_canonical(part: nn.Module) -> None:
    """Refuse mirrors and scales."""
    if part.symmetry is not None:
        refuse_scale(part.representation, part.symmetry, "a canonicalised network")
    if part.symmetry is not None and part.symmetry.reflections:
        raise ValueError(
            f"symmetry must have no mirrors for a canonicalised network, whose poses are turns and "
            f"shifts; got {part.symmetry.name}. Use symmetry=so2."
        )
