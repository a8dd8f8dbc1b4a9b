"""Domains: where the points of an image lie, and how motions act on it."""

from eqvae.domains.domain import Domain
from eqvae.domains.grid import border, disc_mask, pixel_coordinates
from eqvae.domains.hexagonal import HexagonalGrid
from eqvae.domains.log_polar import LogPolarGrid
from eqvae.domains.square import SquareGrid

__all__ = [
    "Domain",
    "LogPolarGrid",
    "HexagonalGrid",
    "SquareGrid",
    "border",
    "disc_mask",
    "pixel_coordinates",
]
