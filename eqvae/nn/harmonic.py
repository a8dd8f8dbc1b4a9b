"""The `harmonic` family: a fibre network between two fixed steerable transforms.

    encoder: x - b -> t (localiser) -> disk-harmonic coefficients about t -> fibre MLP -> q(z|x)
    decoder: z = (t, v) -> fibre MLP -> disk-harmonic coefficients -> image about t, + b

with b the grey of the ground, which no motion changes and the basis, confined to a disc, can't draw.

Rotating the image turns the coefficients of frequency l by l theta, exactly, at every angle; moving it
moves t. The decoder is a closed-form function of the plane, so that D(g z) = g D(z) holds to rounding and
the aliasing of the fibre non-linearity; the encoder adds the pixel grid of its input.

Where the latent has a scale s, both look at the object in functions that are stretched by e^s, see `View`:
then coefficients are those of the object whatever its size, and D(g z) = g D(z) for similarities too.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqvae.distributions import START_LOG_SCALE, GaussianPosterior, bounded, to_latent
from eqvae.nn.fibre import FibreAction, FibreLinear, FibreMLP, FibreNorm, FourierSiLU, quieten
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.localise import Localiser
from eqvae.nn.network import LatentNetwork
from eqvae.nn.views import AdaptiveMoments, View
from eqvae.symmetry.motions import identity
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class HarmonicEncoder(LatentNetwork):
    """q(z|x) from disk harmonics about a localised position: q(z|g x) = g q(z|x).

    Args:
        harmonics: the basis that images are read in.
        representation: of the latent; needs a position.
        symmetry: SO(2) or O(2), or SIM(2) for a latent with a scale.
        localiser: images -> positions (B, 2), default a learned `Localiser`; with a scale the first guess of
            `ScaledSight`.
        hidden: functions on the group in each hidden layer.
        frequency: their band limit.
        depth: number of hidden layers.
        oversampling: samples of the non-linearity for each unit of frequency.
        linear: the linear layers of the network, see `FibreMLP`.
        background: b, for each channel or for all.

    Raises:
        ValueError: if the symmetry is finite, the latent has no position or frequencies above the band
            limit, or `background` has another length than there are channels.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        localiser: nn.Module | None = None,
        hidden: int = 64,
        frequency: int = 5,
        depth: int = 3,
        oversampling: int = 8,
        linear: Callable[..., nn.Module] = FibreLinear,
        background: Sequence[float] = (0.0,),
    ):
        check_harmonic(representation, symmetry, frequency)
        grey = grey_of_ground(background, harmonics.channels)
        domain = harmonics.domain.on(background)
        super().__init__(domain, harmonics.channels, representation, symmetry)
        harmonics = harmonics.reading
        self.harmonics = harmonics
        self.register_buffer("background", grey, persistent=False)  # the configuration has it
        self.localiser = localiser or Localiser(harmonics.domain, harmonics.channels)
        self.moments = AdaptiveMoments(harmonics) if representation.scale else None
        out = posterior_type(representation)
        self.mlp = FibreMLP(
            harmonics.representation,
            out,
            symmetry,
            hidden,
            frequency,
            depth,
            oversampling=oversampling,
            linear=linear,
        )
        self.split = LatentSplit(out, representation)

    @property
    def layer_actions(self) -> dict[str, FibreAction]:
        """How the output of each fibre layer moves, by its name: for the layer table of an audit."""
        layers = (type(self.mlp.head), FibreNorm, FourierSiLU)
        return {n: FibreAction() for n, m in self.named_modules() if isinstance(m, layers)}

    def forward(self, x: Tensor) -> GaussianPosterior:
        """The posterior of images (B, C, H, H)."""
        view = self.view(x)
        return self.posterior(self.coefficients(x, view), view)

    def view(self, x: Tensor) -> View:
        """Where the objects of images (B, C, H, H) are seen, and at which scale if the latent has one."""
        bright = x - self.background
        first = View(self.localiser(bright))
        return first if self.moments is None else self.moments(bright, first)

    def coefficients(self, x: Tensor, view: View) -> Tensor:
        """What the network reads: the object in its view, irrep by irrep, (B, C dim)."""
        seen = self.harmonics.analyse(x - self.background, view.position, view.log_scale)
        return self.harmonics.by_irrep(seen)

    def posterior(self, coefficients: Tensor, view: View) -> GaussianPosterior:
        """The posterior of an object with these coefficients in its view."""
        part = self.split(self.mlp(coefficients))
        view = view.corrected(part.shift, part.growth)
        loc = torch.cat([view.coordinates, part.v], dim=1)
        return GaussianPosterior(self.representation, loc, view.spread(part.log_scale))


