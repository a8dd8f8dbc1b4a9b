"""What a model does, as functions of plain tensors, one graph each.

    encode   images -> z, scale         decode   z -> images
    act      g, z -> g z                read     z -> content [, pose] [, cluster]

Together they are the model: D(g . E(x)) is `decode(act(g, encode(x)))`, and `read` says of a latent what the
object is, where, which way it points, and of which kind it is. Everything that depends on the number of
images only is taken out beforehand, see `eqvae.export.plain`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions.frame import read_content, read_pose
from eqvae.distributions.gaussian import GaussianPosterior
from eqvae.distributions.orbit.prior import OrbitPrior
from eqvae.distributions.orbit.turns import TurnSearch
from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.posed import PosedPosterior, from_latent
from eqvae.distributions.posterior import Posterior
from eqvae.export.plain import plain
from eqvae.models.model import Model
from eqvae.models.pose_vae import PoseVAE
from eqvae.symmetry import Representation
from eqvae.symmetry.motions import with_log_scale, with_shift

_TRACED = 3  # images
_MOTION = "[reflection, angle, x, y]: 0 or 1, radians counter-clockwise, pixels right and up"
_SCALED = "[reflection, angle, x, y, log_scale]" + _MOTION.partition("]")[2] + ", natural logarithm"
_READ = {"content": "what no motion changes", "pose": _MOTION, "cluster": "p(k | z)"}


@dataclass(frozen=True)
class Value:
    """What goes in or comes out.

    Attributes:
        shape: without the batch.
        meaning: in words, with units.
    """

    shape: tuple[int, ...]
    meaning: str


@dataclass(frozen=True)
class Function:
    """A function of a model.

    Attributes:
        module: plain; takes the inputs by position, gives a tuple of the outputs.
        original: the same by the model as it is.
        example: inputs of a few images.
        inputs, outputs: what each is, by name.
        searched: inputs, outputs -> the posterior by the original of which the likeliest pose is named, and
            the poses that the outputs name, (B, 4); None where nothing is searched.
    """

    module: nn.Module
    original: nn.Module
    example: tuple[Tensor, ...]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    searched: (
        Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[PosePosterior, Tensor]] | None
    ) = None


class Encode(nn.Module):
    """Images (B, C, H, H) -> the likeliest latents (B, D) and standard deviations."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        q = self.model.encode(Batch(images))
        posed = isinstance(q, PosedPosterior)
        return q.mode, q.content.log_scale.exp() if posed else q.scale


