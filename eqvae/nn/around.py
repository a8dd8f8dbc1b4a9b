"""What a network around another one takes from it."""

from torch import nn

from eqvae.symmetry.groups import Symmetry
from eqvae.symmetry.representations import LatentRepresentation


class Around(nn.Module):
    """A network that speaks the latent space of one of its parts, and has that part's symmetry.

    Attributes:
        inner: name of the part.
    """

    inner: str

    @property
    def representation(self) -> LatentRepresentation:
        return getattr(self, self.inner).representation

    @property
    def symmetry(self) -> Symmetry:
        return getattr(self, self.inner).symmetry
