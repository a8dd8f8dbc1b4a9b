"""What a network around another one takes from it."""

from torch import nn

from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class Wrapper(nn.Module):
    """A network that speaks the latent space of one of its parts, and has that part's symmetry.

    Attributes:
        inner: name of the part.
    """

    inner: str

    @property
    def representation(self) -> Representation:
        return getattr(self, self.inner).representation

    @property
    def symmetry(self) -> PlaneMotions:
        return getattr(self, self.inner).symmetry
