"""The suites of an evaluation: which scores the data allow, from one shared `HeldOut`.

    suite              needs                       answers
    likelihood         nothing                     how well does the model explain held-out images?
    generation         nothing                     do reconstructions and samples look like the data?
    equivariance       nothing                     does the law f(g x) = g f(x) hold, and where does it break?
    pose               an angle in the latent;     how far off is the pose, and does it know?
                       true poses for errors
    content            nothing; true poses for     does content ignore pose?
                       the leak
    clustering         labels                      do classes fall out of the content?
    disentanglement    two known factors           does each irrep block carry its own factor?

    agreement          several runs on the same    do they find the same blocks?
                       images

A suite is a function `HeldOut -> Findings`; write your own with the same signature for `evaluate`.
What the data do not allow becomes a score without a value and with a reason.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.distributions import GaussianPosterior, rows_of
from eqvae.domains.square import act_on_image
from eqvae.drawing import scores as figures
from eqvae.drawing.pictures import orbit_picture, reconstruction_picture, sample_picture
from eqvae.evaluation.held_out import BATCH, HeldOut
from eqvae.metrics.clustering.clusterers import cluster, content_clustering, fit_mixture, varying
from eqvae.metrics.content.invariance import cluster_change, content_invariance
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.content.probes import effective_rank, probe_accuracy
from eqvae.metrics.disentanglement.agreement import seed_agreement
from eqvae.metrics.disentanglement.lsbd import d_lsbd
from eqvae.metrics.disentanglement.suite import disentanglement_scores
from eqvae.metrics.equivariance.audit import SymmetryAudit
from eqvae.metrics.generation.features import SMALLEST
from eqvae.metrics.generation.reconstruction import reconstruction_scores
from eqvae.metrics.generation.samples import distance_by_orientation, generation_scores
from eqvae.metrics.likelihood.elbo import active_units, bits_per_dim, elbo_terms
from eqvae.metrics.likelihood.importance import (
    BoundEstimate,
    estimate_bound,
    importance_weighted_bound,
)
from eqvae.metrics.pose.calibration import angle_calibration, position_calibration
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.metrics.pose.error import gauge_split, pose_errors, pose_errors_by_class
from eqvae.metrics.pose.gauge import apply_gauge, fit_gauge, gauge_residuals
from eqvae.metrics.pose.symmetry_order import symmetry_order_accuracy
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import motion
from eqvae.testing import GaussianScenes


@dataclass
class Findings:
    """What a suite found.

    Attributes:
        scores: by name within the suite.
        figures: matplotlib figures or PIL images, by caption.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


Suite = Callable[[HeldOut], Findings]


@torch.no_grad()
def likelihood(held_out: HeldOut) -> Findings:
    """ELBO and KL by block, an importance-weighted bound, bits per dimension, active units."""
    code, groups, seed = held_out.encoding, held_out.groups, held_out.seed
    scores = elbo_terms(code.log_likelihood, code.kl, groups=groups, seed=seed)
    latent = held_out.representation
    units = code.posterior.mode / held_out.vae.prior.scale.cpu()  # the position too in prior units
    active = active_units(units, latent.copy_index, groups=groups, seed=seed)
    n, draws = (64, 500) if held_out.fast else (200, 5000)
    bound = _bound(held_out, n, draws)
    scores |= importance_weighted_bound(bound, groups=_first(groups, n), seed=seed)
    dims = held_out.images[0].numel()
    scores |= bits_per_dim(bound.bounds[draws], dims, groups=_first(groups, n), seed=seed)
    blocks = {name.removeprefix("kl/"): s for name, s in scores.items() if name.startswith("kl/")}
    return Findings(scores | active, {"KL by irrep block": figures.kl_figure(blocks)})


