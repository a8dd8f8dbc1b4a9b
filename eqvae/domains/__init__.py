"""Domains: where the points of an image lie, and which of them map to each other."""

from eqvae.domains.grid import disc_mask, pixel_coordinates

__all__ = ["disc_mask", "pixel_coordinates"]
