"""Data: where images come from, the motions they are given, and the batches they come in."""

from eqvae.data.choices import folder, mnist, mnist5k, npz, particles, sprites
from eqvae.data.datamodule import ImageDataModule, PosedImages
from eqvae.data.images import ImageSet, ImageSource
from eqvae.data.levels import LimitedRotation, Lit, Stretched, UprightClasses
from eqvae.data.optics import ctf
from eqvae.data.posing import Posing, Rotated, RotatedShifted, Upright
from eqvae.data.sources import MNIST, SHAPES, Folder, MNIST5k, Npz, Particles, Shape, Sprites

__all__ = [
    "MNIST",
    "SHAPES",
    "Folder",
    "ImageDataModule",
    "ImageSet",
    "ImageSource",
    "LimitedRotation",
    "Lit",
    "MNIST5k",
    "Npz",
    "Particles",
    "PosedImages",
    "Posing",
    "Rotated",
    "RotatedShifted",
    "Shape",
    "Sprites",
    "Stretched",
    "Upright",
    "UprightClasses",
    "ctf",
    "folder",
    "mnist",
    "mnist5k",
    "npz",
    "particles",
    "sprites",
]
