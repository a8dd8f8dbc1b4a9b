"""Generation: reconstructions, and samples against data on the features of a frozen network."""

from eqvae.metrics.generation.features import (
    FeatureNetwork,
    feature_metadata,
    image_features,
    load_features,
)
from eqvae.metrics.generation.frechet import frechet_distance
from eqvae.metrics.generation.kernel_distance import kernel_distance
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.generation.orientation import distance_by_orientation
from eqvae.metrics.generation.reconstruction import reconstruction_scores
from eqvae.metrics.generation.samples import generation_scores

__all__ = [
    "FeatureNetwork",
    "distance_by_orientation",
    "feature_metadata",
    "frechet_distance",
    "generation_scores",
    "image_features",
    "kernel_distance",
    "load_features",
    "precision_recall",
    "reconstruction_scores",
]
