"""Looking at a trained model: pictures, and later embeddings, alignment and reports."""

from eqvae.analysis.pictures import (
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
