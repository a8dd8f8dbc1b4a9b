"""STAR files of RELION: tables read as they are, and written with only the changed columns touched.

A table (`loop_`) has a name, columns and rows of words. Everything else of the text, comments, spaces and the
digits of numbers, stays as the file has it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WORD = re.compile(r"""'[^']*'(?=\s|$)|"[^"]*"(?=\s|$)|\S+""")


@dataclass(frozen=True)
class StarTable:
    """A table of a STAR file.

    Attributes:
        name: behind `data_`.
        columns: without the underscore, in order.
        rows: numbers of the lines that hold rows.
        words: of each row, as written.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[int, ...]
    words: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, column: str) -> list[str]:
        """A column's words, without quotes."""
        place = self.columns.index(column)
        return [
            row[place].strip("'\"") if row[place][0] in "'\"" else row[place] for row in self.words
        ]

    def numbers(self, column: str) -> np.ndarray:
        """A column as numbers, (N,).

        Raises:
            ValueError: if a row holds no number.
        """
        words = self.text(column)
        try:
            return np.array(words, dtype=np.float64)
        except ValueError:
            row = next(i for i, word in enumerate(words) if not _is_number(word))
            raise ValueError(
                f"{column} must be numbers; row {row + 1} (line {self.rows[row] + 1}) has {words[row]!r}."
            ) from None


@dataclass(frozen=True)
class StarFile:
    """The text of a STAR file and its tables.

    Attributes:
        lines: of the text.
        tables: by name.
    """

    lines: tuple[str, ...]
    tables: Mapping[str, StarTable]

    @classmethod
    def read(cls, path: Path) -> "StarFile":
        """Read a file.

        Raises:
            ValueError: if it is no STAR file, or rows and columns do not fit.
        """
        try:
            lines = tuple(path.read_text(encoding="utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise ValueError(
                f"path={str(path)!r} is no STAR file: it is no text ({error})."
            ) from error
        tables = {table.name: table for table in _tables(lines, path)}
        if not tables:
            raise ValueError(f"path={str(path)!r} is no STAR file with a table (loop_).")
        return cls(lines, tables)

    def written(self, name: str, values: Mapping[str, Sequence[str]], rows: Sequence[int]) -> str:
        """The text with some rows of a table, and with other words in some columns, new ones at the end.

        Args:
            name: of the table.
            values: words by column, one for each of the rows that are kept.
            rows: that are kept, in order.
        """
        table, lines = self.tables[name], list(self.lines)
        new = [column for column in values if column not in table.columns]
        kept = {}
        for i, row in enumerate(rows):
            line = lines[table.rows[row]]
            for place in reversed(range(len(table.columns))):
                column = table.columns[place]
                if column in values:
                    word = list(_WORD.finditer(line))[place]
                    line = line[: word.start()] + values[column][i] + line[word.end() :]
            kept[table.rows[row]] = " ".join(
                [line.rstrip(), *(values[column][i] for column in new)]
            )
        gone = set(table.rows) - set(kept)
        first, count = min(table.rows), len(table.columns)
        out = []
        for number, line in enumerate(lines):
            if number == first:
                out += [f"_{column} #{count + 1 + i}" for i, column in enumerate(new)]
            if number not in gone:
                out.append(kept.get(number, line))
        return "\n".join(out) + "\n"


def _tables(lines: Sequence[str], path: Path) -> list[StarTable]:
    found, name, looping = [], "", False
    columns: list[str] = []
    rows: list[tuple[int, tuple[str, ...]]] = []

    def closed() -> None:
        if rows:
            numbers, words = zip(*rows, strict=True)
            found.append(StarTable(name, tuple(columns), numbers, words))
        rows.clear()
        columns.clear()

    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith("#"):
            continue
        if text.startswith("data_") or text == "loop_":
            closed()
            name = text.removeprefix("data_") if text != "loop_" else name
            looping = text == "loop_"
        elif not looping:
            continue
        elif text.startswith("_") and not rows:
            columns.append(text.split()[0].removeprefix("_"))
        elif text and columns:
            words = tuple(_WORD.findall(text))
            if len(words) != len(columns):
                raise ValueError(
                    f"path={str(path)!r} is damaged: line {number + 1} has {len(words)} words for "
                    f"{len(columns)} columns."
                )
            rows.append((number, words))
        elif rows:
            looping = False
    closed()
    return found


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
