"""Domains: where the points of an image lie, and how motions act on it."""

from eqvae.domains.domain import Domain
from eqvae.domains.grid import border, disc_mask, pixel_coordinates
from eqvae.domains.hexagonal import HexagonalGrid
from eqvae.domains.square import SquareGrid

__all__ = [
    "Domain",
    "HexagonalGrid",
    "SquareGrid",
    "border",
    "disc_mask",
    "pixel_coordinates",
]
