"""Likelihood: ELBO and KL by block, importance-weighted bounds, bits per dimension, active units."""
