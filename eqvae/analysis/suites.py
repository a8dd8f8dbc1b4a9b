"""The suites of an evaluation: which scores the data allow, from one shared `Evidence`.

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

A suite is a function `Evidence -> Findings`; write your own with the same signature for `evaluate`.
What the data do not allow becomes a score without a value and with a reason.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.analysis import figures
from eqvae.analysis.evidence import BATCH, Evidence
from eqvae.analysis.pictures import orbit_picture, reconstruction_picture, sample_picture
from eqvae.distributions import GaussianPosterior, rows_of
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
from eqvae.symmetry.actions import act_on_image
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


Suite = Callable[[Evidence], Findings]


@torch.no_grad()
def likelihood(evidence: Evidence) -> Findings:
    """ELBO and KL by block, an importance-weighted bound, bits per dimension, active units."""
    code, groups, seed = evidence.encoding, evidence.groups, evidence.seed
    scores = elbo_terms(code.log_likelihood, code.kl, groups=groups, seed=seed)
    latent = evidence.representation
    units = code.posterior.mode / evidence.vae.prior.scale.cpu()  # the position too in prior units
    active = active_units(units, latent.copy_index, groups=groups, seed=seed)
    n, draws = (64, 500) if evidence.fast else (200, 5000)
    bound = _bound(evidence, n, draws)
    scores |= importance_weighted_bound(bound, groups=_first(groups, n), seed=seed)
    dims = evidence.images[0].numel()
    scores |= bits_per_dim(bound.bounds[draws], dims, groups=_first(groups, n), seed=seed)
    blocks = {name.removeprefix("kl/"): s for name, s in scores.items() if name.startswith("kl/")}
    return Findings(scores | active, {"KL by irrep block": figures.kl_figure(blocks)})


@torch.no_grad()
def generation(evidence: Evidence) -> Findings:
    """Reconstructions against images, samples against data, and both at every orientation."""
    vae, seed = evidence.vae, evidence.seed
    n = min(len(evidence.images), 2000 if evidence.fast else 10_000)
    real, groups = evidence.images[:n], _first(evidence.groups, n)
    kept = evidence.encoding.reconstruction.clamp(0, 1)
    scores = reconstruction_scores(
        evidence.images[: len(kept)], kept, groups=_first(evidence.groups, len(kept)), seed=seed
    )
    shown = {
        "Reconstructions": reconstruction_picture(vae, evidence.images[:8].to(evidence.device)),
        "Samples from the prior": sample_picture(vae, seed=seed),
    }
    if real.shape[-1] < SMALLEST:
        reason = f"the feature network needs images of {SMALLEST} pixels; got {real.shape[-1]}"
        return Findings(scores | {"fd_posed": Score.null(reason, page="frechet-distance")}, shown)
    z = vae.prior.sample(n, torch.Generator().manual_seed(seed))
    scores |= generation_scores(real, _decoded(evidence, z), groups=groups, seed=seed)
    few = min(n, 500 if evidence.fast else 2000)

    def turned(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return act_on_image(g, real[:few], "bicubic").clamp(0, 1)

    def drawn(angle: float) -> Tensor:
        g = motion(angle=angle).expand(few, -1)
        return _decoded(evidence, evidence.representation.act(g, z[:few]))

    scores |= distance_by_orientation(turned, drawn, groups=_first(groups, few), seed=seed)
    return Findings(scores, shown)


def equivariance(evidence: Evidence) -> Findings:
    """The symmetry audit: errors at every angle and of every layer."""
    n = min(len(evidence.images), 16 if evidence.fast else 32)
    x = evidence.images[:n].to(evidence.device)
    scenes = GaussianScenes(n, seed=evidence.seed, size=x.shape[-1], channels=x.shape[1])
    preset = "fast" if evidence.fast else "full"
    audit = SymmetryAudit.of(evidence.vae)
    found = audit.run(x, scenes=scenes, preset=preset, seed=evidence.seed)
    shown = {
        "Equivariance error at every angle": found.polar_figure(),
        "Orbit of one image": orbit_picture(
            evidence.vae, evidence.images[_asymmetric(evidence)].to(evidence.device)
        ),
    }
    if found.layers:
        shown["Equivariance error of the layers"] = found.layer_figure()
    ordered = dict(sorted(found.scores.items(), key=lambda item: item[0].count("/")))
    return Findings(ordered | found.layer_scores, shown)


def pose(evidence: Evidence) -> Findings:
    """Pose of moved images against the moved pose; with true poses its error and calibration."""
    if not evidence.has_frame:
        return Findings({"error": Score.null("the latent holds no psi_1 to read an angle from")})
    moved, seed, groups = evidence.moved, evidence.seed, evidence.groups
    labels, orders = evidence.labels, evidence.orders
    proper = moved.motions[:, 0] == 0  # a frame vector has no handedness to tell mirrors by
    scores = pose_consistency(
        evidence.pose[: moved.n],
        torch.stack([evidence.pose_of(z) for z in moved.z[proper]]),
        moved.motions[proper],
        orders=orders,
        classes=_first(labels, moved.n),
        groups=_first(groups, moved.n),
        seed=seed,
    )
    scores = {f"consistency/{name}": score for name, score in _placed(evidence, scores).items()}
    if evidence.poses is None:
        unknown = "the true poses are not known"
        return Findings(scores | {"error": Score.null(unknown), "calibration": Score.null(unknown)})
    how = {"classes": labels, "orders": orders, "groups": groups, "seed": seed}
    errors = pose_errors(evidence.pose, evidence.poses, **how)
    errors = _placed(evidence, errors)
    if evidence.symmetry_orders is None:
        assumed = (
            "the data do not say which objects look the same after a part of a turn: none, assumed"
        )
        errors["angle_median"] = replace(errors["angle_median"], reason=assumed)
    scores |= {f"error/{name}": score for name, score in errors.items()}
    if labels is not None:
        by_class = pose_errors_by_class(evidence.pose, evidence.poses, **how)
        scores |= {
            f"error/class_{c}/{name}": found[name]
            for c, found in by_class.items()
            for name in ("angle_median", "shift_median")
            if not (name == "shift_median" and not evidence.representation.position)
        }
    truth, angles, scored = _scored_truth(evidence)
    if len(scored) == 0:
        reason = "no class has two images, one to fit the gauge and one to score"
        return Findings(scores | {"calibration": Score.null(reason)})
    log_density = evidence.encoding.posterior.angle_log_density(evidence.frame)[scored]
    here = {"groups": _rows(groups, scored), "seed": seed}
    calibrated = angle_calibration(
        log_density, truth[:, 1], orders=orders, classes=_rows(labels, scored), **here
    )
    scores |= {f"calibration/angle/{name}": score for name, score in calibrated.items()}
    points = {
        f"angle {level} %": (level / 100, calibrated[f"coverage_{level}"]) for level in (50, 90, 95)
    }
    if evidence.representation.position:
        q = evidence.encoding.posterior
        placed = position_calibration(
            q.mode[scored, :2], q.position_scale[scored], truth[:, 2:], **here
        )
        scores |= {f"calibration/position/{name}": score for name, score in placed.items()}
        points |= {f"position {v} %": (v / 100, placed[f"coverage_{v}"]) for v in (50, 90, 95)}
    scores |= _symmetry_order(evidence)
    shown = {"Credible sets of the pose": figures.coverage_figure(points)}
    if len(angles):
        floor = errors["angle_median"].floor or 90.0
        shown["Pose against the truth"] = figures.angle_error_figure(angles, floor)
    return Findings(scores, shown)


def content(evidence: Evidence) -> Findings:
    """Whether content stays the same when the object moves, and what of the pose it gives away."""
    moved, seed, groups = evidence.moved, evidence.seed, evidence.groups
    still, first = evidence.content, _first(groups, moved.n)
    after = evidence.moved_content
    scores = content_invariance(
        still[: moved.n], after, motions=moved.kinds, groups=first, seed=seed
    )
    change = _cluster_change(evidence)
    scores |= change | effective_rank(still, groups=groups, seed=seed)
    shown = {"Content": figures.content_map(still, evidence.labels, seed)} if len(still) > 2 else {}
    if evidence.poses is None:
        scores["leak"] = Score.null("the true poses are not known")
    else:
        leak = pose_leak(still, evidence.poses, groups=groups, preset=evidence.effort, seed=seed)
        scores |= {f"leak/{name}": score for name, score in leak.items()}
        shown["Pose predicted from content"] = figures.leak_figure(leak)
    if evidence.labels is not None and len(np.unique(evidence.labels)) > 1:
        found = probe_accuracy(
            still, evidence.labels, groups=groups, preset=evidence.effort, seed=seed
        )
        scores |= {f"probe/{name}": score for name, score in found.items()}
    else:
        scores["probe"] = Score.null("the data have no labels of two classes")
    return Findings(scores, shown)


def clustering(evidence: Evidence) -> Findings:
    """Classes found by clustering the content, mean and spread over seeds of the clusterer."""
    if evidence.labels is None or len(np.unique(evidence.labels)) < 2:
        return Findings({"accuracy": Score.null("the data have no labels of two classes")})
    labels, seed = evidence.labels.numpy(), evidence.seed
    scores = content_clustering(
        evidence.content, labels, groups=evidence.groups, preset=evidence.effort, seed=seed
    )
    if all(score.value is None for score in scores.values()):
        return Findings(scores)
    clusters = cluster(evidence.content, len(np.unique(labels)), seed=seed, mixture_rows=5000)
    return Findings(scores, {"Classes and clusters": figures.confusion_figure(clusters, labels)})


def disentanglement(evidence: Evidence) -> Findings:
    """Whether each irrep block carries its own factor; and, on orbits, how linear the action is."""
    scores = {f"d_lsbd/{name}": score for name, score in _linearity(evidence).items()}
    factors, rows = _factors(evidence)
    if len(factors) < 2:
        reason = f"needs two known factors that vary; the data know {len(factors)}"
        return Findings(scores | {"infomec": Score.null(reason)})
    scores |= disentanglement_scores(
        evidence.encoding.posterior.mode[rows],
        factors,
        blocks=evidence.blocks,
        preset=evidence.preset,
        groups=_rows(evidence.groups, rows),
        seed=evidence.seed,
    )
    return Findings(scores)


def agreement(all_evidence: Sequence[Evidence]) -> Findings:
    """Whether several models find the same blocks; nothing unless all of them saw the same images.

    Meant for runs that differ in their seed alone.
    """
    first = all_evidence[0]
    if len(all_evidence) < 2 or not all(
        torch.equal(evidence.images, first.images) for evidence in all_evidence[1:]
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


def _bound(evidence: Evidence, n: int, draws: int) -> BoundEstimate:
    """Importance-weighted bounds on log p(x) of the first n images, the posterior as proposal."""
    vae, at_once = evidence.vae, max(1, 1000 // n)
    x = evidence.images[:n].to(evidence.device)
    n = len(x)
    optics = evidence.optics(slice(n))
    q = vae.encode(x, **optics)
    generator = torch.Generator(evidence.device).manual_seed(evidence.seed)
    steps = iter(evidence.watch(range(-(-draws // at_once)), "importance-weighted bound"))

    def log_weights(k: int) -> Tensor:
        many = rows_of(q, torch.arange(n).repeat(k))
        z = many.rsample(generator)
        again = {name: value.repeat(k, 1) for name, value in optics.items()}
        log_p = vae.log_prob(x.repeat(k, 1, 1, 1), z, **again)
        next(steps, None)
        return (log_p + vae.prior.log_prob(z) - many.log_prob(z)).reshape(k, n).cpu()

    return estimate_bound(log_weights, draws, chunk=at_once)


def _linearity(evidence: Evidence) -> dict[str, Score]:
    """D_LSBD on orbits: each image turned to 16 angles and shifted, so no true pose is needed."""
    n, turns = min(len(evidence.images), 60 if evidence.fast else 200), 16
    generator = torch.Generator().manual_seed(evidence.seed)
    shifts = torch.rand(turns, 2, generator=generator) * 4 - 2
    motions = motion(angle=torch.arange(turns) * (2 * math.pi / turns), shift=shifts)
    z = evidence.encode_moved(motions, n, "orbits")
    turning = {b.name: b.frequency for b in evidence.representation.blocks if b.frequency > 0}
    blocks = {name: evidence.blocks[name] for name in turning}
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
        seed=evidence.seed,
    )


def _factors(evidence: Evidence) -> tuple[dict[str, Tensor], Tensor]:
    """Known factors that vary, and the rows for which all of them mean something."""
    rows, factors = torch.ones(len(evidence.images), dtype=torch.bool), {}
    if isinstance(evidence.orders, dict) and evidence.poses is not None:
        asymmetric = torch.tensor([evidence.orders[int(c)] == 1 for c in evidence.labels])
        # the angle of an object that looks the same in several poses is no factor
        several = len(evidence.labels[asymmetric].unique()) > 1
        rows = asymmetric if several else rows
        turning = bool(several)
    else:
        turning = True
    if evidence.labels is not None and len(evidence.labels[rows].unique()) > 1:
        factors["class"] = evidence.labels[rows]
    if evidence.poses is not None:
        poses = evidence.poses[rows]
        if turning and poses[:, 1].std() > 0:
            factors["angle"] = torch.stack([poses[:, 1].cos(), poses[:, 1].sin()], dim=1)
        if poses[:, 2:].std() > 0:
            factors["position"] = poses[:, 2:]
    return factors, rows


def _symmetry_order(evidence: Evidence) -> dict[str, Score]:
    """How often the posterior shows the object's own symmetry; a law with one mode can't."""
    q = evidence.encoding.posterior
    if isinstance(q, GaussianPosterior):
        one_mode = "the angle of a Gaussian latent has one mode, so it shows no symmetry order"
        return {"symmetry_order": Score.null(one_mode, page="symmetry-order")}
    if not isinstance(evidence.orders, dict):
        unknown = "the data do not say which objects look the same after a part of a turn"
        return {"symmetry_order": Score.null(unknown, page="symmetry-order")}
    truth = np.array([evidence.orders[int(c)] for c in evidence.labels])
    found = symmetry_order_accuracy(
        q.angle_log_density(), truth, groups=evidence.groups, seed=evidence.seed
    )
    return {f"symmetry_order/{name}": score for name, score in found.items()}


def _placed(evidence: Evidence, scores: dict[str, Score]) -> dict[str, Score]:
    """The scores, without those of a position that the latent does not hold."""
    if evidence.representation.position:
        return scores
    missing = "the latent holds no position"
    return {
        name: Score.null(missing, page=score.page) if name.startswith("shift") else score
        for name, score in scores.items()
    }


def _scored_truth(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True poses in the model's frame, angle errors in degrees, and which rows: those that fit no gauge."""
    n, orders = len(evidence.images), evidence.orders
    labels = np.zeros(n, int) if evidence.labels is None else evidence.labels.numpy()
    groups = np.arange(n) if evidence.groups is None else evidence.groups.numpy()
    fit, rest = gauge_split(labels, groups, seed=evidence.seed)
    rows = np.flatnonzero(rest)
    if len(rows) == 0:
        return np.empty((0, 4)), np.empty(0), rows
    pose, poses = evidence.pose, evidence.poses
    gauges = fit_gauge(pose[fit], poses[fit], labels[fit], orders)
    angle, _ = gauge_residuals(pose[rows], poses[rows], gauges, labels[rows])
    truth = apply_gauge(poses[rows], gauges, labels[rows])
    return truth, np.degrees(np.abs(angle[np.isfinite(angle)])), rows


