"""Domains: where the points of an image lie, and how motions act on it."""

from eqvae.domains.grid import disc_mask, pixel_coordinates
from eqvae.domains.square import act_on_image

__all__ = ["act_on_image", "disc_mask", "pixel_coordinates"]
