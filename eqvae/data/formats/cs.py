"""Tables of cryoSPARC, .cs: numpy's .npy files with one record for each row, its fields named as blob/path.

What belongs to particles is spread over two files of a job: the results, and a passthrough file with the
fields that the job did not touch. The field uid says which rows belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_NUMPY, _STREAM = b"\x93NUMPY", b"\x94CSDAT"  # how files begin


@dataclass(frozen=True)
class CsFile:
    """The rows of a .cs file.

    Attributes:
        rows: records, (N,).
    """

    rows: np.ndarray

    @classmethod
    def read(cls, path: Path) -> "CsFile":
        """Read a file.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is no .cs file, damaged, holds Python objects or no rows, or a uid comes twice.
        """
        if not path.is_file():
            raise FileNotFoundError(f"path must be a .cs file; there is no {str(path)!r}.")
        with path.open("rb") as file:
            begin = file.read(len(_NUMPY))
            if begin == _STREAM:
                raise ValueError(
                    f"path={str(path)!r} is in cryoSPARC's stream format. Save it with cryosparc-tools as "
                    "Dataset.load(path).save(path, format=NUMPY_FORMAT)."
                )
            if begin != _NUMPY:
                raise ValueError(
                    f"path={str(path)!r} is no .cs file: it does not begin as numpy's files do."
                )
            file.seek(0)
            try:
                rows = np.load(file, allow_pickle=False)
            except (ValueError, EOFError, OSError, SyntaxError) as error:
                raise ValueError(
                    f"path={str(path)!r} can't be read ({' '.join(str(error).split())})."
                ) from error
        if rows.dtype.names is None or rows.ndim != 1:
            raise ValueError(f"path={str(path)!r} is no .cs file: it holds numbers without fields.")
        if not len(rows):
            raise ValueError(f"path={str(path)!r} holds no rows.")
        found = cls(rows)
        found._check_once(path)
        return found

    def _check_once(self, path: Path) -> None:
        if "uid" in self.fields:
            uids, count = np.unique(self.rows["uid"], return_counts=True)
            if (count > 1).any():
                twice = ", ".join(map(str, uids[count > 1][:5]))
                raise ValueError(
                    f"rows of {str(path)!r} must come once each; uid {twice} come again. Remove the rows "
                    "that repeat them."
                )

    @property
    def fields(self) -> tuple[str, ...]:
        return self.rows.dtype.names

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def numbers(self, name: str) -> np.ndarray:
        """A field as float64, (N, ...)."""
        return self.rows[name].astype(np.float64)

    def text(self, name: str) -> list[str]:
        """A field as words."""
        words = self.rows[name].tolist()
        return [w.decode("utf-8", "replace") if isinstance(w, bytes) else str(w) for w in words]

    def joined(self, other: "CsFile", path: Path) -> "CsFile":
        """The rows with the fields of another file that these lack, by uid.

        Args:
            other: such as a passthrough file; its rows may be more, and in another order.
            path: of the other, for messages.

        Raises:
            ValueError: if one of them has no uid, or the other lacks rows.
        """
        if "uid" not in self or "uid" not in other:
            raise ValueError(f"both files must have uid, to join {str(path)!r} row by row.")
        order = np.argsort(other.rows["uid"])
        sought = other.rows["uid"][order]
        place = np.searchsorted(sought, self.rows["uid"]).clip(max=len(other) - 1)
        missing = int((sought[place] != self.rows["uid"]).sum())
        if missing:
            raise ValueError(
                f"passthrough={str(path)!r} lacks {missing} of the {len(self)} particles. Take that of "
                "the same job."
            )
        more = {name: other.rows[name][order][place] for name in other.fields if name not in self}
        return CsFile(self.changed(more, range(len(self))))

    def changed(self, values: Mapping[str, np.ndarray], rows: Sequence[int]) -> np.ndarray:
        """Some of the rows with other values in some fields, new ones at the end; the rest byte for byte.

        Args:
            values: by field, for each of the rows that are kept.
            rows: that are kept, in order.
        """
        kept = self.rows[np.asarray(rows)]
        own = [(name, self.rows.dtype.fields[name][0]) for name in self.fields]
        new = [(n, v.dtype, v.shape[1:]) for n, v in values.items() if n not in self]
        out = np.empty(len(kept), dtype=own + new)
        for name in self.fields:
            out[name] = kept[name]
        for name, value in values.items():
            out[name] = value
        return out
