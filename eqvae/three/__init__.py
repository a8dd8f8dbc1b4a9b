"""Structures in space: the same formalism with another group and another domain.

Groups and representations of space are in `eqvae.symmetry`; here are the domain of points, readers of
structures, pose search, the VAE and energies. Only what is built from tensor products of irreps needs the
extra `three` (e3nn).
"""
