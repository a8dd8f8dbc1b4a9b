"""Data: where images come from, the motions they are given, and the batches they come in."""

from eqvae.data.angles import Angles, AnyAngle, LimitedAngles, UprightClasses
from eqvae.data.batch import Batch
from eqvae.data.camera import Camera, Light, PlainCamera, Stretch
from eqvae.data.canvas import Canvas
from eqvae.data.datamodule import ImageDataModule
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet, ImageSource
from eqvae.data.optics import ctf
from eqvae.data.posed import PosedImages, StreamedImages
from eqvae.data.posing import Posing, Rotated, RotatedShifted, Upright
from eqvae.data.sensor import HexagonalSensor, Sensor, SquareSensor
from eqvae.data.sources import (
    MNIST,
    SHAPES,
    Cells,
    Cs,
    Detector,
    Folder,
    MNIST5k,
    Npz,
    Objects,
    Particles,
    Shape,
    Sprites,
    Stack,
    Star,
)

__all__ = [
    "MNIST",
    "SHAPES",
    "Angles",
    "AnyAngle",
    "Batch",
    "Camera",
    "Canvas",
    "Cells",
    "Cs",
    "Detector",
    "Folder",
    "Grey",
    "HexagonalSensor",
    "ImageDataModule",
    "ImageSet",
    "ImageSource",
    "Light",
    "LimitedAngles",
    "MNIST5k",
    "Npz",
    "Objects",
    "Particles",
    "PlainCamera",
    "PosedImages",
    "Posing",
    "Rotated",
    "RotatedShifted",
    "Sensor",
    "Shape",
    "Sprites",
    "SquareSensor",
    "Stack",
    "Star",
    "StreamedImages",
    "Stretch",
    "Upright",
    "UprightClasses",
    "ctf",
]
