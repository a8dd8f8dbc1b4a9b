"""The user's images from a folder of PNG, JPEG and TIFF files."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from eqvae.data.images import ImageSet, listing, unit_range
from eqvae.symmetry.motions import identity

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
_PLAIN_MODES = {"L": "L", "RGB": "RGB", "I;16": "I;16", "I;16B": "I;16", "F": "F", "1": "L"}
_CONVERTED = {"LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB", "CMYK": "RGB"}


@dataclass(frozen=True)
class Folder:
    """Every PNG, JPEG and TIFF file below a folder; the first level of subfolders are the classes.

    8-bit files are divided by 255, 16-bit files by 65535; float files must lie in [0, 1] already.
    Transparency is dropped.

    Args:
        path: the folder.
        channels: 1 (grey) or 3 (RGB) converts all images; None keeps what the files have.
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out unreadable, NaN and constant images with a warning that names
            them instead of an error.
    """

    path: str | None = None
    channels: int | None = None
    aligned: bool = False
    skip_unreadable: bool = False

    def __post_init__(self):
        if self.channels not in (None, 1, 3):
            raise ValueError(
                "channels must be 1 (grey), 3 (RGB) or null (as in the files); "
                f"got {self.channels!r}."
            )

    def load(self) -> ImageSet:
        """Read the files, in the order of their names.

        Raises:
            FileNotFoundError: if there is no such folder or no image in it.
            ValueError: if files are unreadable, or differ in size or channels.
        """
        files = self._files()
        names, arrays = self._read(files)
        _check_same_shape(names, arrays)
        folders = [name.split("/")[0] if "/" in name else None for name in names]
        classes = sorted({folder for folder in folders if folder is not None})
        labels = [-1 if folder is None else classes.index(folder) for folder in folders]
        images = torch.from_numpy(np.stack(arrays))
        return ImageSet(
            images,
            labels=torch.tensor(labels),
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
            names=tuple(names),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _files(self) -> list[Path]:
        if self.path is None:
            raise ValueError(
                "path of the folder of images is not set. Set data.source.path=FOLDER."
            )
        folder = Path(self.path)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"path must be a folder of images; there is no folder {str(self.path)!r}. "
                "Set data.source.path."
            )
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        files = [f for f in found if f.suffix.lower() in _SUFFIXES and f.name[0] != "."]
        if not files:
            raise FileNotFoundError(
                f"path={str(self.path)!r} holds no PNG, JPEG or TIFF images "
                f"({len(found)} other files). Set data.source.path to the folder that does."
            )
        return files

    def _read(self, files: list[Path]) -> tuple[list[str], list[np.ndarray]]:
        names, arrays, unreadable = [], [], []
        for file in files:
            name = file.relative_to(self.path).as_posix()
            try:
                arrays.append(_read_image(file, self.channels))
                names.append(name)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                reason = str(error).replace(str(file), name)
                unreadable.append(f"{name}: {reason}")
        if unreadable and not (self.skip_unreadable and arrays):
            raise ValueError(
                f"{len(unreadable)} of {len(files)} images under {str(self.path)!r} cannot be read "
                f"({listing(unreadable)}). Repair or remove them"
                + (", or leave them out with data.source.skip_unreadable=true." if arrays else ".")
            )
        if unreadable:
            warnings.warn(
                f"left out {len(unreadable)} of {len(files)} images that cannot be read: "
                f"{listing(unreadable, limit=20)}.",
                stacklevel=2,
            )
        return names, arrays


def _read_image(file: Path, channels: int | None) -> np.ndarray:
    """One image as float32 (C, H, W)."""
    with Image.open(file) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"{image.n_frames} pages, one image expected")
        image.load()
        if image.mode in _CONVERTED or image.mode == "1":
            image = image.convert(_CONVERTED.get(image.mode, "L"))
        if image.mode not in _PLAIN_MODES:
            raise ValueError(f"pixel format {image.mode!r} is not 8-bit, 16-bit or float")
        if channels == 3 and image.mode in ("L", "RGB"):
            image = image.convert("RGB")
        elif channels == 1 and image.mode == "RGB":
            image = image.convert("L")
        values = np.asarray(image)
    values = unit_range(values.astype(values.dtype.newbyteorder("=")))
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return np.repeat(values, 3, axis=0) if channels == 3 and len(values) == 1 else values


def _check_same_shape(names: list[str], arrays: list[np.ndarray]) -> None:
    shape = arrays[0].shape
    for name, array in zip(names, arrays, strict=True):
        if array.shape[1:] != shape[1:]:
            odd = sum(a.shape[1:] != shape[1:] for a in arrays)
            raise ValueError(
                f"images must all have the same size; {names[0]} has {shape[1]}x{shape[2]} pixels "
                f"and {name} has {array.shape[1]}x{array.shape[2]} ({odd} of {len(arrays)} differ "
                "from the first). Crop, pad or resize them to one square size."
            )
        if array.shape[0] != shape[0]:
            raise ValueError(
                f"images must all be grey or all be RGB; {names[0]} has {shape[0]} channels and "
                f"{name} has {array.shape[0]}. Convert with data.source.channels=1 or data.source.channels=3."
            )
