"""The choices data=mnist5k|mnist|sprites|npz|folder: source and loading in one flat call.

`npz("cells.npz", Upright())` is short for `ImageDataModule(Npz("cells.npz"), Upright())`. What the
arguments mean is written at the source and at `ImageDataModule`.
"""

from collections.abc import Sequence

from eqvae.data.datamodule import ImageDataModule
from eqvae.data.posing import Posing
from eqvae.data.sources import MNIST, SHAPES, Folder, MNIST5k, Npz, Sprites

_SPLIT = (0.8, 0.1, 0.1)


def mnist5k(
    pose: Posing,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
) -> ImageDataModule:
    """5,000 MNIST digits that ship with a dependency: see `MNIST5k`."""
    return ImageDataModule(MNIST5k(), pose, batch_size, split, seed, num_workers)


def mnist(
    pose: Posing,
    root: str = "data",
    download: bool = False,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
) -> ImageDataModule:
    """All of MNIST: see `MNIST`."""
    return ImageDataModule(MNIST(root, download), pose, batch_size, split, seed, num_workers)


def sprites(
    pose: Posing,
    num_images: int = 5000,
    size: int = 28,
    shapes: Sequence[str] = tuple(SHAPES),
    radius: Sequence[float] = (8.0, 11.0),
    background: str = "clean",
    noise: float = 0.0,
    sprite_seed: int = 0,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
) -> ImageDataModule:
    """Generated shapes of known symmetry: see `Sprites`; `sprite_seed` is its seed."""
    source = Sprites(num_images, size, tuple(shapes), tuple(radius), background, noise, sprite_seed)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers)


def npz(
    path: str | None,
    pose: Posing,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    aligned: bool = False,
    skip_unreadable: bool = False,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
) -> ImageDataModule:
    """The user's .npz archive: see `Npz`."""
    source = Npz(path, image, label, group, aligned, skip_unreadable)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers)


def folder(
    path: str | None,
    pose: Posing,
    channels: int | None = None,
    aligned: bool = False,
    skip_unreadable: bool = False,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
) -> ImageDataModule:
    """The user's folder of image files: see `Folder`."""
    source = Folder(path, channels, aligned, skip_unreadable)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers)
