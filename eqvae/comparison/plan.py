"""What a comparison still has to do: cells with the widths that make them comparable.

The reference arm keeps its own widths. Every other arm gets, in each scenario and for each rule, the widths
at which it has as many parameters, or multiply-accumulates, as the reference there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eqvae.comparison.arms import arms
from eqvae.comparison.cell import cell_config
from eqvae.comparison.design import Cell, Design
from eqvae.comparison.sizes import COUNTS, fit_widths
from eqvae.comparison.table import DONE, Results
from eqvae.config import build, fill_data
from eqvae.files import write_whole
from eqvae.stored import read_json
from eqvae.watch import Watch, unwatched


@dataclass(frozen=True)
class Job:
    """A cell and the widths that its arm is given."""

    cell: Cell
    widths: dict[str, int]


class Plan:
    """Jobs of a design, its widths and its results, in one folder.

    Args:
        design: what to compare.
        folder: for cells, widths and jobs.
        table: Parquet file of an earlier run, whose rows count.
        watch: wraps long loops with a progress bar.
    """

    def __init__(
        self,
        design: Design,
        folder: str | Path,
        table: str | Path | None = None,
        watch: Watch = unwatched,
    ):
        self.design = design
        self.folder = Path(folder)
        self.results = Results(self.folder / "cells", table)
        self.watch = watch
        self._shapes: dict[str, tuple[int, int, int]] = {}
        self._targets: dict[tuple[str, tuple[int, int, int]], float] = {}
        self._widths_file = self.folder / "widths.json"
        self._widths: dict[str, dict[str, int]] = {}
        if self._widths_file.is_file():
            self._widths = read_json(self._widths_file)

    def refuse_other_designs(self) -> None:
        """Rows of other settings under the same names would be taken for those of this design.

        Reads every row, so once before all cells, not with each.

        Raises:
            ValueError: if there are some.
        """
        rows = {name: row for name, row in self.results.rows().items() if row.get("design")}
        ours = {arm: self.design.digest(arm) for arm in {row["arm"] for row in rows.values()}}
        other = [name for name, row in rows.items() if row["design"] != ours[row["arm"]]]
        if other:
            raise ValueError(
                f"atlas.name must be new where the design is: {len(other)} cells in {self.results.folder} "
                "or the table of an earlier run had other settings, such as "
                f"{other[0]}. Give atlas.name another value, or delete them."
            )

    def pending(self, cells: Iterable[Cell]) -> list[Job]:
        """Jobs of the cells that are not done, each once; their descriptions are left for the workers.

        Raises:
            ValueError: if an arm can't be made as large as the reference.
        """
        missing = {cell.name: cell for cell in cells if not self.results.done(cell.name)}
        jobs = [
            Job(cell, self.widths(cell))
            for cell in self.watch(list(missing.values()), "matching sizes")
        ]
        for job in jobs:
            text = json.dumps({"cell": asdict(job.cell), "widths": job.widths})
            write_whole(self._job_file(job.cell.name), text)
        return jobs

    def job(self, name: str) -> Job:
        """A job that `pending` left, by the name of its cell.

        Raises:
            ValueError: if there is none.
        """
        path = self._job_file(name)
        if not path.is_file():
            raise ValueError(f"cell must name a job in {path.parent}; {name!r} is not there.")
        stored = read_json(path)
        return Job(Cell(**stored["cell"]), stored["widths"])

    def keep(self, cell: Cell, row: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what a cell's run has given, with the settings that it belongs to; returns the row."""
        row = {**row, "arm": cell.arm, "design": self.design.digest(cell.arm)}
        self.results.put(cell.name, row)
        return row

    def give_up(self, name: str, reason: str) -> None:
        """Keep that a job can't be run, and why."""
        self.results.forget_running(name)
        self.keep(self.job(name).cell, {"status": "failed", "reason": reason})

    def rates(self, arms: Sequence[str] | None = None) -> dict[str, float]:
        """By arm the tuned learning rate, of all arms or these, once their trials are done.

        Raises:
            ValueError: if an arm can't be trained at any.
        """
        design = self.design if arms is None else self.design.part({"arms": arms})
        rows = {cell.name: self.results.get(cell.name) or {} for cell in design.trials()}
        return design.tuned({name: row.get("val_elbo") for name, row in rows.items()})

    def rows(self) -> list[dict[str, Any]]:
        """The table so far: trials as block "tuning", then the blocks; cells never run are left out."""
        named = [("tuning", cell) for cell in self.design.trials()]
        arms = self._tuned()
        if arms:
            named += self.design.part({"arms": arms}).cells(self.rates(arms))
        found = []
        for block, cell in named:
            row = self.results.get(cell.name)
            if row is not None:
                found.append({**row, **asdict(cell), "block": block, "cell": cell.name})
        return found

    def widths(self, cell: Cell) -> dict[str, int]:
        """Widths of a cell's arm; {}, its own, where nothing is matched."""
        given = self.design.reference
        if cell.match == "none":
            return {}
        if cell.arm == given["arm"]:
            return dict(given["widths"])
        shape = self.shape(cell.scenario)
        key = f"{cell.arm}/{cell.match}/{shape}"
        if key not in self._widths:
            theirs = fill_data(cell_config(cell, self.design.settings(cell.arm)), shape)
            target = self._target(cell, shape)
            self._widths[key] = fit_widths(theirs, arms()[cell.arm].widths, target, cell.match)
            write_whole(self._widths_file, json.dumps(self._widths, indent=1))
        return self._widths[key]

    def _target(self, cell: Cell, shape: tuple[int, int, int]) -> float:
        """What the reference arm has of the parameters or multiply-accumulates that a cell must meet."""
        key = (cell.match, shape)
        if key not in self._targets:
            arm, widths = self.design.reference["arm"], self.design.reference["widths"]
            reference = Cell(arm, cell.scenario, cell.images)
            config = fill_data(cell_config(reference, self.design.settings(arm), widths), shape)
            self._targets[key] = COUNTS[cell.match](build(config["model"], path="model"), shape)
        return self._targets[key]

    def shape(self, scenario: str) -> tuple[int, int, int]:
        """(C, H, H) of a scenario's images."""
        if scenario not in self._shapes:
            arm = self.design.reference["arm"]
            config = cell_config(Cell(arm, scenario, 1), self.design.settings(arm))
            data = build(config["data"], path="data")
            data.setup()
            self._shapes[scenario] = data.image_shape
        return self._shapes[scenario]

    def _tuned(self) -> list[str]:
        """Arms whose trials are done, one of them with a score."""
        trials = {arm: [] for arm in self.design.arms}
        for cell in self.design.trials():
            trials[cell.arm].append(self.results.get(cell.name) or {})
        return [
            arm
            for arm, rows in trials.items()
            if not rows
            or all(row.get("status") in DONE for row in rows)
            and any(row.get("val_elbo") is not None for row in rows)
        ]

    def _job_file(self, name: str) -> Path:
        folder = self.folder / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.json"
