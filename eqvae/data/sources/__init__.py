"""Sources of images: digits, generated sprites, simulated particles and the user's own files."""

from eqvae.data.sources.cells import Cells
from eqvae.data.sources.cs import Cs
from eqvae.data.sources.detector import Detector
from eqvae.data.sources.folder import Folder
from eqvae.data.sources.mnist import MNIST, MNIST5k
from eqvae.data.sources.npz import Npz
from eqvae.data.sources.objects import Objects
from eqvae.data.sources.particles import Particles
from eqvae.data.sources.sprites import SHAPES, Shape, Sprites
from eqvae.data.sources.stack import Stack
from eqvae.data.sources.star import Star

__all__ = [
    "MNIST",
    "SHAPES",
    "Cells",
    "Cs",
    "Detector",
    "Folder",
    "MNIST5k",
    "Npz",
    "Objects",
    "Particles",
    "Shape",
    "Sprites",
    "Stack",
    "Star",
]
