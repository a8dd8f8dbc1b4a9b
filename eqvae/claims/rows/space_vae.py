"""Claims about latents of structures: one pose in training, all in the test; blocks with a meaning each.

Chains of two arms that open about a hinge are generated; a hard model and a plain one are trained on them in
one pose, once for all rows.
"""

from dataclasses import dataclass
from functools import cache

import torch
from matplotlib.axes import Axes
from scipy.stats import spearmanr
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.losses.objective import Objective
from eqvae.models.model import Model
from eqvae.models.vae import VAE
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae.alignment import rmsd
from eqvae.three.vae.datamodule import StructureDataModule
from eqvae.three.vae.decoder import CanonicalDecoder
from eqvae.three.vae.encoder import InvariantEncoder
from eqvae.three.vae.model import SpaceVAE
from eqvae.three.vae.plain import PlainStructureDecoder, PlainStructureEncoder
from eqvae.three.vae.posing import Still
from eqvae.three.vae.prior import SpacePosedPrior
from eqvae.three.vae.rigid import RigidLikelihood
from eqvae.three.vae.sources import HingedChains
from eqvae.three.vae.suites import content_of

ATOMS, STRUCTURES = 24, 200
STEPS = 250
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9822b", "#888888"


@dataclass(frozen=True)
class Trained:
    """Two models trained on chains in one pose, in float64, and held-out chains with their opening."""

    hard: Model
    plain: Model
    still: Batch
    moved: Batch
    g: Tensor
    opening: Tensor


@cache
def trained(seed: int, steps: int = STEPS) -> Trained:
    """Both models of a seed, once for all rows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data = StructureDataModule(HingedChains(STRUCTURES, ATOMS, seed=seed), Still(), seed=seed)
        data.setup()
        x = data.train[:].image[:, 0]
        models = [_hard(), _plain()]
        models[0].start(x)
        for model in models:
            _fit(model, data.train[:], steps)
        hard, plain = (model.double().eval() for model in models)
        test = data.test[:]
        still = Batch(test.image.double())
        g = SpaceMotions().sample(len(still), shift=5.0).double()
    opening = data.images.opening[test.index]
    return Trained(hard, plain, still, still.act(g, hard.domain), g, opening)


def _hard() -> Model:
    latent = SpaceRepresentation.parse("position + 3x0e + 1x0o + 2x1o")
    domain = Points(ATOMS)
    return SpaceVAE(
        InvariantEncoder(domain, latent, vectors=10, hidden=48, triples=6),
        CanonicalDecoder(domain, latent, hidden=48),
        SpacePosedPrior(latent, position_scale=1e3),
        RigidLikelihood(0.3),
    )


def _plain() -> Model:
    latent = SpaceRepresentation.parse("position + 3x0e + 1x0o + 2x1o")
    domain = Points(ATOMS)
    return VAE(
        PlainStructureEncoder(domain, latent, hidden=64),
        PlainStructureDecoder(domain, latent, hidden=64),
        GaussianPrior(latent, position_scale=20.0),
        GaussianLikelihood(0.3, learnable=True),
    )


def _fit(model: Model, batch: Batch, steps: int) -> None:
    optimizer, objective = torch.optim.Adam(model.parameters(), 3e-3), Objective(cosine_every=0)
    for step in range(steps):
        rows = torch.randperm(len(batch))[:64]
        loss, _ = objective(model, batch[rows], step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _errors(model: Model, batch: Batch) -> Tensor:
    return rmsd(model.reconstruct(batch, model.encode(batch))[:, 0], batch.image[:, 0])


@claim(
    "49/structures",
    subject="Structures",
    title="trained in one pose",
    told="A model that breaks the symmetry of space is wrong, not just less economical.",
    found="Both models see each chain in one pose only and are then asked about chains at any pose. The one "
    "with the symmetry built in reconstructs them as well as before; the other has no idea what it looks at.",
    condition="",
    repeats=1,
)
def one_pose(seed: int) -> Measured:
    """Row 49: RMSD at poses that training never saw, against the spread of the chains."""
    with_models = trained(seed)
    hard, plain = (_errors(m, with_models.moved) for m in (with_models.hard, with_models.plain))
    before = _errors(with_models.hard, with_models.still)
    value, control, still = (float(e.mean()) for e in (hard, plain, before))

    def draw(axes: Axes) -> None:
        axes.boxplot([hard.numpy(), plain.numpy()], tick_labels=["built in", "plain"])
        axes.set_ylabel("RMSD at any pose, Å")

    return Measured(
        value=value,
        bound=1.0,
        control=control,
        holds=value < 1.0 and abs(value - still) < 1e-6,
        unit="Å",
        others={"in the training pose": still},
        draw=draw,
    )


@claim(
    "47/structures",
    subject="Structures",
    title="a latent that moves as space does",
    told="The latent space of a model can carry a representation of the motions of space.",
    found="A chain is moved and encoded, and its code is moved by the representation; then the same with "
    "codes and decoded chains. With content, handedness and a pose in the latent both ways agree, also after "
    "training.",
    condition="",
    repeats=1,
)
def latent_moves(seed: int) -> Measured:
    """Row 47: encoder and decoder against the representation, relative."""
    t = trained(seed)
    value, control = (_law(m, t) for m in (t.hard, t.plain))

    def draw(axes: Axes) -> None:
        axes.bar(["built in", "plain"], [max(value, 1e-17), control], color=[_BLUE, _ORANGE])
        axes.set_yscale("log")
        axes.set_ylabel("relative error")

    return Measured(value=value, bound=1e-6, control=control, holds=value < 1e-6, draw=draw)


@torch.no_grad()
def _law(model: Model, t: Trained) -> float:
    z = model.encode(t.still).mode
    wanted = model.representation.act(t.g, z)
    encoder = (model.encode(t.moved).mode - wanted).norm() / wanted.norm()
    image = model.domain.act(t.g, model.decode(z))
    decoder = (model.decode(wanted) - image).norm() / image.norm()
    return float(torch.maximum(encoder, decoder))


@claim(
    "46/structures",
    subject="Structures",
    title="a coordinate for the motion of a protein",
    told="Different latent variables control different factors of a structure.",
    found="How far a chain is open is planted, and one coordinate of the content follows its order at any "
    "pose. The plain model's coordinates follow the pose instead, so that none of them tells it.",
    condition="",
    repeats=1,
)
def factors(seed: int) -> Measured:
    """Row 46: 1 - |Spearman| of the best coordinate of content with the opening, at any pose."""
    t = trained(seed)
    (value, best), (control, _) = (_rank(m, t) for m in (t.hard, t.plain))

    def draw(axes: Axes) -> None:
        axes.scatter(t.opening.numpy(), best.numpy(), s=8, color=_BLUE)
        axes.set_xlabel("opening, planted")
        axes.set_ylabel("content, any pose")

    return Measured(
        value=value,
        bound=0.05,
        control=control,
        holds=value < 0.05,
        unit="1 - |rank correlation|",
        draw=draw,
    )


def _rank(model: Model, t: Trained) -> tuple[float, Tensor]:
    content = content_of(model, t.moved)
    ranks = [abs(float(spearmanr(c, t.opening)[0])) for c in content.T.numpy()]
    best = max(range(len(ranks)), key=ranks.__getitem__)
    return 1 - ranks[best], content[:, best]
