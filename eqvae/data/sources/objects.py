"""Objects of whole fields: a table of where they are, or a mask that labels their pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from eqvae.data.formats.windows import Field, Fields, corners, inside, windows
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.sources.stored import absolute, brightness, numbered
from eqvae.files import user_path
from eqvae.formulas import text_of
from eqvae.symmetry.motions import motion

EDGES = ("drop", "pad")


@dataclass(frozen=True)
class Objects:
    """Objects of a table (CSV, TSV or Parquet): a window is cut out of the field about each.

    Positions are pixels from the middle of the field's first pixel, x the column, y the row. The split tears
    no field apart where there are more than two.

    Args:
        path: the table.
        root: folder that the paths of fields start from; None for that of the table.
        field: column with the path of each object's field.
        page: column with the number of the image in that file, from 0; None for the first.
        x, y: columns of the position.
        diameter: column of the objects' diameters, pixels; with them windows need no side.
        angle: column of the directions that objects point to, degrees counter-clockwise as seen; None where
            they are not known.
        label: column of the class.
        side: of the windows, pixels; None for 1.5 times the largest diameter.
        edge: what becomes of windows that reach beyond their field: "drop" leaves the object out, "pad" fills
            up with the median of the window's border.
        pixel_size: physical size of a pixel.
        classes: names of classes that have a number already, in their order; new ones follow.
        skip_unreadable: leave out NaN and constant windows with a warning instead of an error.
        grey: how grey values are read.

    Raises:
        ValueError: if an argument is out of its range.
    """

    path: str | None = None
    root: str | None = None
    field: str = "image"
    page: str | None = None
    x: str = "x"
    y: str = "y"
    diameter: str | None = None
    angle: str | None = None
    label: str | None = None
    side: int | None = None
    edge: str = "drop"
    pixel_size: float | None = None
    classes: Sequence[str] | None = None
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def __post_init__(self):
        check_windows(self.side, self.edge, self.pixel_size)

    def load(self) -> ImageSet:
        """Read the table, and the fields when their windows are asked for.

        Raises:
            FileNotFoundError: if the table or a field is missing.
            ValueError: if a column is missing or holds no numbers, or an object lies outside its field.
        """
        if self.path is None:
            raise ValueError("path of the table is not set. Set data.source.path=objects.csv.")
        table = Columns.read(user_path(self.path))
        files = table.text(self.field)
        pages = np.zeros(len(files), int) if self.page is None else table.numbers(self.page)
        root = user_path(self.root) if self.root else table.path.parent
        keys = list(zip(files, pages.astype(int).tolist(), strict=True))
        number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        fields = Fields([Field(root / file, page, file) for file, page in number])
        which = np.array([number[key] for key in keys])
        centres = np.stack([table.numbers(self.x), table.numbers(self.y)], axis=1)
        side = self._side(table)
        kept, said = placed(fields, which, centres, side, self.edge)
        images, settings, more = brightness(
            windows(fields, which[kept], centres[kept], side), self.grey
        )
        labels, classes, unknown = (None, None, [])
        if self.label is not None:
            names = np.array(table.text(self.label))[kept]
            labels, classes, unknown = numbered(names.tolist(), self.classes)
        return ImageSet(
            images,
            labels=labels,
            class_names=classes,
            groups=torch.from_numpy(which[kept]) if len(fields) > 2 else None,
            names=tuple(f"{keys[i][0]}#{i}" for i in kept.tolist()),
            rows=torch.from_numpy(kept),
            poses=self._poses(table, centres, side, kept),
            pixel_size=sizes(self.pixel_size, len(kept)),
            columns=in_field(fields, which[kept], centres[kept])
            | ({} if self.page is None else {"field_page": pages[kept].astype(int)}),
            middles=middles(centres[kept], side),
            settings={"path": absolute(self.path), "side": side, **settings}
            | ({"root": absolute(self.root)} if self.root else {})
            | ({"classes": list(classes)} if classes else {}),
            said=(*said, *more, *unknown),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _side(self, table: "Columns") -> int:
        if self.side is not None:
            return self.side
        if self.diameter is None:
            raise ValueError(
                "side of the windows is not set, and no column says how large objects are. Set "
                "data.source.side to pixels, or data.source.diameter to that column."
            )
        return largest_window(table.numbers(self.diameter))

    def _poses(
        self, table: "Columns", centres: np.ndarray, side: int, kept: np.ndarray
    ) -> torch.Tensor | None:
        """Motions of objects in their windows, (N, 4)."""
        if self.angle is None:
            return None
        angle = torch.from_numpy(np.deg2rad(table.numbers(self.angle)[kept]))
        apart = torch.from_numpy(centres[kept]) - middles(centres[kept], side)
        shift = apart * torch.tensor([1, -1])
        return motion(angle, shift).float()


@dataclass(frozen=True)
class Columns:
    """A table, its columns by name.

    Attributes:
        path: of the file.
        columns: by name.
    """

    path: Path
    columns: Mapping[str, pa.ChunkedArray]

    @classmethod
    def read(cls, path: Path) -> "Columns":
        """Read a CSV, TSV or Parquet file.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it can't be read, or has no rows.
        """
        import pyarrow.csv
        import pyarrow.parquet

        if not path.is_file():
            raise FileNotFoundError(f"path must be a table; there is no file {str(path)!r}.")
        try:
            if path.suffix.lower() == ".parquet":
                table = pyarrow.parquet.read_table(path)
            else:
                tab = path.suffix.lower() in (".tsv", ".txt")
                options = pyarrow.csv.ParseOptions(delimiter="\t" if tab else ",")
                table = pyarrow.csv.read_csv(path, parse_options=options)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"path={str(path)!r} can't be read as a table ({reason}).") from error
        if not table.num_rows:
            raise ValueError(f"path={str(path)!r} has no rows.")
        return cls(path, dict(zip(table.column_names, table.columns, strict=True)))

    def text(self, name: str) -> list[str]:
        """A column's values as text.

        Raises:
            ValueError: if there is no such column, or a row is empty.
        """
        values = self._column(name).cast(pa.string()).to_pylist()
        self._check_there(name, [value is not None and value != "" for value in values])
        return [text_of(value) for value in values]

    def numbers(self, name: str) -> np.ndarray:
        """A column's values as numbers, (N,).

        Raises:
            ValueError: if there is no such column, or a row holds no finite number.
        """
        column = self._column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise ValueError(
                f"{name} must be numbers; {str(self.path)!r} has {column.type}, such as "
                f"{column[0].as_py()!r}."
            )
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        self._check_there(name, np.isfinite(values))
        return values

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self.columns:
            raise ValueError(
                f"{name!r} is no column of {str(self.path)!r}; it has {', '.join(self.columns)}. Set "
                "data.source.field, x, y, diameter, angle or label to one of them."
            )
        return self.columns[name]

    def _check_there(self, name: str, there: Sequence[bool]) -> None:
        missing = [i for i, known in enumerate(there) if not known]
        if missing:
            raise ValueError(
                f"{name} must be known of every object; {str(self.path)!r} has nothing in row "
                f"{missing[0] + 1}. Fill or remove it ({len(missing)} of {len(there)} rows)."
            )


def check_windows(side: int | None, edge: str, pixel_size: float | None) -> None:
    """Refuse windows that can't be cut."""
    if side is not None and (not isinstance(side, int) or side < 4):
        raise ValueError(f"side must be a number of pixels, at least 4, or null; got {side!r}.")
    if edge not in EDGES:
        raise ValueError(f"edge must be one of {', '.join(EDGES)}; got {edge!r}.")
    if pixel_size is not None and not pixel_size > 0:
        raise ValueError(f"pixel_size must be positive, or null; got {pixel_size}.")


