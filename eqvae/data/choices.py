"""The choices data=mnist5k|mnist|sprites|particles|npz|folder: source and loading in one flat call.

`npz("cells.npz", Upright())` is short for `ImageDataModule(Npz("cells.npz"), Upright())`. What the
arguments mean is written at the source and at `ImageDataModule`.
"""

from collections.abc import Sequence

from eqvae.data.datamodule import ImageDataModule
from eqvae.data.posing import Posing
from eqvae.data.sources import MNIST, SHAPES, Folder, MNIST5k, Npz, Particles, Sprites

_SPLIT = (0.8, 0.1, 0.1)


def mnist5k(
    pose: Posing,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
    limit: int | None = None,
) -> ImageDataModule:
    """5,000 MNIST digits that ship with a dependency: see `MNIST5k`."""
    return ImageDataModule(MNIST5k(), pose, batch_size, split, seed, num_workers, limit)


def mnist(
    pose: Posing,
    root: str = "data",
    download: bool = False,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
    limit: int | None = None,
) -> ImageDataModule:
    """All of MNIST: see `MNIST`."""
    return ImageDataModule(MNIST(root, download), pose, batch_size, split, seed, num_workers, limit)


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
    limit: int | None = None,
) -> ImageDataModule:
    """Generated shapes of known symmetry: see `Sprites`; `sprite_seed` is its seed."""
    source = Sprites(num_images, size, tuple(shapes), tuple(radius), background, noise, sprite_seed)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers, limit)


def particles(
    pose: Posing,
    num_images: int = 5000,
    size: int = 64,
    conformations: int = 4,
    views: Sequence[Sequence[float]] = ((0.0, 0.0),),
    radius: float = 22.0,
    snr: float | None = None,
    defocus: Sequence[float] | None = None,
    pixel_size: float = 3.0,
    voltage: float = 300.0,
    cs: float = 2.7,
    amplitude_contrast: float = 0.1,
    b_factor: float = 100.0,
    particle_seed: int = 0,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
    limit: int | None = None,
) -> ImageDataModule:
    """Simulated electron micrographs of a molecule: see `Particles`; `particle_seed` is its seed."""
    source = Particles(
        num_images,
        size,
        conformations,
        tuple(tuple(view) for view in views),
        radius,
        snr,
        None if defocus is None else tuple(defocus),
        pixel_size,
        voltage,
        cs,
        amplitude_contrast,
        b_factor,
        particle_seed,
    )
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers, limit)


def npz(
    path: str | None,
    pose: Posing,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    mask: str | None = None,
    mask_margin: int = 2,
    aligned: bool = False,
    skip_unreadable: bool = False,
    batch_size: int = 128,
    split: Sequence[float] = _SPLIT,
    seed: int = 0,
    num_workers: int = 0,
    limit: int | None = None,
) -> ImageDataModule:
    """The user's .npz archive: see `Npz`."""
    source = Npz(path, image, label, group, mask, mask_margin, aligned, skip_unreadable)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers, limit)


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
    limit: int | None = None,
) -> ImageDataModule:
    """The user's folder of image files: see `Folder`."""
    source = Folder(path, channels, aligned, skip_unreadable)
    return ImageDataModule(source, pose, batch_size, split, seed, num_workers, limit)
