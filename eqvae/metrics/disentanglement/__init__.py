"""Disentanglement: scores of irrep blocks and, marked legacy, of single columns; D_LSBD for SE(2)."""

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

__all__ = [
    "BlockInformation",
    "ReferenceCodes",
    "beta_vae_score",
    "block_cka",
    "block_dci",
    "block_information",
    "block_mig",
    "block_modularity",
    "block_sap",
    "d_lsbd",
    "d_lsbd_reference",
    "dci",
    "disentanglement_scores",
    "disentanglement_completeness",
    "explicitness",
    "factor_vae_score",
    "infomec",
    "interventional_robustness",
    "mig",
    "modularity",
    "reference_codes",
    "sap",
    "seed_agreement",
    "unsupervised_disentanglement_ranking",
]