def largest_window(diameters: np.ndarray) -> int:
    """Side of windows that hold objects of these diameters at every angle, with a margin."""
    if not (diameters > 0).all():
        raise ValueError(f"sizes of objects must be positive; got {diameters.min():g}.")
    return max(4, int(np.ceil(1.5 * diameters.max())))


def sizes(pixel_size: float | None, count: int) -> torch.Tensor | None:
    """The size of a pixel for each image."""
    return None if pixel_size is None else torch.full((count,), float(pixel_size))


def in_field(fields: Fields, which: np.ndarray, centres: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of tables that say where objects lie: the field, and x, y in it as the input counts them."""
    names = np.array([field.name for field in fields.fields], dtype=str)
    x, y = centres.T
    return {"field": names[which], "field_x_pixels": x, "field_y_pixels": y}


def middles(centres: np.ndarray, side: int) -> torch.Tensor:
    """Where the middles of windows lie in their fields, (N, 2)."""
    return torch.from_numpy(corners(centres, side) + (side - 1) / 2)


def placed(
    fields: Fields, which: np.ndarray, centres: np.ndarray, side: int, edge: str
) -> tuple[np.ndarray, list[str]]:
    """Which objects have a window, and a line about those at the edges.

    Raises:
        ValueError: if an object lies outside its field, fields differ in channels, or none is left.
    """
    whole = np.empty(len(which), bool)
    channels: dict[int, str] = {}
    for number in np.unique(which):
        image, here = fields[int(number)][0], np.nonzero(which == number)[0]
        height, width = image.shape[1:]
        channels.setdefault(len(image), fields.fields[int(number)].name)
        out = ((centres[here] < -0.5) | (centres[here] > np.array([width, height]) - 0.5)).any(1)
        if out.any():
            row = here[out][0]
            raise ValueError(
                f"objects must lie in their field; row {row + 1} has x={centres[row, 0]:g}, "
                f"y={centres[row, 1]:g}, and {fields.fields[int(number)].name} has {width} columns and "
                f"{height} rows."
            )
        whole[here] = inside(corners(centres[here], side), side, height, width)
    if len(channels) > 1:
        raise ValueError(
            "fields must have as many channels each; "
            + " and ".join(f"{name} has {n}" for n, name in channels.items())
            + "."
        )
    cut = int((~whole).sum())
    if not cut:
        return np.arange(len(which)), []
    what = f"{cut} of {len(which)} windows of {side}x{side} pixels reach beyond their field"
    if edge == "pad":
        return np.arange(len(which)), [f"{what}, and are filled up with their ground"]
    if cut == len(which):
        raise ValueError(f"{what}: none is left. Set a smaller data.source.side, or edge=pad.")
    said = f"{what}, and are left out (data.source.edge=pad fills them up)"
    return np.nonzero(whole)[0], [said]
