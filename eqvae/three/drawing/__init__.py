"""Pictures of structures: flat, turning, and to be turned with the mouse."""

from eqvae.three.drawing.flat import bonds_of, draw_structure, extent
from eqvae.three.drawing.page import save_page
from eqvae.three.drawing.turning import turning_frames

__all__ = ["bonds_of", "draw_structure", "extent", "save_page", "turning_frames"]
