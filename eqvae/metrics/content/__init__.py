"""Content: whether it ignores pose, what of the pose it gives away, and what it knows of classes."""

from eqvae.metrics.content.invariance import cluster_change, content_invariance
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.content.probes import probe_accuracy
from eqvae.metrics.content.rank import effective_rank

__all__ = [
    "cluster_change",
    "content_invariance",
    "effective_rank",
    "pose_leak",
    "probe_accuracy",
]
