"""How often the chooser is right, asked of a finished comparison."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eqvae.comparison.arms import pilots
from eqvae.comparison.summary import Row

Seeds = dict[str, dict[int, Row]]  # by arm and seed


@dataclass(frozen=True)
class Validation:
    """How good choices by pilots are on cells that the chooser did not see.

    Attributes:
        share: of choices within the tolerance of the best arm's ELBO.
        always: the same by arm, had it been chosen everywhere: the floor that a chooser must beat.
        choices: number of pairs of a set of pilot seeds and an unseen cell.
        regret: by (scenario, images) the mean relative loss of ELBO.
        chosen: by (scenario, images) how often each arm was chosen.
    """

    share: float
    always: dict[str, float]
    choices: int
    regret: dict[tuple[str, int], float]
    chosen: dict[tuple[str, int], dict[str, int]]

    @property
    def constant(self) -> str:
        """The arm that is right most often, whatever the data."""
        return max(self.always, key=self.always.get)


def validate(
    rows: Iterable[Row],
    arms: Sequence[str] | None = None,
    tolerance: float = 0.01,
    repeats: int = 2,
) -> Validation | None:
    """Choose by the validation ELBO of a few seeds, judge on the test ELBO of every other seed.

    In a scenario and at a number of images, the best arm is the one with the highest mean test ELBO over the
    unseen seeds, whether or not the chooser knows it. A choice counts if on that seed its ELBO is at most
    `tolerance` times the best arm's below it.

    Args:
        rows: of a comparison.
        arms: that the chooser tries; those with a pilot if None.
        tolerance: relative.
        repeats: seeds to choose by, as of `scripts/advise.py`: every set of so many is a choice.

    Returns:
        None where no scenario has two arms with more seeds than that.
    """
    arms = list(pilots()) if arms is None else arms
    regret, chosen, kept = {}, {}, []
    constant: dict[str, list[float]] = {arm: [] for arm in arms}
    for place, found in _by_place(rows).items():
        losses: list[float] = []
        picks: dict[str, int] = defaultdict(int)
        for pick, best, judges in _choices(found, arms, repeats):
            picks[pick] += 1
            losses += [_loss(found, pick, best, seed) for seed in judges]
            for arm in arms:
                constant[arm] += [_loss(found, arm, best, seed) for seed in judges]
        if losses:
            regret[place], chosen[place] = float(np.mean(losses)), dict(picks)
            kept += losses
    if not kept:
        return None
    always = {arm: _share(losses, tolerance) for arm, losses in constant.items()}
    return Validation(_share(kept, tolerance), always, len(kept), regret, chosen)


def _by_place(rows: Iterable[Row]) -> dict[tuple[str, int], Seeds]:
    """Finished rows at matched parameters by (scenario, images), then by arm and seed."""
    table: dict[tuple[str, int], Seeds] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        ours = row["match"] == "parameters" and row["weight"] == 1 and row["block"] != "tuning"
        if ours and row["status"] == "finished":
            table[row["scenario"], row["images"]][row["arm"]][row["seed"]] = row
    return table


def _choices(
    found: Seeds, arms: Sequence[str], repeats: int
) -> Iterator[tuple[str, str, list[int]]]:
    """For every set of seeds to choose by: the arm chosen, the best on the others, the seeds that judge."""
    seeds = sorted(set().union(*found.values()))
    for seen in itertools.combinations(seeds, repeats):
        scores = {
            arm: np.mean([found[arm][s]["val_elbo"] for s in seen])
            for arm in found
            if arm in arms and set(seen) <= set(found[arm])
        }
        unseen = [s for s in seeds if s not in seen]
        if len(scores) < 2 or not unseen:
            continue
        tests = {arm: [by[s]["elbo"] for s in unseen if s in by] for arm, by in found.items()}
        best = max((arm for arm in found if tests[arm]), key=lambda arm: np.mean(tests[arm]))
        yield max(scores, key=scores.get), best, [s for s in unseen if s in found[best]]


def _loss(found: Seeds, arm: str, best: str, seed: int) -> float:
    """How far an arm's test ELBO lies below the best arm's, relative to it; infinite where it diverged."""
    row, top = found.get(arm, {}).get(seed), found[best][seed]["elbo"]
    return math.inf if row is None else (top - row["elbo"]) / abs(top)


def _share(losses: Sequence[float], tolerance: float) -> float:
    return float(np.mean(np.asarray(losses) <= tolerance))
