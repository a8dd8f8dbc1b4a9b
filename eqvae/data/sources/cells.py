"""Objects that a label mask marks in whole fields, as cell segmentation gives them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from eqvae.data.formats.image import SUFFIXES
from eqvae.data.formats.stack import ENDINGS
from eqvae.data.formats.windows import Field, Fields, windows
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.sources.files import MASK_ENDINGS
from eqvae.data.sources.objects import (
    check_windows,
    in_field,
    largest_window,
    middles,
    placed,
    sizes,
)
from eqvae.data.sources.stored import absolute, brightness
from eqvae.files import user_path

_MASKED = (*MASK_ENDINGS, "_cp_masks", "_labels")


@dataclass(frozen=True)
class Cells:
    """Objects of fields with label masks: a window about each object, its neighbours masked out.

    A mask has the object's number in each of its pixels and 0 elsewhere. Pixels of other objects get the
    ground's grey. Objects that touch the border of their field are cut off, and left out.

    Args:
        path: an image of fields (TIFF, OME-TIFF, PNG, ...), or a folder of them.
        masks: its label mask, or the folder of masks; a mask is named as its field, with or without _mask,
            _masks, _cp_masks, _seg or _label behind.
        side: of the windows, pixels; None for 1.5 times the largest diameter.
        smallest: pixels of an object; smaller ones are left out.
        pixel_size: physical size of a pixel.
        skip_unreadable: leave out NaN and constant windows with a warning instead of an error.
        grey: how grey values are read.

    Raises:
        ValueError: if an argument is out of its range.
    """

    path: str | None = None
    masks: str | None = None
    side: int | None = None
    smallest: int = 20
    pixel_size: float | None = None
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def __post_init__(self):
        check_windows(self.side, "pad", self.pixel_size)
        if self.smallest < 1:
            raise ValueError(f"smallest must be at least 1 pixel; got {self.smallest}.")

    def load(self) -> ImageSet:
        """Find the objects, and read their windows when they are asked for.

        Raises:
            FileNotFoundError: if a field or a mask is missing.
            ValueError: if a mask has another size than its field, or marks no objects.
        """
        if self.path is None or self.masks is None:
            raise ValueError(
                "path of the fields and masks of their objects must be set. Set data.source.path and "
                "data.source.masks."
            )
        fields = Fields(self._fields(user_path(self.path), user_path(self.masks)))
        which, number, centres, across, said = self._objects(fields)
        side = self.side or largest_window(across)
        _, more = placed(fields, which, centres, side, "pad")
        images, settings, grey = brightness(
            windows(fields, which, centres, side, number), self.grey
        )
        names = [f"{fields.fields[f].name}#{k}" for f, k in zip(which, number, strict=True)]
        return ImageSet(
            images,
            groups=torch.from_numpy(which) if len(fields) > 2 else None,
            names=tuple(names),
            rows=torch.arange(len(names)),
            pixel_size=sizes(self.pixel_size, len(names)),
            columns=in_field(fields, which, centres) | {"mask_label": number},
            middles=middles(centres, side),
            settings={
                "path": absolute(self.path),
                "masks": absolute(self.masks),
                "side": side,
                **settings,
            },
            said=(*said, *more, *grey),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _fields(self, path: Path, masks: Path) -> list[Field]:
        for what, where in (("path", path), ("masks", masks)):
            if not where.exists():
                raise FileNotFoundError(
                    f"{what} must be a file or folder; there is no {str(where)!r}."
                )
        if path.is_file():
            return [Field(path, 0, path.name, _mask_of(path, masks))]
        readable = {*SUFFIXES, *ENDINGS}
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in readable and f != masks)
        if path.samefile(masks):
            files = [f for f in files if _stem(f) == f.name.split(".")[0]]
        if not files:
            raise FileNotFoundError(f"path={str(path)!r} holds no images of fields.")
        return [Field(file, 0, file.name, _mask_of(file, masks)) for file in files]

    def _objects(
        self, fields: Fields
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
        """Field, number, centre (x, y) and diameter of each object, and lines about those left out."""
        found, small, cut = [], 0, 0
        for f in range(len(fields)):
            labels = fields[f][1].astype(np.int64)
            for k, box in enumerate(ndimage.find_objects(labels), start=1):
                if box is None:
                    continue
                y, x = np.nonzero(labels[box] == k)
                y, x = y + box[0].start, x + box[1].start
                height, width = labels.shape
                if min(y.min(), x.min()) == 0 or y.max() == height - 1 or x.max() == width - 1:
                    cut += 1
                elif len(x) < self.smallest:
                    small += 1
                else:
                    centre = x.mean(), y.mean()
                    across = 1 + 2 * np.hypot(x - centre[0], y - centre[1]).max()
                    found.append((f, k, *centre, across))
        said = []
        if cut:
            said.append(f"{cut} objects touch the border of their field, and are left out")
        if small:
            said.append(
                f"{small} objects have fewer than {self.smallest} pixels, and are left out "
                "(data.source.smallest)"
            )
        if not found:
            why = f" ({'; '.join(said)})" if said else ""
            raise ValueError(f"masks={str(self.masks)!r} mark no objects that can be used{why}.")
        which, number, x, y, across = (np.array(c) for c in zip(*found, strict=True))
        return which, number, np.stack([x, y], axis=1), across, said


def _stem(file: Path) -> str:
    """A file's name without its ending and what marks it as a mask."""
    stem = file.name.split(".")[0]
    ends = sorted((end for end in _MASKED if stem.endswith(end)), key=len)
    return stem.removesuffix(ends[-1]) if ends else stem


def _mask_of(field: Path, masks: Path) -> Path:
    """The label mask of a field."""
    if masks.is_file():
        return masks
    found = [
        file for file in sorted(masks.iterdir()) if file != field and _stem(file) == _stem(field)
    ]
    if len(found) != 1:
        raise FileNotFoundError(
            f"every field needs one mask of its name; {field.name} has {len(found)} in {str(masks)!r}."
        )
    return found[0]