class HarmonicDecoder(LatentNetwork):
    """Images from z = (t, v) as disk harmonics about t: D(g z) = g D(z).

    Args:
        harmonics, representation, symmetry, hidden, frequency, depth, oversampling, linear, background: as
            for `HarmonicEncoder`.
        out_frequency: highest angular frequency of the images.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        representation: Representation,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        hidden: int = 64,
        frequency: int = 5,
        depth: int = 3,
        out_frequency: int = 14,
        oversampling: int = 10,
        linear: Callable[..., nn.Module] = FibreLinear,
        background: Sequence[float] = (0.0,),
    ):
        check_harmonic(representation, symmetry, frequency)
        grey = grey_of_ground(background, harmonics.channels)
        domain = harmonics.domain.on(background)
        super().__init__(domain, harmonics.channels, representation, symmetry)
        self.harmonics = harmonics
        self.register_buffer("background", grey, persistent=False)  # the configuration has it
        self.mlp = FibreMLP(
            representation.vector,
            harmonics.representation,
            symmetry,
            hidden,
            frequency,
            depth,
            out_frequency=out_frequency,
            oversampling=oversampling,
            linear=linear,
        )
        quieten(self.mlp.head)

    def coefficients(self, z: Tensor) -> Tensor:
        """Disk-harmonic coefficients (B, C, dim) of the images that z describes."""
        return self.harmonics.by_channel(self.mlp(z[:, self.representation.slices.vector]))

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        view = View.of(self.representation, z)
        drawn = self.harmonics.synthesise(self.coefficients(z), view.position, view.log_scale)
        return drawn + self.background

    def template(self, content: Tensor) -> Tensor:
        """Coefficients (B, C, dim) of an object in its own frame, for latents of content and one frame."""
        still = identity(len(content)).to(content)
        return self.coefficients(to_latent(self.representation, content, still))

    def render(self, z: Tensor, points: Tensor) -> Tensor:
        """The same images at any points of the plane, (B, P, 2) pixels: (B, C, P)."""
        view = View.of(self.representation, z)
        drawn = self.harmonics.evaluate(self.coefficients(z), view.position, points, view.log_scale)
        return drawn + self.background[..., 0]


class Parts(NamedTuple):
    """What a fibre network says of a latent.

    Attributes:
        v: everything but position and scale.
        log_scale: log standard deviations by copy, (B, num_copies).
        shift: correction of the position, (B, 2).
        growth: correction of the log-scale, (B,); None where the latent has no scale.
    """

    v: Tensor
    log_scale: Tensor
    shift: Tensor
    growth: Tensor | None


class LatentSplit(nn.Module):
    """Take the output of a fibre network apart into v, standard deviations and corrections of the view."""

    def __init__(self, out: Representation, representation: Representation):
        super().__init__()
        invariants, vectors = out.slices.content, out.slices.frame
        scales = slice(invariants.stop - representation.num_copies, invariants.stop)
        correction = slice(vectors.stop - 2, vectors.stop)
        taken = set(range(out.dim)[scales]) | set(range(out.dim)[correction])
        self.growth = scales.start - 1 if representation.scale else None
        if representation.scale:
            taken.add(self.growth)
            self.growth_gain = nn.Parameter(torch.zeros(()))  # starts at what the moments say
        v = [i for i in range(out.dim) if i not in taken]
        self.register_buffer("v", torch.tensor(v), persistent=False)
        self.scales = scales
        self.correction = correction
        self.gain = nn.Parameter(torch.zeros(()))  # starts at the localiser's own answer
        self.scale_gain = nn.Parameter(torch.zeros(()))  # and at the same scales for all images
        self.offset = nn.Parameter(torch.full((representation.num_copies,), START_LOG_SCALE))

    def forward(self, h: Tensor) -> Parts:
        log_scale = bounded(self.scale_gain * h[:, self.scales] + self.offset, -7.0, 3.0)
        growth = None if self.growth is None else self.growth_gain * h[:, self.growth]
        return Parts(h[:, self.v], log_scale, self.gain * h[:, self.correction], growth)


def grey_of_ground(background: Sequence[float], channels: int) -> Tensor:
    """The grey of the ground by channel, (C, 1, 1)."""
    if len(background) not in (1, channels) or not all(map(math.isfinite, background)):
        raise ValueError(
            f"background must be a list of one number, or one for each of {channels} channels; got "
            f"{list(background)}."
        )
    return torch.tensor(background, dtype=torch.float32).expand(channels).clone().view(-1, 1, 1)


def check_harmonic(representation: Representation, symmetry: PlaneMotions, frequency: int) -> None:
    """Refuse what the harmonic family can't do."""
    if symmetry.is_finite:
        raise ValueError(
            f"symmetry must be SO(2) or O(2) for a harmonic network, which is exact at every angle; "
            f"got {symmetry.name}. Use symmetry=so2 or symmetry=o2, or model=steerable."
        )
    if representation.scale != symmetry.has_scales:
        raise ValueError(
            f"representation must have a scale with SIM(2), and with no other symmetry; got {representation} "
            f"with {symmetry.name}. Use symmetry=sim2 with latent.scale=true, or symmetry=so2."
        )
    if representation.sign:
        raise ValueError(
            f"sign must be 0 for a harmonic network: functions on the circle hold no sign irreps; got "
            f"{representation.sign}. Set latent.sign=0 or use model=steerable."
        )
    if not representation.position:
        raise ValueError(
            "representation must carry a position for a harmonic network, which centres its basis "
            "there; got position=False. Set latent.position=true."
        )
    if representation.max_frequency > frequency:
        raise ValueError(
            f"multiplicities holds frequency {representation.max_frequency}, above the network's band "
            f"limit frequency={frequency}, where it would stay zero. Drop it or raise frequency."
        )


def posterior_type(representation: Representation) -> Representation:
    """v, a log-scale for each irrep copy (invariant), and a vector that may correct the position.

    A latent with a scale takes one more invariant, which may correct that.
    """
    first, *rest = representation.multiplicities or (0,)
    vectors, *rest = rest or (0,)
    return Representation(
        multiplicities=(
            first + representation.num_copies + representation.scale,
            vectors + 1,
            *rest,
        ),
        position=False,
    )
