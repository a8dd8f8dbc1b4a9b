"""Measures for equivariant and disentangled generative models: arrays or tensors in, `{name: Score}` out.

    equivariance      does f(g x) = g f(x) hold, and which layer or block breaks it?
    pose              how far off is the pose, up to gauge and symmetry, and is its uncertainty honest?
    content           does content ignore pose?
    clustering        do classes fall out of the content?
    disentanglement   does each irrep block carry its own factor?
    likelihood        how well does the model explain held-out images?
    generation        do reconstructions and samples look like the data?

Nothing here depends on the models or data sets of eqvae: use it with your own. Every score carries its chance
floor, ceiling, sample size, interval and direction; docs/metrics.md explains each of them.
"""

from eqvae.metrics.clustering.clusterers import cluster, content_clustering
from eqvae.metrics.clustering.partitions import HungarianAccuracy, clustering_scores
from eqvae.metrics.content.invariance import cluster_change, content_invariance
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.content.probes import probe_accuracy
from eqvae.metrics.content.rank import effective_rank
from eqvae.metrics.disentanglement.agreement import block_cka, seed_agreement
from eqvae.metrics.disentanglement.block_dci import block_dci
from eqvae.metrics.disentanglement.dci import dci
from eqvae.metrics.disentanglement.explicitness import explicitness
from eqvae.metrics.disentanglement.importance import disentanglement_completeness
from eqvae.metrics.disentanglement.infomec import infomec
from eqvae.metrics.disentanglement.information import BlockInformation, block_information
from eqvae.metrics.disentanglement.irs import interventional_robustness
from eqvae.metrics.disentanglement.lsbd import d_lsbd
from eqvae.metrics.disentanglement.lsbd_reference import d_lsbd_reference
from eqvae.metrics.disentanglement.mig import block_mig, mig
from eqvae.metrics.disentanglement.modularity import block_modularity, modularity
from eqvae.metrics.disentanglement.reference_codes import ReferenceCodes, reference_codes
from eqvae.metrics.disentanglement.sap import block_sap, sap
from eqvae.metrics.disentanglement.suite import disentanglement_scores
from eqvae.metrics.disentanglement.udr import unsupervised_disentanglement_ranking
from eqvae.metrics.disentanglement.votes import beta_vae_score, factor_vae_score
from eqvae.metrics.equivariance.audit import SymmetryAudit
from eqvae.metrics.equivariance.audit_result import AuditResult
from eqvae.metrics.equivariance.decibels import decibel_score, decibels
from eqvae.metrics.equivariance.errors import Errors, equivariance_errors, keep, paired_errors
from eqvae.metrics.equivariance.layer_actions import FieldAction, InvariantAction
from eqvae.metrics.equivariance.layers import LayerRow, layer_table
from eqvae.metrics.equivariance.lie import LieDerivative, lie_derivative, lie_scores
from eqvae.metrics.equivariance.model_errors import (
    decoder_errors,
    elbo_change,
    encoder_errors,
    round_trip_errors,
)
from eqvae.metrics.equivariance.norms import latent_error
from eqvae.metrics.equivariance.resampling import (
    band_limited,
    resampling_errors,
    resampling_floor,
)
from eqvae.metrics.equivariance.sweeps import angle_sweep, subpixel_shifts
from eqvae.metrics.equivariance.velocity import ImageAction
from eqvae.metrics.generation.features import (
    FeatureNetwork,
    feature_metadata,
    image_features,
    load_features,
)
from eqvae.metrics.generation.frechet import frechet_distance
from eqvae.metrics.generation.kernel_distance import kernel_distance
from eqvae.metrics.generation.memorisation import memorisation_ratio
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.generation.orientation import distance_by_orientation
from eqvae.metrics.generation.public import PublicNetwork, load_public
from eqvae.metrics.generation.ratio import distance_ratio
from eqvae.metrics.generation.recogniser import Recogniser
from eqvae.metrics.generation.recognition import recognised_share
from eqvae.metrics.generation.reconstruction import reconstruction_scores
from eqvae.metrics.generation.samples import generation_scores
from eqvae.metrics.intervals import Draws, bootstrap, mean_interval
from eqvae.metrics.likelihood.active_units import active_units
from eqvae.metrics.likelihood.elbo import bits_per_dim, elbo_scores, kl_by_block
from eqvae.metrics.likelihood.importance import ImportanceWeightedBound, importance_weighted_bound
from eqvae.metrics.likelihood.linear_gaussian import LinearGaussian
from eqvae.metrics.likelihood.streaming import BoundEstimate, StreamingLogMeanExp, estimate_bound
from eqvae.metrics.pose.calibration import angle_calibration, position_calibration
from eqvae.metrics.pose.circular import circular_correlation, fisher_lee
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.metrics.pose.error import pose_errors, pose_errors_by_class
from eqvae.metrics.pose.gauge import Gauge, apply_gauge, fit_gauge, gauge_residuals
from eqvae.metrics.pose.symmetry_order import symmetry_order, symmetry_order_accuracy
from eqvae.metrics.score import Score

__all__ = [
    "AuditResult",
    "BlockInformation",
    "BoundEstimate",
    "Draws",
    "Errors",
    "FeatureNetwork",
    "FieldAction",
    "Gauge",
    "HungarianAccuracy",
    "ImageAction",
    "ImportanceWeightedBound",
    "InvariantAction",
    "LayerRow",
    "LieDerivative",
    "LinearGaussian",
    "PublicNetwork",
    "Recogniser",
    "ReferenceCodes",
    "Score",
    "StreamingLogMeanExp",
    "SymmetryAudit",
    "active_units",
    "angle_calibration",
    "angle_sweep",
    "apply_gauge",
    "band_limited",
    "beta_vae_score",
    "bits_per_dim",
    "block_cka",
    "block_dci",
    "block_information",
    "block_mig",
    "block_modularity",
    "block_sap",
    "bootstrap",
    "circular_correlation",
    "cluster",
    "cluster_change",
    "content_clustering",
    "clustering_scores",
    "content_invariance",
    "d_lsbd",
    "d_lsbd_reference",
    "dci",
    "decibel_score",
    "decibels",
    "decoder_errors",
    "disentanglement_scores",
    "disentanglement_completeness",
    "distance_by_orientation",
    "distance_ratio",
    "effective_rank",
    "elbo_change",
    "elbo_scores",
    "encoder_errors",
    "equivariance_errors",
    "estimate_bound",
    "explicitness",
    "factor_vae_score",
    "feature_metadata",
    "fisher_lee",
    "fit_gauge",
    "frechet_distance",
    "gauge_residuals",
    "generation_scores",
    "image_features",
    "importance_weighted_bound",
    "infomec",
    "interventional_robustness",
    "keep",
    "kernel_distance",
    "kl_by_block",
    "latent_error",
    "layer_table",
    "lie_derivative",
    "lie_scores",
    "load_features",
    "load_public",
    "mean_interval",
    "memorisation_ratio",
    "mig",
    "modularity",
    "paired_errors",
    "pose_consistency",
    "pose_errors",
    "pose_errors_by_class",
    "pose_leak",
    "position_calibration",
    "precision_recall",
    "probe_accuracy",
    "recognised_share",
    "reconstruction_scores",
    "reference_codes",
    "resampling_errors",
    "resampling_floor",
    "round_trip_errors",
    "sap",
    "seed_agreement",
    "subpixel_shifts",
    "symmetry_order",
    "symmetry_order_accuracy",
    "unsupervised_disentanglement_ranking",
]
