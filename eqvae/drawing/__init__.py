"""Pictures and figures, for everyone above: what a model shows, and how scores look."""

from eqvae.drawing.pictures import (
    orbit_frames,
    orbit_picture,
    reconstruction_picture,
    sample_picture,
    save_gif,
)

__all__ = [
    "orbit_frames",
    "orbit_picture",
    "reconstruction_picture",
    "sample_picture",
    "save_gif",
]
