"""Networks between images seen from their own position and content: what an object is, without its pose.

    encoder   disk-harmonic coefficients -> q(c | x), unchanged when the coefficients turn
    decoder   c -> disk-harmonic coefficients of the object in its own frame, the template, which a pose
              then turns and shifts: D(t, c, u) = g template(c),  so that D(h z) = h D(z)

The decoder is an ordinary network and equivariant all the same, since it never sees the pose.
"""

from torch import Tensor, nn

from eqvae.distributions import bounded
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.posed import check_pose_latent, from_latent
from eqvae.nn.fibre import FibreAction, FibreLinear, FibreMLP, FibreNorm, FourierSiLU
from eqvae.nn.harmonic import channel_order, image_type
from eqvae.nn.harmonics import fitted_harmonics
from eqvae.pose.space import TemplateSpace
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class ContentEncoder(nn.Module):
    """q(c | x) from disk-harmonic coefficients about a position: invariant under turns (and mirrors).

    Args:
        image_size: side of the image, pixels.
        channels: of the image.
        representation: of the latent: position, content psi_0 and one frame psi_1.
        symmetry: SO(2) or O(2).
        degree: of the disk harmonics, lowered on images too small for it.
        radius: of the disc around the object that they cover, pixels; None for 5/8 of half the image.
        hidden: functions on the group in each hidden layer.
        frequency: their band limit.
        depth: number of hidden layers.
        oversampling: samples of the non-linearity for each unit of frequency.

    Raises:
        ValueError: if the symmetry is finite or the latent is not content and one pose.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        degree: int = 22,
        radius: float | None = None,
        hidden: int = 64,
        frequency: int = 5,
        depth: int = 3,
        oversampling: int = 8,
    ):
        super().__init__()
        if symmetry.is_finite:
            raise ValueError(
                f"symmetry must be SO(2) or O(2) for content that ignores every angle; got "
                f"{symmetry.name}. Use symmetry=so2 or symmetry=o2."
            )
        check_pose_latent(representation, symmetry.reflections)
        self.representation = representation
        self.symmetry = symmetry
        self.harmonics = fitted_harmonics(image_size, degree, radius)
        self.content_dim = representation.multiplicities[0]
        self.mlp = FibreMLP(
            image_type(self.harmonics, channels),
            Representation((2 * self.content_dim,), position=False),
            symmetry,
            hidden,
            frequency,
            depth,
            out_frequency=0,
            oversampling=oversampling,
        )
        order = channel_order(self.harmonics, channels)
        self.register_buffer("order", order, persistent=False)

    @property
    def layer_actions(self) -> dict[str, FibreAction]:
        """How the output of each fibre layer moves, by its name: for the layer table of an audit."""
        layers = (FibreLinear, FibreNorm, FourierSiLU)
        return {n: FibreAction() for n, m in self.named_modules() if isinstance(m, layers)}

    def forward(self, coefficients: Tensor) -> ContentPosterior:
        """The posterior of objects with coefficients (B, C, dim) about their positions."""
        h = self.mlp(coefficients.flatten(1)[:, self.order])
        log_scale = bounded(h[:, self.content_dim :] - 1, -7.0, 3.0)
        return ContentPosterior(h[:, : self.content_dim], log_scale)


class TemplateDecoder(nn.Module):
    """Images of z = (t, c, u): the template of c, turned by the angle of u and centred at t.

    Args:
        image_size, channels, representation, symmetry, degree, radius: as for `ContentEncoder`.
        hidden: width of the two hidden layers.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        degree: int = 22,
        radius: float | None = None,
        hidden: int = 256,
    ):
        super().__init__()
        check_pose_latent(representation, symmetry.reflections)
        self.representation = representation
        self.symmetry = symmetry
        self.channels = channels
        self.harmonics = fitted_harmonics(image_size, degree, radius)
        self.space = TemplateSpace(self.harmonics, channels)
        self.network = nn.Sequential(
            nn.Linear(representation.multiplicities[0], hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, channels * self.harmonics.dim),
        )

    def template(self, content: Tensor) -> Tensor:
        """Coefficients (B, C, dim) of the object in its own frame."""
        return self.network(content).unflatten(1, (self.channels, -1))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        posed, t = self._posed(z)
        return self.space.synthesise(posed, t)

    def render(self, z: Tensor, points: Tensor) -> Tensor:
        """The same images at any points of the plane, (B, P, 2) pixels: (B, C, P)."""
        posed, t = self._posed(z)
        return self.space.evaluate(posed, t, points)

    def _posed(self, z: Tensor) -> tuple[Tensor, Tensor]:
        content, g = from_latent(self.representation, z)
        d = self.space.extend(self.template(content))
        return self.space.turn(d, g[:, 1], g[:, 0]), g[:, 2:]