@torch.no_grad()
def generation(held_out: HeldOut) -> Findings:
    """Reconstructions against images, samples against data, and both at every orientation."""
    vae, seed = held_out.vae, held_out.seed
    n = min(len(held_out.images), 2000 if held_out.fast else 10_000)
    real, groups = held_out.images[:n], _first(held_out.groups, n)
    kept = held_out.encoding.reconstruction.clamp(0, 1)
    scores = reconstruction_scores(
        held_out.images[: len(kept)], kept, groups=_first(held_out.groups, len(kept)), seed=seed
    )
    shown = {
        "Reconstructions": reconstruction_picture(vae, held_out.images[:8].to(held_out.device)),
        "Samples from the prior": sample_picture(vae, seed=seed),
    }
    if real.shape[-1] < SMALLEST:
        reason = f"the feature network needs images of {SMALLEST} pixels; got {real.shape[-1]}"
        return Findings(scores | {"fd_posed": Score.null(reason, page="frechet-distance")}, shown)
    z = vae.prior.sample(n, torch.Generator().manual_seed(seed))
    scores |= generation_scores(real, _decoded(held_out, z), groups=groups, seed=seed)
    few = min(n, 500 if held_out.fast else 2000)

    def turned(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return act_on_image(g, real[:few], "bicubic").clamp(0, 1)

    def drawn(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return _decoded(held_out, held_out.representation.act(g, z[:few]))

    scores |= distance_by_orientation(turned, drawn, groups=_first(groups, few), seed=seed)
    return Findings(scores, shown)


def equivariance(held_out: HeldOut) -> Findings:
    """The symmetry audit: errors at every angle and of every layer."""
    n = min(len(held_out.images), 16 if held_out.fast else 32)
    x = held_out.images[:n].to(held_out.device)
    scenes = GaussianScenes(n, seed=held_out.seed, size=x.shape[-1], channels=x.shape[1])
    preset = "fast" if held_out.fast else "full"
    audit = SymmetryAudit.of(held_out.vae)
    found = audit.run(x, scenes=scenes, preset=preset, seed=held_out.seed)
    shown = {
        "Equivariance error at every angle": found.polar_figure(),
        "Orbit of one image": orbit_picture(
            held_out.vae, held_out.images[_asymmetric(held_out)].to(held_out.device)
        ),
    }
    if found.layers:
        shown["Equivariance error of the layers"] = found.layer_figure()
    ordered = dict(sorted(found.scores.items(), key=lambda item: item[0].count("/")))
    return Findings(ordered | found.layer_scores, shown)


def pose(held_out: HeldOut) -> Findings:
    """Pose of moved images against the moved pose; with true poses its error and calibration."""
    if not held_out.has_frame:
        return Findings({"error": Score.null("the latent holds no psi_1 to read an angle from")})
    moved, seed, groups = held_out.moved, held_out.seed, held_out.groups
    labels, orders = held_out.labels, held_out.orders
    proper = moved.motions[:, 0] == 0  # a frame vector has no handedness to tell mirrors by
    scores = pose_consistency(
        held_out.pose[: moved.n],
        torch.stack([held_out.pose_of(z) for z in moved.z[proper]]),
        moved.motions[proper],
        orders=orders,
        classes=_first(labels, moved.n),
        groups=_first(groups, moved.n),
        seed=seed,
    )
    scores = {f"consistency/{name}": score for name, score in _placed(held_out, scores).items()}
    if held_out.poses is None:
        unknown = "the true poses are not known"
        return Findings(scores | {"error": Score.null(unknown), "calibration": Score.null(unknown)})
    how = {"classes": labels, "orders": orders, "groups": groups, "seed": seed}
    errors = pose_errors(held_out.pose, held_out.poses, **how)
    errors = _placed(held_out, errors)
    if held_out.symmetry_orders is None:
        assumed = (
            "the data do not say which objects look the same after a part of a turn: none, assumed"
        )
        errors["angle_median"] = replace(errors["angle_median"], reason=assumed)
    scores |= {f"error/{name}": score for name, score in errors.items()}
    if labels is not None:
        by_class = pose_errors_by_class(held_out.pose, held_out.poses, **how)
        scores |= {
            f"error/class_{c}/{name}": found[name]
            for c, found in by_class.items()
            for name in ("angle_median", "shift_median")
            if not (name == "shift_median" and not held_out.representation.position)
        }
    truth, angles, scored = _scored_truth(held_out)
    if len(scored) == 0:
        reason = "no class has two images, one to fit the gauge and one to score"
        return Findings(scores | {"calibration": Score.null(reason)})
    log_density = held_out.encoding.posterior.angle_log_density(held_out.frame)[scored]
    here = {"groups": _rows(groups, scored), "seed": seed}
    calibrated = angle_calibration(
        log_density, truth[:, 1], orders=orders, classes=_rows(labels, scored), **here
    )
    scores |= {f"calibration/angle/{name}": score for name, score in calibrated.items()}
    points = {
        f"angle {level} %": (level / 100, calibrated[f"coverage_{level}"]) for level in (50, 90, 95)
    }
    if held_out.representation.position:
        q = held_out.encoding.posterior
        placed = position_calibration(
            q.mode[scored, :2], q.position_scale[scored], truth[:, 2:], **here
        )
        scores |= {f"calibration/position/{name}": score for name, score in placed.items()}
        points |= {f"position {v} %": (v / 100, placed[f"coverage_{v}"]) for v in (50, 90, 95)}
    scores |= _symmetry_order(held_out)
    shown = {"Credible sets of the pose": figures.coverage_figure(points)}
    if len(angles):
        floor = errors["angle_median"].floor or 90.0
        shown["Pose against the truth"] = figures.angle_error_figure(angles, floor)
    return Findings(scores, shown)


def content(held_out: HeldOut) -> Findings:
    """Whether content stays the same when the object moves, and what of the pose it gives away."""
    moved, seed, groups = held_out.moved, held_out.seed, held_out.groups
    still, first = held_out.content, _first(groups, moved.n)
    after = held_out.moved_content
    scores = content_invariance(
        still[: moved.n], after, motions=moved.kinds, groups=first, seed=seed
    )
    change = _cluster_change(held_out)
    scores |= change | effective_rank(still, groups=groups, seed=seed)
    shown = {"Content": figures.content_map(still, held_out.labels, seed)} if len(still) > 2 else {}
    if held_out.poses is None:
        scores["leak"] = Score.null("the true poses are not known")
    else:
        leak = pose_leak(still, held_out.poses, groups=groups, preset=held_out.effort, seed=seed)
        scores |= {f"leak/{name}": score for name, score in leak.items()}
        shown["Pose predicted from content"] = figures.leak_figure(leak)
    if held_out.labels is not None and len(np.unique(held_out.labels)) > 1:
        found = probe_accuracy(
            still, held_out.labels, groups=groups, preset=held_out.effort, seed=seed
        )
        scores |= {f"probe/{name}": score for name, score in found.items()}
    else:
        scores["probe"] = Score.null("the data have no labels of two classes")
    return Findings(scores, shown)


def clustering(held_out: HeldOut) -> Findings:
    """Classes found by clustering the content, mean and spread over seeds of the clusterer."""
    if held_out.labels is None or len(np.unique(held_out.labels)) < 2:
        return Findings({"accuracy": Score.null("the data have no labels of two classes")})
    labels, seed = held_out.labels.numpy(), held_out.seed
    scores = content_clustering(
        held_out.content, labels, groups=held_out.groups, preset=held_out.effort, seed=seed
    )
    if all(score.value is None for score in scores.values()):
        return Findings(scores)
    clusters = cluster(held_out.content, len(np.unique(labels)), seed=seed, mixture_rows=5000)
    return Findings(scores, {"Classes and clusters": figures.confusion_figure(clusters, labels)})


def disentanglement(held_out: HeldOut) -> Findings:
    """Whether each irrep block carries its own factor; and, on orbits, how linear the action is."""
    scores = {f"d_lsbd/{name}": score for name, score in _linearity(held_out).items()}
    factors, rows = _factors(held_out)
    if len(factors) < 2:
        reason = f"needs two known factors that vary; the data know {len(factors)}"
        return Findings(scores | {"infomec": Score.null(reason)})
    scores |= disentanglement_scores(
        held_out.encoding.posterior.mode[rows],
        factors,
        blocks=held_out.blocks,
        preset=held_out.preset,
        groups=_rows(held_out.groups, rows),
        seed=held_out.seed,
    )
    return Findings(scores)


def agreement(all_evidence: Sequence[HeldOut]) -> Findings:
    """Whether several models find the same blocks; nothing unless all of them saw the same images.

    Meant for runs that differ in their seed alone.
    """
    first = all_evidence[0]
    if len(all_evidence) < 2 or not all(
        torch.equal(held_out.images, first.images) for held_out in all_evidence[1:]
    ):
        return Findings()
    codes = [(e.encoding.posterior.mode, e.blocks) for e in all_evidence]
    return Findings(seed_agreement(codes, groups=first.groups, seed=first.seed))


SUITES: dict[str, Suite] = {
    suite.__name__: suite
    for suite in (
        likelihood,
        generation,
        equivariance,
        pose,
        content,
        clustering,
        disentanglement,
    )
}


def _bound(held_out: HeldOut, n: int, draws: int) -> BoundEstimate:
    """Importance-weighted bounds on log p(x) of the first n images, the posterior as proposal."""
    vae, at_once = held_out.vae, max(1, 1000 // n)
    x = held_out.images[:n].to(held_out.device)
    n = len(x)
    optics = held_out.optics(slice(n))
    q = vae.encode(x, **optics)
    generator = torch.Generator(held_out.device).manual_seed(held_out.seed)
    steps = iter(held_out.watch(range(-(-draws // at_once)), "importance-weighted bound"))

    def log_weights(k: int) -> Tensor:
        many = rows_of(q, torch.arange(n).repeat(k))
        z = many.rsample(generator)
        again = {name: value.repeat(k, 1) for name, value in optics.items()}
        log_p = vae.log_prob(x.repeat(k, 1, 1, 1), z, **again)
        next(steps, None)
        return (log_p + vae.prior.log_prob(z) - many.log_prob(z)).reshape(k, n).cpu()

    return estimate_bound(log_weights, draws, chunk=at_once)


def _linearity(held_out: HeldOut) -> dict[str, Score]:
    """D_LSBD on orbits: each image turned to 16 angles and shifted, so no true pose is needed."""
    n, turns = min(len(held_out.images), 60 if held_out.fast else 200), 16
    generator = torch.Generator().manual_seed(held_out.seed)
    shifts = torch.rand(turns, 2, generator=generator) * 4 - 2
    motions = motion(angle=torch.arange(turns) * (2 * math.pi / turns), shift=shifts)
    z = held_out.encode_moved(motions, n, "orbits")
    turning = {b.name: b.frequency for b in held_out.representation.blocks if b.frequency > 0}
    blocks = {name: held_out.blocks[name] for name in turning}
    if not blocks:
        return {"d_lsbd": Score.null("no block of the latent turns or shifts with the object")}
    positions = motions[:, None, 2:].expand(turns, n, 2).reshape(-1, 2)
    return d_lsbd(
        z.reshape(turns * n, -1),
        motions[:, 1].repeat_interleave(n),
        blocks=blocks,
        frequencies={name: ell for name, ell in turning.items() if name != "position"},
        positions=positions if "position" in blocks else None,
        objects=torch.arange(n).repeat(turns),
        seed=held_out.seed,
    )


def _factors(held_out: HeldOut) -> tuple[dict[str, Tensor], Tensor]:
    """Known factors that vary, and the rows for which all of them mean something."""
    rows, factors = torch.ones(len(held_out.images), dtype=torch.bool), {}
    if isinstance(held_out.orders, dict) and held_out.poses is not None:
        asymmetric = torch.tensor([held_out.orders[int(c)] == 1 for c in held_out.labels])
        # the angle of an object that looks the same in several poses is no factor
        several = len(held_out.labels[asymmetric].unique()) > 1
        rows = asymmetric if several else rows
        turning = bool(several)
    else:
        turning = True
    if held_out.labels is not None and len(held_out.labels[rows].unique()) > 1:
        factors["class"] = held_out.labels[rows]
    if held_out.poses is not None:
        poses = held_out.poses[rows]
        if turning and poses[:, 1].std() > 0:
            factors["angle"] = torch.stack([poses[:, 1].cos(), poses[:, 1].sin()], dim=1)
        if poses[:, 2:].std() > 0:
            factors["position"] = poses[:, 2:]
    return factors, rows


def _symmetry_order(held_out: HeldOut) -> dict[str, Score]:
    """How often the posterior shows the object's own symmetry; a law with one mode can't."""
    q = held_out.encoding.posterior
    if isinstance(q, GaussianPosterior):
        one_mode = "the angle of a Gaussian latent has one mode, so it shows no symmetry order"
        return {"symmetry_order": Score.null(one_mode, page="symmetry-order")}
    if not isinstance(held_out.orders, dict):
        unknown = "the data do not say which objects look the same after a part of a turn"
        return {"symmetry_order": Score.null(unknown, page="symmetry-order")}
    truth = np.array([held_out.orders[int(c)] for c in held_out.labels])
    found = symmetry_order_accuracy(
        q.angle_log_density(), truth, groups=held_out.groups, seed=held_out.seed
    )
    return {f"symmetry_order/{name}": score for name, score in found.items()}


def _placed(held_out: HeldOut, scores: dict[str, Score]) -> dict[str, Score]:
    """The scores, without those of a position that the latent does not hold."""
    if held_out.representation.position:
        return scores
    missing = "the latent holds no position"
    return {
        name: Score.null(missing, page=score.page) if name.startswith("shift") else score
        for name, score in scores.items()
    }


def _scored_truth(held_out: HeldOut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True poses in the model's frame, angle errors in degrees, and which rows: those that fit no gauge."""
    n, orders = len(held_out.images), held_out.orders
    labels = np.zeros(n, int) if held_out.labels is None else held_out.labels.numpy()
    groups = np.arange(n) if held_out.groups is None else held_out.groups.numpy()
    fit, rest = gauge_split(labels, groups, seed=held_out.seed)
    rows = np.flatnonzero(rest)
    if len(rows) == 0:
        return np.empty((0, 4)), np.empty(0), rows
    pose, poses = held_out.pose, held_out.poses
    gauges = fit_gauge(pose[fit], poses[fit], labels[fit], orders)
    angle, _ = gauge_residuals(pose[rows], poses[rows], gauges, labels[rows])
    truth = apply_gauge(poses[rows], gauges, labels[rows])
    return truth, np.degrees(np.abs(angle[np.isfinite(angle)])), rows


def _asymmetric(held_out: HeldOut) -> slice:
    """The first image whose orbit can be seen, as a slice of one."""
    first = 0
    if isinstance(held_out.orders, dict):
        orders = [held_out.orders[int(c)] for c in held_out.labels]
        first = orders.index(1) if 1 in orders else 0
    return slice(first, first + 1)


def _cluster_change(held_out: HeldOut) -> dict[str, Score]:
    """Clusters by one mixture with as many components as classes, 10 where there are none."""
    still, after, moved = held_out.content, held_out.moved_content, held_out.moved
    several = held_out.labels is not None and len(np.unique(held_out.labels)) > 1
    components = len(np.unique(held_out.labels)) if several else 10
    live = varying(still)
    if len(still) < 10 * components or not live.any():
        reason = f"{len(still)} images are fewer than 10 for each of {components} clusters"
        reason = reason if live.any() else "the content is the same for every image"
        return {"cluster_change": Score.null(reason, page="cluster-change")}
    centre, scale = still[:, live].mean(axis=0), np.sqrt(still[:, live].var(axis=0).mean())
    mixture = fit_mixture((still[:, live] - centre) / scale, components, held_out.seed, 5000)
    clusters = [mixture.predict((c[:, live] - centre) / scale) for c in (still[: moved.n], *after)]
    return cluster_change(
        clusters[0],
        np.stack(clusters[1:]),
        motions=moved.kinds,
        groups=_first(held_out.groups, moved.n),
        seed=held_out.seed,
    )


def _decoded(held_out: HeldOut, z: Tensor) -> Tensor:
    """Images of latents, in [0, 1]."""
    parts = z.to(held_out.device).split(BATCH)
    return torch.cat([held_out.vae.decode(part).cpu() for part in parts]).clamp(0, 1)


def _first(values: Any, n: int) -> Any:
    return None if values is None else values[:n]


def _rows(values: Any, rows: Any) -> Any:
    return None if values is None else values[rows]
