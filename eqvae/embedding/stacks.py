"""Class averages as image stacks for the tools of each field: averages.mrcs and averages.tiff.

Both hold the aligned averages as float32, those of the most images first, with the size of a pixel where its
unit is known: Angstrom in MRC; in TIFF micrometres as OME has them, and as resolution per centimetre, which
ImageJ reads.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eqvae.data import Cs, Particles, Stack, Star
from eqvae.data.images import ImageSet, ImageSource
from eqvae.embedding.averages import ClassAverages
from eqvae.files import written

_PER_UM, _PER_CM = 1e4, 1e8  # Angstrom
_MRC, _TIFF = (".mrc", ".mrcs", ".st"), (".tif", ".tiff")  # say sizes in Angstrom and micrometres


def write_stacks(
    averages: ClassAverages, folder: str | Path, angstrom: float | None = None
) -> list[str]:
    """Write averages.mrcs and averages.tiff, as far as their packages are installed.

    Args:
        averages: of clusters.
        folder: where to write.
        angstrom: size of a pixel; None leaves it out.

    Returns:
        A line about each file that was left out, and why.
    """
    images, said = averages.aligned.numpy().astype(np.float32), []
    for name, library, extra, write in (
        ("averages.mrcs", "mrcfile", "mrc", _write_mrc),
        ("averages.tiff", "tifffile", "tiff", _write_tiff),
    ):
        problem = _problem(images, library, extra)
        if problem:
            said.append(f"no {name}: {problem}")
        else:
            _whole(Path(folder) / name, images, angstrom, write)
    return said


def angstrom_of(source: ImageSource, images: ImageSet) -> float | None:
    """Size of the pixels, where the source says it, in a unit that is known; None where it does not."""
    sizes = images.pixel_size
    if sizes is None or float(sizes.max() - sizes.min()) > 1e-4 * float(sizes.max()):
        return None
    ending = Path(source.path).suffix.lower() if isinstance(source, Stack) else None
    if isinstance(source, Cs | Particles | Star) or ending in _MRC:
        return float(sizes[0])
    return float(sizes[0]) * _PER_UM if ending in _TIFF else None


def _problem(images: np.ndarray, library: str, extra: str) -> str | None:
    if importlib.util.find_spec(library) is None:
        return f'it needs {library}: pip install "eqvae[{extra}]"'
    if library == "mrcfile" and images.shape[1] > 1:
        return f"MRC holds one channel, and these images have {images.shape[1]}"
    return None


def _whole(
    path: Path,
    images: np.ndarray,
    angstrom: float | None,
    write: Callable[[Path, np.ndarray, float | None], None],
) -> None:
    with written(path) as partial:
        write(partial, images, angstrom)


def _write_mrc(path: Path, images: np.ndarray, angstrom: float | None) -> None:
    import mrcfile

    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(images[:, 0])
        file.set_image_stack()
        if angstrom is not None:
            file.voxel_size = angstrom


def _write_tiff(path: Path, images: np.ndarray, angstrom: float | None) -> None:
    import tifffile

    how, about = {}, {"axes": "TCYX"}
    if angstrom is not None:
        size = angstrom / _PER_UM
        about |= {"PhysicalSizeX": size, "PhysicalSizeXUnit": "µm"}
        about |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": "µm"}
        how = {"resolution": (_PER_CM / angstrom,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, images, ome=True, photometric="minisblack", metadata=about, **how)