class Decode(nn.Module):
    """Latents (B, D) -> images (B, C, H, H)."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> tuple[Tensor]:
        return (self.model.decode(z),)


class Act(nn.Module):
    """Motions (B, 4) and latents (B, D) -> the moved latents (B, D)."""

    def __init__(self, model: Model):
        super().__init__()
        self.representation = model.representation

    def forward(self, g: Tensor, z: Tensor) -> tuple[Tensor]:
        return (self.representation.act(g, z),)


class ReadFrame(nn.Module):
    """Latents -> content and, where they have a psi_1, the pose: without a fitted prior.

    Args:
        model: whose latents they are.
        copy: of psi_1 that the angle is read from.
    """

    def __init__(self, model: Model, copy: int):
        super().__init__()
        self.representation = model.representation
        self.copy = copy

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        latent = self.representation
        if not latent.has_frame:
            return (z[:, latent.slices.vector],)
        return read_content(latent, z, self.copy), read_pose(latent, z, self.copy).motion


class ReadOrbit(nn.Module):
    """Latents -> content, pose and p(k | z): by the fitted prior of a Gaussian latent.

    Args:
        model: whose latents they are.
        example: some of them.
    """

    def __init__(self, model: Model, example: Tensor):
        super().__init__()
        self.representation = model.representation
        self.search = TurnSearch(model.prior.mixture, example.double())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # in float64: log p is of hundreds of nats, and its rounding in float32 moves the angle by 1e-5
        v, mixture = z.double()[:, self.representation.slices.vector], self.search.mixture
        found = self.search(v)
        content = mixture.representation.act(mixture.symmetry.inverse(found.mode), v)
        pose = found.mode
        if self.representation.position:
            pose = with_shift(pose, z.double()[:, self.representation.slices.position])
        if self.representation.scale:
            pose = with_log_scale(pose, z.double()[:, self.representation.slices.scale.start])
        return content.float(), pose.float(), found.cluster.exp().float()


class ReadPosed(nn.Module):
    """Latents of content and one pose -> both and, where the prior knows kinds, p(k | content)."""

    def __init__(self, model: PoseVAE):
        super().__init__()
        self.representation = model.representation
        self.content = model.prior.content

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        content, g = from_latent(self.representation, z)
        kinds = self.content.responsibilities(content)
        return (content, g) if kinds is None else (content, g, kinds)


class ReadOriginal(nn.Module):
    """What `read` should give, by the posteriors of the model itself: content, pose, p(k | z).

    Args:
        model: in eval mode.
        q: posteriors of some images, which say what has to be chosen by looking at many.
    """

    def __init__(self, model: Model, q: Posterior):
        super().__init__()
        self.model = model
        self.reader = q.settled().reader if isinstance(q, GaussianPosterior) else None

    def posterior(self, z: Tensor) -> Posterior:
        """A narrow posterior about z."""
        latent = self.model.representation
        return GaussianPosterior(latent, z, z.new_zeros(len(z), latent.num_copies), self.reader)

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        if self.reader is None:
            return ReadPosed(self.model)(z)
        q = self.posterior(z)
        pose = [q.pose.mode] if q.has_pose else []
        cluster = [] if q.cluster is None else [q.cluster.exp()]
        return (q.content.loc, *pose, *cluster)


@torch.no_grad()
def functions_of(model: Model, images: Tensor) -> dict[str, Function]:
    """The functions of a model by name.

    Args:
        model: in eval mode; it stays as it is.
        images: some that the model knows, (B, C, H, H): of all of them, the clearest copy of psi_1 is the
            one that angles are read from where no prior is fitted.

    Raises:
        ValueError: if a part of the model can't be written as a plain graph.
    """
    q, copied, few = model.encode(Batch(images)), plain(model), images[:_TRACED]
    z, latent = q.mode[: len(few)], model.representation
    g = model.symmetry.ambient.sample(len(z), shift=2.0).to(z)
    pixels = Value(tuple(images.shape[1:]), "grey values in [0, 1]")
    vector = Value((latent.dim,), f"latent, {latent}")
    return {
        "encode": _encode(copied, model, few, {"images": pixels}, {"z": vector}),
        "decode": Function(
            module=Decode(copied),
            original=Decode(model),
            example=(z,),
            inputs={"z": vector},
            outputs={"images": pixels},
        ),
        "act": Function(
            module=Act(model),
            original=Act(model),
            example=(g, z),
            inputs={"g": Value(tuple(g.shape[1:]), _meaning(latent)), "z": vector},
            outputs={"moved": replace(vector, meaning="latent of the moved image")},
        ),
        "read": _read(copied, model, q, z, {"z": vector}),
    }


def _meaning(latent: Representation) -> str:
    """Of a motion's columns."""
    return _SCALED if latent.scale else _MOTION


def _encode(
    copied: Model, model: Model, few: Tensor, inputs: dict[str, Value], outputs: dict[str, Value]
) -> Function:
    latent, searched = model.representation, None
    scale = Value((latent.dim,), "standard deviations of z")
    if isinstance(model, PoseVAE):
        scale = Value((latent.multiplicities[0],), "standard deviations of content")

        def searched(x, out):
            return model.encode(Batch(*x)).pose, from_latent(latent, out[0])[1]

    return Function(
        module=Encode(copied),
        original=Encode(model),
        example=(few,),
        inputs=inputs,
        outputs=outputs | {"scale": scale},
        searched=searched,
    )


def _read(
    copied: Model, model: Model, q: Posterior, z: Tensor, inputs: dict[str, Value]
) -> Function:
    original, searched = ReadOriginal(model, q), None
    meaning = _READ | {"pose": _meaning(model.representation)}
    if isinstance(q, PosedPosterior):
        read = ReadPosed(copied)
    elif isinstance(model.prior, OrbitPrior):
        read = ReadOrbit(model, z)

        def searched(given, out):
            return original.posterior(*given).pose, out[1]

    else:
        read = ReadFrame(model, original.reader.copy or 0)
        meaning["pose"] += f"; the angle of copy {read.copy} of psi_1, counted from 0"
    values = zip(_READ, read(z), strict=False)
    return Function(
        module=read,
        original=original,
        example=(z,),
        inputs=inputs,
        outputs={name: Value(tuple(v.shape[1:]), meaning[name]) for name, v in values},
        searched=searched,
    )
