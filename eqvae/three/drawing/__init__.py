"""Pictures of structures: flat, turning, and to be turned with the mouse."""

from eqvae.three.drawing.flat import bonds_of, draw_structure, extent
from eqvae.three.drawing.page import save_page
from eqvae.three.drawing.panels import panels
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.drawing.turning import turning_frames

__all__ = [
    "Skeleton",
    "bonds_of",
    "draw_structure",
    "extent",
    "panels",
    "save_page",
    "turning_frames",
]
