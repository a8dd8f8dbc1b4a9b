"""Content: whether it ignores pose, what of the pose it gives away, and what it knows of classes."""

from eqvae.metrics.content.invariance import cluster_change, content_invariance
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.content.probes import effective_rank, probe_accuracy

__all__ = [
    "cluster_change",
    "content_invariance",
    "effective_rank",
    "pose_leak",
    "probe_accuracy",
]
