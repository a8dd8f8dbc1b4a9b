"""Does content ignore pose?"""

import numpy as np

from eqvae.drawing.scores import content_map, leak_figure
from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.clustering.clusterers import fit_mixture, varying
from eqvae.metrics.content.invariance import cluster_change, content_invariance
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.content.probes import probe_accuracy
from eqvae.metrics.content.rank import effective_rank
from eqvae.metrics.score import Score

PLACE = 50


def content(held_out: HeldOut) -> Findings:
    """Whether content stays the same when the object moves, and what of the pose it gives away."""
    moved, seed, groups = held_out.moved, held_out.seed, held_out.groups
    still, how = held_out.content, {"groups": groups, "preset": held_out.effort, "seed": seed}
    scores = content_invariance(
        still[: moved.n],
        moved.content.numpy(),
        motions=moved.kinds,
        groups=picked(groups, slice(moved.n)),
        seed=seed,
    )
    change = _cluster_change(held_out)
    scores |= change | effective_rank(still, groups=groups, seed=seed)
    shown = {"Content": content_map(still, held_out.labels, seed)} if len(still) > 2 else {}
    if held_out.poses is None:
        scores["leak"] = Score.null("the true poses are not known")
    else:
        leak = pose_leak(still, held_out.poses, **how)
        scores |= {f"leak/{name}": score for name, score in leak.items()}
        shown["Pose predicted from content"] = leak_figure(leak)
    if held_out.labels is not None and len(np.unique(held_out.labels)) > 1:
        found = probe_accuracy(still, held_out.labels, **how)
        scores |= {f"probe/{name}": score for name, score in found.items()}
    else:
        scores["probe"] = Score.null("the data have no labels of two classes")
    return Findings(scores, shown)


def _cluster_change(held_out: HeldOut) -> dict[str, Score]:
    """Clusters by one mixture with as many components as classes, 10 where there are none."""
    still, moved = held_out.content, held_out.moved
    several = held_out.labels is not None and len(np.unique(held_out.labels)) > 1
    components = len(np.unique(held_out.labels)) if several else 10
    live = varying(still)
    if len(still) < 10 * components or not live.any():
        reason = f"{len(still)} images are fewer than 10 for each of {components} clusters"
        reason = reason if live.any() else "the content is the same for every image"
        return {"cluster_change": Score.null(reason, page="cluster-change")}
    centre, scale = still[:, live].mean(axis=0), np.sqrt(still[:, live].var(axis=0).mean())
    mixture = fit_mixture((still[:, live] - centre) / scale, components, held_out.seed, 5000)
    clusters = [
        mixture.predict((c[:, live] - centre) / scale)
        for c in (still[: moved.n], *moved.content.numpy())
    ]
    return cluster_change(
        clusters[0],
        np.stack(clusters[1:]),
        motions=moved.kinds,
        groups=picked(held_out.groups, slice(moved.n)),
        seed=held_out.seed,
    )
