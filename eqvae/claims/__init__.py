"""Claims about equivariance, each measured: a part that obeys, a control that must not, and a verdict."""

from eqvae.claims.claim import Claim, Measured, all_claims, claim

__all__ = ["Claim", "Measured", "all_claims", "claim"]
