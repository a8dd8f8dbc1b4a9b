"""Domains: where the points of an image lie, and how motions act on it."""

from eqvae.domains.domain import Domain
from eqvae.domains.grid import border, disc_mask, pixel_coordinates
from eqvae.domains.square import SquareGrid, act_on_image

__all__ = [
    "Domain",
    "SquareGrid",
    "act_on_image",
    "border",
    "disc_mask",
    "pixel_coordinates",
]
