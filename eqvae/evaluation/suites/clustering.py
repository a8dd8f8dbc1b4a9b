"""Do classes fall out of the content?"""

import numpy as np

from eqvae.drawing.scores import confusion_figure
from eqvae.evaluation.findings import Findings
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.clustering.clusterers import cluster, content_clustering
from eqvae.metrics.score import Score

PLACE = 60


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
    return Findings(scores, {"Classes and clusters": confusion_figure(clusters, labels)})
