"""Some rows of an embedding: clusters, cuts such as cluster_probability>0.9, and lists of images."""

import operator
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eqvae.embedding.table import Embedding

_SIGNS: dict[str, Callable] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CUT = re.compile(r"\s*(\w+)\s*(>=|<=|==|!=|>|<|=)\s*(.+?)\s*")
_JOINED = re.compile(r",|\s+and\s+")
_EQUALITY = (operator.eq, operator.ne)


@dataclass(frozen=True)
class Cut:
    """A comparison of a column with a value; rows where the column is empty are not chosen.

    Attributes:
        column: its name.
        sign: one of >= <= == != > < =.
        value: as written.
    """

    column: str
    sign: str
    value: str

    def of(self, embedding: Embedding) -> np.ndarray:
        """Which rows it chooses, (N,) bool.

        Raises:
            ValueError: if there is no such column, or its values can't be compared with this one.
        """
        values, compare = embedding.column(self.column), _SIGNS[self.sign]
        kind = embedding.table.schema.field(self.column).type
        known = embedding.table.column(self.column).is_valid().to_numpy()
        if pa.types.is_boolean(kind) or pa.types.is_string(kind):
            if compare not in _EQUALITY:
                raise ValueError(
                    f"where can compare {self.column} with == and != only; got {self.sign}{self.value}."
                )
            wanted = self.value if pa.types.is_string(kind) else self._switch()
            return known & np.array([compare(value, wanted) for value in values], dtype=bool)
        return known & compare(values.astype(np.float64), self._number())

    def _number(self) -> float:
        try:
            return float(self.value)
        except ValueError:
            raise ValueError(
                f"where must compare {self.column} with a number; got {self.value!r}."
            ) from None

    def _switch(self) -> bool:
        if self.value not in ("true", "false"):
            raise ValueError(
                f"where must compare {self.column} with true or false; got {self.value!r}."
            )
        return self.value == "true"


def read_cuts(key: str, text: str) -> tuple[Cut, ...]:
    """Cuts joined by commas or by `and`, all of which must hold.

    Raises:
        ValueError: if one is no comparison.

    Example:
        >>> read_cuts("where", "cluster==3 and cluster_probability>0.9")[1]
        Cut(column='cluster_probability', sign='>', value='0.9')
    """
    found = []
    for part in _JOINED.split(text):
        match = _CUT.fullmatch(part)
        if match is None:
            raise ValueError(
                f"{key} must be comparisons such as cluster==3,cluster_probability>0.9; got {part.strip()!r}."
            )
        found.append(Cut(*match.groups()))
    return tuple(found)


def subset(
    embedding: Embedding,
    *,
    clusters: Sequence[int] | None = None,
    min_probability: float | None = None,
    where: Sequence[Cut] = (),
    rows: Sequence[str] | None = None,
) -> Embedding:
    """The rows of these clusters, of at least that probability, where every cut holds, that a list names.

    Args:
        embedding: to choose of.
        clusters: their numbers.
        min_probability: of an image to belong to its cluster.
        where: comparisons.
        rows: the images' names, or the numbers of their rows in the source's files, as `write=list` has them.

    Raises:
        ValueError: if a column, cluster or image is unknown, or no row is left.
    """
    chosen = np.ones(len(embedding), dtype=bool)
    if clusters is not None or min_probability is not None:
        _check_clusters(embedding, clusters)
    if clusters is not None:
        chosen &= np.isin(embedding.column("cluster"), list(clusters))
    if min_probability is not None:
        chosen &= Cut("cluster_probability", ">=", repr(min_probability)).of(embedding)
    for cut in where:
        chosen &= cut.of(embedding)
    if rows is not None:
        chosen &= _listed(embedding, rows)
    if not chosen.any():
        raise ValueError(
            f"none of the {len(embedding)} images is left by that choice. Choose more widely."
        )
    return Embedding(embedding.table.filter(pa.array(chosen)))


def _listed(embedding: Embedding, rows: Sequence[str]) -> np.ndarray:
    """Which rows a list names, (N,) bool."""
    names = embedding.column("name").tolist()
    numbered = not set(rows) <= set(names) and all(row.isdecimal() for row in rows)
    names = list(map(str, embedding.column("index").tolist())) if numbered else names
    rows = [str(int(row)) for row in rows] if numbered else rows
    count = Counter(names)
    unknown = next((row for row in rows if not count[row]), None)
    if unknown is not None:
        raise ValueError(
            f"rows must list images of the embedding, by name or by the number of their row; {unknown!r} is "
            "none of them. Give a list that was made of the same images."
        )
    twice = next((row for row in rows if count[row] > 1), None)
    if twice is not None:
        raise ValueError(
            f"rows must say which image is meant; {twice!r} is the name of {count[twice]}. List the numbers "
            "of their rows, as the column index has them."
        )
    wanted = set(rows)
    return np.array([name in wanted for name in names], dtype=bool)


def _check_clusters(embedding: Embedding, clusters: Sequence[int] | None) -> None:
    found = sorted(pc.unique(embedding.table.column("cluster")).drop_null().to_pylist())
    if not found:
        raise ValueError("the embedding has no clusters. Embed the images with clusters=10.")
    unknown = sorted(set(clusters or ()) - set(found))
    if unknown:
        raise ValueError(
            f"clusters must be of those that the embedding has, {found[0]} to {found[-1]}; got {unknown[0]}."
        )
