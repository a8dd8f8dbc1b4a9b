"""The user's images from a folder of PNG, JPEG and TIFF files."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from eqvae.data.formats.image import FAULTS, SUFFIXES, read_image
from eqvae.data.formats.stored import Stored
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet, listing
from eqvae.data.sources.files import Found, find_images, same_content
from eqvae.data.sources.stored import absolute, brightness, numbered
from eqvae.files import user_path
from eqvae.symmetry.motions import identity
from eqvae.watch import watched

_KEPT = 2**29  # bytes of images
_MANY = 5_000  # files whose reading shows a progress bar


@dataclass(frozen=True)
class Folder:
    """Every PNG, JPEG and TIFF file below a folder; the first level of subfolders are the classes.

    Files are found by the rules of `eqvae.data.sources.files`: links are followed, folders named train, val
    and test are parts of the data. Orientations that cameras note are followed. Transparency is dropped.
    Files that are equal byte by byte never come into two splits.

    Args:
        path: the folder.
        channels: 1 (grey) or 3 (RGB) converts all images; None keeps what the files have.
        aligned: the objects are upright and centred, so the motions of the posing are true poses.
        skip_unreadable: leave out unreadable, NaN and constant images with a warning that names
            them instead of an error.
        classes: names of classes that have a number already, in their order; new ones follow.
        grey: how grey values are read.
    """

    path: str | None = None
    channels: int | None = None
    aligned: bool = False
    skip_unreadable: bool = False
    classes: Sequence[str] | None = None
    grey: Grey = Grey()

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
        found = self._found()
        rows, stored, units = self._read(found)
        names = [found.names[i] for i in rows]
        images, settings, said = brightness(stored, self.grey)
        labels, classes, unknown = numbered([found.classes[i] for i in rows], self.classes)
        groups = same_content([found.files[i] for i in rows])
        twins = len(groups) - len(set(groups))
        if twins:
            said.append(f"{twins} files equal another byte by byte; they stay in one split")
        return ImageSet(
            images,
            labels=labels,
            class_names=classes or None,
            groups=torch.tensor(groups) if twins else None,
            poses=identity(len(images), dtype=torch.float32) if self.aligned else None,
            names=tuple(names),
            rows=torch.tensor(rows),
            is_test=_test_part([found.parts[i] for i in rows]),
            settings={"path": absolute(self.path), **settings}
            | ({"classes": list(classes)} if classes else {}),
            said=(*found.said, *units, *said, *unknown),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _found(self) -> Found:
        if self.path is None:
            raise ValueError(
                "path of the folder of images is not set. Set data.source.path=FOLDER."
            )
        folder = user_path(self.path)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"path must be a folder of images; there is no folder {str(self.path)!r}. "
                "Set data.source.path."
            )
        found = find_images(folder, lambda file: file.suffix.lower() in SUFFIXES)
        if not found.files:
            raise FileNotFoundError(
                f"path={str(self.path)!r} holds no PNG, JPEG or TIFF images "
                f"({'; '.join(found.said) or 'it is empty'}). Set data.source.path to the folder that does."
            )
        return found

    def _read(self, found: Found) -> tuple[list[int], Stored, list[str]]:
        """Which files can be read, their images, and lines about their numbers.

        Every file is read once; up to _KEPT bytes of images stay in memory, more are read again.
        """
        rows, kept, seen, unreadable = [], [], {}, []
        files = list(enumerate(zip(found.names, found.files, strict=True)))
        bytes_kept = 0
        for row, (name, file) in watched(files, "reading files") if len(files) > _MANY else files:
            try:
                image = read_image(file, self.channels)
            except FAULTS as error:
                reason = str(error).replace(str(file), name)
                unreadable.append(f"{name}: {reason}")
                continue
            rows.append(row)
            seen[name] = (image.shape, image.dtype)
            bytes_kept += image.nbytes
            if bytes_kept <= _KEPT:
                kept.append(image)
            else:
                kept.clear()
        if unreadable and not (self.skip_unreadable and rows):
            raise ValueError(
                f"{len(unreadable)} of {len(found.files)} images under {str(self.path)!r} cannot be read "
                f"({listing(unreadable)}). Repair or remove them"
                + (", or leave them out with data.source.skip_unreadable=true." if rows else ".")
            )
        if unreadable:
            warnings.warn(
                f"left out {len(unreadable)} of {len(found.files)} images that cannot be read: "
                f"{listing(unreadable, limit=20)}.",
                stacklevel=2,
            )
        return rows, *self._stored([found.files[i] for i in rows], seen, kept)

    def _stored(
        self,
        files: list[Path],
        seen: dict[str, tuple[tuple[int, ...], np.dtype]],
        kept: list[np.ndarray],
    ) -> tuple[Stored, list[str]]:
        """Images of files whose shapes were seen, of which all or none are kept."""
        _check_same_shape(seen)
        kinds = sorted({str(dtype) for _, dtype in seen.values()})
        shape, dtype = next(iter(seen.values()))
        said = []
        if len(kinds) > 1:
            said = [
                f"files hold {', '.join(kinds)}: each is divided by the largest number of its kind"
            ]
            dtype = np.dtype(np.float32)
        if kept:
            whole = np.stack([_scaled(image) for image in kept] if said else kept)
            return Stored.array(whole), said
        part = partial(_part, files, self.channels, bool(said))
        return Stored((len(files), *shape), dtype, part), said


def _test_part(parts: list[str | None]) -> torch.Tensor | None:
    """Which images are the data's own test part; None if no folder says so."""
    return torch.tensor([part == "test" for part in parts]) if "test" in parts else None


def _part(
    files: list[Path], channels: int | None, scaled: bool, first: int, last: int
) -> np.ndarray:
    images = [read_image(file, channels) for file in files[first:last]]
    return np.stack([_scaled(image) for image in images] if scaled else images)


def _scaled(image: np.ndarray) -> np.ndarray:
    """One image brought to [0, 1] by the largest number of its kind."""
    return Grey("dtype", invert=False).settled(image[None]).read(image[None])[0]


def _check_same_shape(seen: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Refuse images of several shapes (C, H, W), by the names of their files."""
    first, (shape, _) = next(iter(seen.items()))
    for name, (other, _) in seen.items():
        if other[1:] != shape[1:]:
            odd = sum(s[1:] != shape[1:] for s, _ in seen.values())
            raise ValueError(
                f"images must all have the same size; {first} has {shape[1]}x{shape[2]} pixels "
                f"and {name} has {other[1]}x{other[2]} ({odd} of {len(seen)} differ "
                "from the first). Crop, pad or resize them to one square size."
            )
        if other[0] != shape[0]:
            raise ValueError(
                f"images must all be grey or all be RGB; {first} has {shape[0]} channels and "
                f"{name} has {other[0]}. Convert with data.source.channels=1 or data.source.channels=3."
            )
