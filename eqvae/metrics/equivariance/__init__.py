"""Equivariance: relative errors by motion, Lie derivatives, a table of layers, and an audit of a model."""
