"""Clustering: agreement of clusters with classes, and clusters found in content."""

from eqvae.metrics.clustering.clusterers import cluster, content_clustering
from eqvae.metrics.clustering.partitions import HungarianAccuracy, clustering_scores

__all__ = ["HungarianAccuracy", "cluster", "clustering_scores", "content_clustering"]
