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
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.network import LatentNetwork
from eqvae.pose.space import TemplateSpace
from eqvae.symmetry.motions import (
    angle_of,
    has_scale,
    log_scale_of,
    reflection_of,
    shift_of,
)
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class ContentEncoder(LatentNetwork):
    """q(c | x) from disk-harmonic coefficients about a position: invariant under turns (and mirrors).

    Args:
        harmonics: the basis that images are read in.
        representation: of the latent: position, content psi_0 and one frame psi_1.
        symmetry: SO(2) or O(2), or SIM(2) for a latent with a scale.
        hidden: functions on the group in each hidden layer.
        frequency: their band limit.
        depth: number of hidden layers.
        oversampling: samples of the non-linearity for each unit of frequency.

    Raises:
        ValueError: if the symmetry is finite or the latent is not content and one pose.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        representation: Representation,
        symmetry: PlaneMotions,
        hidden: int = 64,
        frequency: int = 5,
        depth: int = 3,
        oversampling: int = 8,
    ):
        if symmetry.is_finite:
            raise ValueError(
                f"symmetry must be SO(2) or O(2) for content that ignores every angle; got "
                f"{symmetry.name}. Use symmetry=so2 or symmetry=o2."
            )
        check_pose_latent(representation, symmetry.reflections)
        if representation.scale != symmetry.has_scales:
            raise ValueError(
                f"representation must have a scale with SIM(2), and with no other symmetry; got "
                f"{representation} with {symmetry.name}. Use symmetry=sim2 with latent.scale=true."
            )
        super().__init__(harmonics.domain, harmonics.channels, representation, symmetry)
        self.harmonics = harmonics
        self.content_dim = representation.multiplicities[0]
        self.mlp = FibreMLP(
            harmonics.representation,
            Representation((2 * self.content_dim,), position=False),
            symmetry,
            hidden,
            frequency,
            depth,
            out_frequency=0,
            oversampling=oversampling,
        )

    @property
    def layer_actions(self) -> dict[str, FibreAction]:
        """How the output of each fibre layer moves, by its name: for the layer table of an audit."""
        layers = (FibreLinear, FibreNorm, FourierSiLU)
        return {n: FibreAction() for n, m in self.named_modules() if isinstance(m, layers)}

    def forward(self, coefficients: Tensor) -> ContentPosterior:
        """The posterior of objects with coefficients (B, C, dim) about their positions."""
        h = self.mlp(self.harmonics.by_irrep(coefficients))
        log_scale = bounded(h[:, self.content_dim :] - 1, -7.0, 3.0)
        return ContentPosterior(h[:, : self.content_dim], log_scale)


class TemplateDecoder(LatentNetwork):
    """Images of z = (t, c, u): the template of c, turned by the angle of u and centred at t.

    Args:
        harmonics, representation: as for `ContentEncoder`.
        hidden: width of the two hidden layers.
    """

    def __init__(self, harmonics: DiskHarmonics, representation: Representation, hidden: int = 256):
        check_pose_latent(representation, bool(representation.sign))
        super().__init__(harmonics.domain, harmonics.channels, representation, None)
        self.harmonics = harmonics
        self.space = TemplateSpace(harmonics)
        self.network = nn.Sequential(
            nn.Linear(representation.multiplicities[0], hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, harmonics.representation.dim),
        )

    def template(self, content: Tensor) -> Tensor:
        """Coefficients (B, C, dim) of the object in its own frame."""
        return self.network(content).unflatten(1, (self.channels, -1))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        posed, t, s = self._posed(z)
        return self.space.synthesise(posed, t, s)

    def render(self, z: Tensor, points: Tensor) -> Tensor:
        """The same images at any points of the plane, (B, P, 2) pixels: (B, C, P)."""
        posed, t, s = self._posed(z)
        return self.space.evaluate(posed, t, points, s)

    def _posed(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        content, g = from_latent(self.representation, z)
        d = self.space.extend(self.template(content))
        size = log_scale_of(g) if has_scale(g) else None
        return self.space.turn(d, angle_of(g), reflection_of(g)), shift_of(g), size
