"""What every network to or from a latent says of itself: which images it knows, and which latent."""

from torch import nn

from eqvae.domains import SquareGrid
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class LatentNetwork(nn.Module):
    """An encoder or a decoder.

    Args:
        domain: of the images.
        channels: of the images.
        representation: of the latent.
        symmetry: that it respects; a plain network names one without obeying it.

    Attributes:
        harmonics: the basis that images are read or drawn in, None without one.
    """

    harmonics: DiskHarmonics | None = None

    def __init__(
        self,
        domain: SquareGrid,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions,
    ):
        super().__init__()
        self.domain = domain
        self.channels = channels
        self.representation = representation
        self.symmetry = symmetry


class Wrapper(nn.Module):
    """A network around another one, with the images, the latent and the symmetry of that one.

    Attributes:
        inner: name of the part that it is around.
    """

    inner: str

    @property
    def domain(self) -> SquareGrid:
        return getattr(self, self.inner).domain

    @property
    def channels(self) -> int:
        return getattr(self, self.inner).channels

    @property
    def harmonics(self) -> DiskHarmonics | None:
        return getattr(self, self.inner).harmonics

    @property
    def representation(self) -> Representation:
        return getattr(self, self.inner).representation

    @property
    def symmetry(self) -> PlaneMotions:
        return getattr(self, self.inner).symmetry