def _asymmetric(evidence: Evidence) -> slice:
    """The first image whose orbit can be seen, as a slice of one."""
    first = 0
    if isinstance(evidence.orders, dict):
        orders = [evidence.orders[int(c)] for c in evidence.labels]
        first = orders.index(1) if 1 in orders else 0
    return slice(first, first + 1)


def _cluster_change(evidence: Evidence) -> dict[str, Score]:
    """Clusters by one mixture with as many components as classes, 10 where there are none."""
    still, after, moved = evidence.content, evidence.moved_content, evidence.moved
    several = evidence.labels is not None and len(np.unique(evidence.labels)) > 1
    components = len(np.unique(evidence.labels)) if several else 10
    live = varying(still)
    if len(still) < 10 * components or not live.any():
        reason = f"{len(still)} images are fewer than 10 for each of {components} clusters"
        reason = reason if live.any() else "the content is the same for every image"
        return {"cluster_change": Score.null(reason, page="cluster-change")}
    centre, scale = still[:, live].mean(axis=0), np.sqrt(still[:, live].var(axis=0).mean())
    mixture = fit_mixture((still[:, live] - centre) / scale, components, evidence.seed, 5000)
    clusters = [mixture.predict((c[:, live] - centre) / scale) for c in (still[: moved.n], *after)]
    return cluster_change(
        clusters[0],
        np.stack(clusters[1:]),
        motions=moved.kinds,
        groups=_first(evidence.groups, moved.n),
        seed=evidence.seed,
    )


def _decoded(evidence: Evidence, z: Tensor) -> Tensor:
    """Images of latents, in [0, 1]."""
    parts = z.to(evidence.device).split(BATCH)
    return torch.cat([evidence.vae.decode(part).cpu() for part in parts]).clamp(0, 1)


def _first(values: Any, n: int) -> Any:
    return None if values is None else values[:n]


def _rows(values: Any, rows: Any) -> Any:
    return None if values is None else values[rows]
