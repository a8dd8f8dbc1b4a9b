"""The design of a comparison: from a short description to the list of its cells.

A cell is one training: an arm (how the symmetry is put in), a scenario (how far the data obey it), a number
of training images, a rule that sets the widths, a factor on the penalties, a learning rate and a seed. Blocks
are full grids over these; a cell that two blocks share is trained once.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eqvae import config
from eqvae.comparison.arms import arms

MATCHES = ("none", "parameters", "macs")
RENAMED = {"level": "scenario", "levels": "scenarios"}  # keys of before: what they are called now
_AXES = ("arms", "scenarios", "images", "seeds", "match", "weights")
_ONE = {"match": ["parameters"], "weights": [1.0]}  # where a block does not say


@dataclass(frozen=True)
class Cell:
    """One training of the comparison.

    Attributes:
        arm: choice in configs/arm.
        scenario: choice in configs/scenario, or "none" for the data as they are.
        images: number of training images.
        match: what is equal to the reference arm's: "parameters", "macs" or "none".
        weight: factor on the weights of all penalties of the arm's objective.
        seed: of weights, noise, split and poses.
        lr: learning rate; None until it is tuned.
    """

    arm: str
    scenario: str
    images: int
    match: str = "parameters"
    weight: float = 1.0
    seed: int = 0
    lr: float | None = None

    @property
    def name(self) -> str:
        """A file name that says it all."""
        rate = "untuned" if self.lr is None else f"lr{self.lr:g}"
        size = f"{self.images}-{self.match}-w{self.weight:g}"
        return f"{self.arm}-{self.scenario}-{size}-{rate}-s{self.seed}"


@dataclass(frozen=True)
class Design:
    """A whole comparison, as `configs/experiment/atlas_*.yaml` describes it.

    Args:
        name: of the comparison and its files.
        reference: arm whose parameters and multiply-accumulates the others meet, and its widths:
            {"arm": "hard", "widths": {"model.encoder.hidden": 24, ...}}.
        overrides: for every cell, as behind `scripts/train.py`.
        blocks: by name the grids: {"arms": [...], "scenarios": [...], "images": [...], "seeds": [...]}, and
            where they differ from one, "match": [...] and "weights": [...].
        rates: learning rates that every arm tries.
        tuning: where they are tried: {"scenario": ..., "images": ..., "seed": ...}, a seed of no block.
        own: by arm further overrides, beyond what its own file says.
        data: choice in configs/data whose images the scenarios move; None for those that they name.

    Raises:
        ValueError: if an arm, scenario, dataset, match or key is unknown, or a grid is empty.
    """

    name: str
    reference: Mapping[str, Any]
    overrides: Sequence[str]
    blocks: Mapping[str, Mapping[str, Any]]
    rates: Sequence[float]
    tuning: Mapping[str, Any]
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    data: str | None = None

    def __post_init__(self):
        _keys(self.tuning, "atlas.tuning", ("scenario", "images", "seed"))
        for block, grid in self.blocks.items():
            self._check_block(f"atlas.blocks.{block}", grid)
        _known([self.reference["arm"]], "atlas.reference.arm", choices("arm"))
        _known(self.own, "atlas.own", choices("arm"))
        _known([] if self.data is None else [self.data], "atlas.data", choices("data"))
        if not self.rates:
            raise ValueError("atlas.rates must list at least one learning rate.")

    def _check_block(self, path: str, grid: Mapping[str, Any]) -> None:
        _keys(grid, path, _AXES)
        for axis in ("arms", "scenarios", "images", "seeds"):
            if not grid.get(axis):
                raise ValueError(f"{path}.{axis} must list at least one value.")
        _known(grid["arms"], f"{path}.arms", choices("arm"))
        _known(grid["scenarios"], f"{path}.scenarios", choices("scenario"))
        _known(grid.get("match", ()), f"{path}.match", MATCHES)
        if self.tuning["seed"] in grid["seeds"]:
            raise ValueError(
                f"atlas.tuning.seed must not be among the seeds of {path}, which would be judged where they "
                f"were tuned; got {self.tuning['seed']}."
            )

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(arm for grid in self.blocks.values() for arm in grid["arms"]))

    def settings(self, arm: str) -> list[str]:
        """Overrides of an arm's cells: the data, its latent, what all cells have, what it alone has."""
        data = [] if self.data is None else [f"data={self.data}"]
        latent = ",".join(map(str, arms()[arm].latent))
        own = self.own.get(arm, ())
        return [*data, f"latent.multiplicities=[{latent}]", *self.overrides, *own]

    def part(self, axes: Mapping[str, Sequence[Any]]) -> "Design":
        """The same comparison with only some values of its blocks; one that has none of them is left out.

        Args:
            axes: by name of an axis (arms, scenarios, images, seeds, match, weights) the values to keep.

        Raises:
            ValueError: if an axis is unknown, its values are no list or in no block, or nothing is left.
        """
        whole = {name: {**_ONE, **grid} for name, grid in self.blocks.items()}
        _keys(axes, "part", _AXES)
        for axis, values in axes.items():
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise ValueError(f"part.{axis} must be a list, such as [{values}]; got {values!r}.")
            there = dict.fromkeys(value for grid in whole.values() for value in grid[axis])
            _known(values, f"part.{axis}", list(there))
        kept = {
            name: {axis: [v for v in grid[axis] if v in axes.get(axis, [v])] for axis in _AXES}
            for name, grid in whole.items()
        }
        blocks = {name: grid for name, grid in kept.items() if all(grid.values())}
        if not blocks:
            raise ValueError(f"part must leave a cell of some block; {dict(axes)} leaves none.")
        return replace(self, blocks=blocks)

    def digest(self, arm: str) -> str:
        """Eight digits that change with anything that the cells of an arm depend on beside their names."""
        model = self.reference["arm"]
        told = [self.settings(arm), arms()[arm].widths, self.settings(model), self.reference]
        text = json.dumps(told, sort_keys=True, default=dict)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def trials(self) -> list[Cell]:
        """Every arm with every learning rate on the seed kept for this; none where there is no choice."""
        if len(self.rates) == 1:
            return []
        where = {key: self.tuning[key] for key in ("scenario", "images", "seed")}
        return [Cell(arm=arm, lr=lr, **where) for arm in self.arms for lr in self.rates]

    def tuned(self, scores: Mapping[str, float | None]) -> dict[str, float]:
        """By arm the learning rate whose trial has the highest validation ELBO.

        Args:
            scores: by the name of a trial; None where it diverged.

        Raises:
            ValueError: if an arm diverged at every rate.
        """
        if len(self.rates) == 1:
            return dict.fromkeys(self.arms, self.rates[0])
        best: dict[str, tuple[float, float]] = {}
        for cell in self.trials():
            score = scores.get(cell.name)
            if score is not None and score > best.get(cell.arm, (-float("inf"), 0.0))[0]:
                best[cell.arm] = (score, cell.lr)
        for arm in self.arms:
            if arm not in best:
                raise ValueError(
                    f"atlas.rates holds no learning rate at which {arm} can be trained: all trials "
                    "diverged or failed. Add smaller ones."
                )
        return {arm: lr for arm, (_, lr) in best.items()}

    def cells(self, rates: Mapping[str, float]) -> list[tuple[str, Cell]]:
        """All cells with the block that they stand in; `rates` by arm, as tuned."""
        return [
            (block, replace(cell, lr=rates[cell.arm]))
            for block, grid in self.blocks.items()
            for cell in _product(grid)
        ]


def choices(group: str) -> list[str]:
    """Names of the files in a folder of configs/."""
    return sorted(file.stem for file in (Path(config.CONFIG_DIR) / group).glob("*.yaml"))


def _product(grid: Mapping[str, Any]) -> Iterator[Cell]:
    full = {**_ONE, **grid}
    axes = [full[axis] for axis in ("seeds", "scenarios", "images", "match", "arms", "weights")]
    for seed, scenario, images, match, arm, weight in itertools.product(*axes):
        yield Cell(arm, scenario, int(images), match, float(weight), int(seed))


def _known(names: Any, key: str, known: Sequence[Any]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{key} must be among {', '.join(map(str, known))}; got {name!r}.")


def _keys(given: Iterable[str], path: str, known: Sequence[str]) -> None:
    for key in given:
        if key in RENAMED:
            raise ValueError(f"{path}.{key} is called {path}.{RENAMED[key]} now.")
        if key not in known:
            raise ValueError(f"{path} has no key {key!r}; it may have {', '.join(known)}.")
