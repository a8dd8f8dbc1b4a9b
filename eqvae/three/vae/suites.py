"""What is measured of a model of structures: the suites of `eqvae evaluate` where the domain is `Points`.

suite            answers
likelihood       how well are held-out structures explained?
reconstruction   RMSD as they stand in the data, and at poses that training never saw
content          does it change when structures move, and does it know how far open they are?
pose             does the pose follow a motion, how far is it from Kabsch's, does the template's frame drift?
equivariance     the laws of encoder and decoder under every kind of motion, in float64
generation       how near are samples to training structures, and these to each other?
"""

from copy import deepcopy

import torch
from scipy.stats import spearmanr
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.posterior import Posterior
from eqvae.evaluation.findings import Findings, Suite
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.score import Score
from eqvae.models.model import Model
from eqvae.symmetry.space import inversion
from eqvae.symmetry.space_motions import (
    SpaceMotions,
    pose_distance,
    space_motion,
    translation_of,
    turn_of,
)
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.vae.alignment import aligned, kabsch, rmsd
from eqvae.three.vae.model import SpaceVAE
from eqvae.three.vae.overlay import overlay_figure, sample_figure
from eqvae.three.vae.sources import gyration

_SHIFT = 10.0  # Angstrom, of the motions
_SAME = 1e-6  # relative differences that are none, of numbers in single precision


def likelihood(held_out: HeldOut) -> Findings:
    """The ELBO and its parts, nats."""
    score = _scored(held_out)
    parts = {"elbo": score.elbo, "log_likelihood": score.log_likelihood, "kl": score.kl_total}
    better = {"kl": "neither"}
    return Findings(
        {
            name: _mean(value, better=better.get(name, "higher"), unit="nats")
            for name, value in parts.items()
        }
    )


