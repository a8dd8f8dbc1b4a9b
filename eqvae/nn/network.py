"""What every network to or from a latent says of itself: which images it knows, and which latent."""

from torch import nn

from eqvae.domains import Domain
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class LatentNetwork(nn.Module):
    """An encoder or a decoder.

    Args:
        domain: of the images.
        channels: of the images.
        representation: of the latent.
        symmetry: that it respects; a plain encoder names one without obeying it. None where it matters to
            nothing.

    Attributes:
        harmonics: the basis that images are read or drawn in, None without one.
    """

    harmonics: DiskHarmonics | None = None

    def __init__(
        self,
        domain: Domain,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions | None,
    ):
        super().__init__()
        self.domain = domain
        self.channels = channels
        self.representation = representation
        self.symmetry = symmetry


def refuse_scale(representation: Representation, symmetry: PlaneMotions, who: str) -> None:
    """Refuse latents and groups with a scale in networks that find none.

    Raises:
        ValueError: if the latent or the group has one.
    """
    if representation.scale or symmetry.has_scales:
        raise ValueError(
            f"representation and symmetry must be without scale for {who}, which has none; got "
            f"{representation} with {symmetry.name}. Use model=harmonic, or symmetry=so2 and no latent.scale."
        )


def _of_inner(name: str) -> property:
    return property(lambda wrapper: getattr(getattr(wrapper, wrapper.inner), name))


class Wrapper(nn.Module):
    """A network around another one, with the images, the latent and the symmetry of that one.

    Attributes:
        inner: name of the part that it is around.
    """

    inner: str
    domain = _of_inner("domain")
    channels = _of_inner("channels")
    harmonics = _of_inner("harmonics")
    representation = _of_inner("representation")
    symmetry = _of_inner("symmetry")