def reconstruction(held_out: HeldOut) -> Findings:
    """RMSD of structures and their reconstructions, as they stand and at random poses, Angstrom."""
    model, batch = held_out.model, held_out.batch
    moved = _moved(held_out)
    scores = {}
    g = space_motion(turn_of(_motions(len(batch), held_out.seed)))
    turned = batch.act(g, model.domain)
    for name, some in {"as_given": batch, "turned": turned, "moved": moved}.items():
        x, made = some.image[:, 0], _reconstructed(model, some)[:, 0]
        scores[f"rmsd/{name}"] = _mean(rmsd(x, made))
        about = x - x.mean(dim=1, keepdim=True)
        scores[f"rmsd/{name}_laid_upon"] = _mean(rmsd(about, aligned(made, x)))
    shown = moved[:: max(1, len(moved) // 4)][:4]
    return Findings(
        scores,
        {"Reconstructions at random poses": overlay_figure(model, shown, _skeleton(held_out))},
    )


def content(held_out: HeldOut) -> Findings:
    """How much content changes when structures move, and its rank correlation with how open they are."""
    model = deepcopy(held_out.model).double()
    still = held_out.batch.replace(image=held_out.batch.image.double())
    moved = still.act(_motions(len(still), held_out.seed).double(), model.domain)
    c, d = content_of(model, still), content_of(model, moved)
    if not c.shape[1]:
        return Findings({"change": Score.null("the latent has no content, neither 0e nor 0o")})
    n, opening = len(still), gyration(still.image[:, 0])
    return Findings(
        {
            "change/largest": Score((c - d).abs().max(), n=n, better="lower", ceiling=0),
            "change/relative": _relative(c, d),
            "opening/as_given": _rank(c, opening),
            "opening/moved": _rank(d, opening),
        }
    )


def _relative(c: Tensor, d: Tensor) -> Score:
    """How much content changes, in units of how much structures differ in it."""
    spread = c.std(dim=0).norm() if len(c) > 1 else c.new_zeros(())
    if spread <= _SAME * c.norm():
        return Score.null("held-out structures do not differ in content")
    return _mean((c - d).norm(dim=1) / spread, unit="", ceiling=0.0)


def _rank(content: Tensor, opening: Tensor) -> Score:
    """The best rank correlation of a coordinate with how open structures are; of constant ones it is 0."""
    if len(content) < 3 or bool(opening.std() <= _SAME * opening.mean()):
        return Score.null("fewer than 3 held-out structures, or all of them are equally open")
    varies = content.std(dim=0) > 0
    ranks = [abs(float(spearmanr(column, opening)[0])) for column in content[:, varies].T.numpy()]
    return Score(max(ranks, default=0.0), n=len(content), floor=0, ceiling=1)


def pose(held_out: HeldOut) -> Findings:
    """Degrees and Angstrom between poses: under a motion, from Kabsch's onto the reference, of the frame."""
    model = deepcopy(held_out.model).double()
    still = held_out.batch.replace(image=held_out.batch.image.double())
    g = _motions(len(still), held_out.seed).double()
    with torch.no_grad():
        first, second = model.encode(still), model.encode(still.act(g, model.domain))
    if not first.has_pose:
        return Findings(
            {"error": Score.null("the latents lie on no orbits that a pose is read from")}
        )
    follow = pose_distance(second.pose.mode, SpaceMotions().compose(g, first.pose.mode))
    deviation = torch.rad2deg(first.pose.freedom[:, 0])
    scores = {
        "follows/angle": _mean(follow.degrees, unit="degrees", ceiling=0.0),
        "follows/shift": _mean(follow.shift, ceiling=0.0),
        "deviation/angle_median": _median(deviation, "degrees"),
    }
    return Findings(scores | _against_reference(model, still, first))


@torch.no_grad()
def _against_reference(model: Model, batch: Batch, q: Posterior) -> dict[str, Score]:
    """From Kabsch's pose onto the decoder's reference, and of the frame, where it has one."""
    if not isinstance(model, SpaceVAE):
        return {}
    template = model.decoder.template(q.content.loc)
    reference, x = model.decoder.reference.detach().expand_as(template), model.upright(batch, q)
    none = SpaceMotions().identity(len(x))
    error = pose_distance(space_motion(kabsch(reference, x), x.mean(dim=1)), none)
    drift = pose_distance(space_motion(kabsch(template, reference)), none)
    return {
        "kabsch/angle_median": _median(error.degrees, "degrees"),
        "kabsch/shift_median": _median(error.shift, "Å"),
        "frame_drift/angle_median": _median(drift.degrees, "degrees"),
    }


def equivariance(held_out: HeldOut) -> Findings:
    """|E(g x) - g E(x)| and |D(g z) - g D(z)|, relative, in float64."""
    model = deepcopy(held_out.model).double()
    batch = held_out.batch[:50]
    batch = batch.replace(image=batch.image.double())
    n, group = len(batch), SpaceMotions(parity=True)
    turn = _motions(n, held_out.seed).double()
    none = group.identity(n, dtype=torch.float64)
    motions = {
        "rotation": space_motion(turn_of(turn)),
        "shift": space_motion(turn_of(none), translation_of(turn)),
    }
    if model.symmetry.parity:
        motions["inversion"] = space_motion(inversion(dtype=torch.float64).expand(n, -1))
    scores = {}
    with torch.no_grad():
        z = model.encode(batch).mode
        for name, g in motions.items():
            moved = model.encode(batch.act(g, model.domain)).mode
            scores[f"encoder/{name}"] = _law(moved, model.representation.act(g, z))
            drawn = model.decode(model.representation.act(g, z))
            scores[f"decoder/{name}"] = _law(drawn, model.domain.act(g, model.decode(z)))
    return Findings(scores)


def generation(held_out: HeldOut) -> Findings:
    """RMSD of samples to the nearest training structure, and of held-out ones to it, Angstrom."""
    model, count = held_out.model, min(50, len(held_out.batch))
    made = model.sample(count, torch.Generator().manual_seed(held_out.seed))[:, 0]
    skeleton = _skeleton(held_out)
    figures = {"Samples from the prior": sample_figure(model, 4, held_out.seed, skeleton)}
    if held_out.train is None:
        return Findings({"nearest": Score.null("no training structures are at hand")}, figures)
    known = held_out.train.image[:, 0]
    return Findings(
        {
            "nearest/samples": _mean(nearest_rmsd(made.detach(), known)),
            "nearest/held_out": _mean(nearest_rmsd(held_out.batch.image[:count, 0], known)),
        },
        figures,
    )


SUITES: dict[str, Suite] = {
    suite.__name__: suite
    for suite in (likelihood, reconstruction, equivariance, pose, content, generation)
}


@torch.no_grad()
def content_of(model: Model, batch: Batch) -> Tensor:
    """What should not change: content of a `SpaceVAE`, and 0e and 0o of a plain one's latent."""
    q, parts = model.encode(batch), model.representation.slices
    if isinstance(model, SpaceVAE):
        return q.content.loc
    return torch.cat([q.mode[:, parts.content], q.mode[:, parts.sign]], dim=1)


def nearest_rmsd(x: Tensor, known: Tensor) -> Tensor:
    """RMSD of structures (F, N, 3) to the nearest of others (M, N, 3), laid upon it, (F,)."""
    found = []
    for one in x:
        many = one.expand_as(known)
        found.append(rmsd(aligned(many, known), known - known.mean(1, keepdim=True)).min())
    return torch.stack(found)


def _skeleton(held_out: HeldOut) -> Skeleton | None:
    return None if held_out.source is None else Skeleton.of(held_out.source.structures)


def _moved(held_out: HeldOut) -> Batch:
    g = _motions(len(held_out.batch), held_out.seed)
    return held_out.batch.act(g, held_out.model.domain)


def _motions(n: int, seed: int) -> Tensor:
    return SpaceMotions().sample(n, shift=_SHIFT, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _reconstructed(model: Model, batch: Batch) -> Tensor:
    return model.reconstruct(batch, model.encode(batch))


@torch.no_grad()
def _scored(held_out: HeldOut):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(held_out.seed)
        return held_out.model.score(held_out.batch)


def _law(found: Tensor, wanted: Tensor) -> Score:
    error = (found - wanted).norm() / wanted.norm().clamp_min(1e-12)
    return Score(error, n=len(found), better="lower", ceiling=0)


def _mean(values: Tensor, unit: str = "Å", better: str = "lower", ceiling: float | None = None):
    return Score(values.double().mean(), n=len(values), better=better, unit=unit, ceiling=ceiling)


def _median(values: Tensor, unit: str) -> Score:
    return Score(values.double().median(), n=len(values), better="lower", unit=unit, ceiling=0)
