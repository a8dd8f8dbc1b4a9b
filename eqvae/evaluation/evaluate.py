"""A trained model measured on held-out images: run the suites, keep every number, write the files.

    evaluation = evaluate(HeldOut.of(model, data), "harmonic")
    write_scores([evaluation], "out")             # metrics.json, metrics.csv, pictures/
    write_report([evaluation], "out/report.html")

Names are `<suite>/<score>`; Weights & Biases gets them as `test/<suite>/<score>`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eqvae.config import build
from eqvae.drawing.png import save_figure
from eqvae.evaluation.agreement import agreement
from eqvae.evaluation.findings import Findings, Suite
from eqvae.evaluation.held_out import HeldOut
from eqvae.evaluation.suites import SUITES
from eqvae.files import write_table, write_whole
from eqvae.formulas import cell_of
from eqvae.metrics.score import Score
from eqvae.training.run import stored_config

_COLUMNS = (
    "run", "score", "value", "low", "high", "std", "floor", "ceiling",
    "n", "unit", "better", "legacy", "reason",
)  # fmt: skip


@dataclass
class Evaluation:
    """What was found about one run.

    Attributes:
        name: of the run.
        about: what to know of it (model, data, sizes, ...), in the order to be shown.
        suites: findings by suite.
        seconds: what each suite took.
    """

    name: str
    about: dict[str, str] = field(default_factory=dict)
    suites: dict[str, Findings] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, Score]:
        """All scores by `<suite>/<score>`."""
        return {
            f"{suite}/{name}": score
            for suite, findings in self.suites.items()
            for name, score in findings.scores.items()
        }

    @property
    def values(self) -> dict[str, float]:
        """The scores that have a value, as plain numbers."""
        return {name: s.value for name, s in self.scores.items() if s.value is not None}


def evaluate(
    held_out: HeldOut,
    into: Evaluation | str = "run",
    *,
    suites: Mapping[str, Suite] = SUITES,
    after: Callable[[Evaluation], None] = lambda evaluation: None,
) -> Evaluation:
    """Run the suites one after the other.

    A suite that its data do not allow (codes that are not finite, say) is reported with the reason, and
    the others go on.

    Args:
        held_out: the model and the images.
        into: the evaluation to fill, or the name of a new one.
        suites: by name; the order is that of the report.
        after: called after every suite, to save what there is.
    """
    evaluation = Evaluation(into) if isinstance(into, str) else into
    for suite, measure in suites.items():
        begin = time.monotonic()
        evaluation.suites[suite] = _measured(lambda: measure(held_out))  # noqa: B023
        evaluation.seconds[suite] = time.monotonic() - begin
        after(evaluation)
    return evaluation


def add_agreement(held_out_sets: Sequence[HeldOut], evaluations: Sequence[Evaluation]) -> None:
    """Add the agreement of several runs to each of them, if they saw the same images."""
    found = _measured(lambda: agreement(held_out_sets))
    for evaluation in evaluations if found.scores else ():
        evaluation.suites["agreement"] = found


def _measured(measure: Callable[[], Findings]) -> Findings:
    """What a suite finds, or why it can't."""
    try:
        return measure()
    except ValueError as error:  # metrics refuse bad data in one sentence: report it
        return Findings({"suite": Score.null(str(error))})


def write_scores(
    evaluations: Sequence[Evaluation], out: str | Path, *, pictures: bool = True
) -> None:
    """Write metrics.csv for all runs; for each run metrics.json and pictures/, in a folder of its own if
    there are several.

    Args:
        evaluations: of the runs.
        out: folder.
        pictures: whether to save the figures too, which takes longer.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        _row(evaluation.name, *item)
        for evaluation in evaluations
        for item in evaluation.scores.items()
    ]
    write_table(out / "metrics.csv", _COLUMNS, rows)
    for evaluation in evaluations:
        folder = out if len(evaluations) == 1 else out / evaluation.name
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        scores = {name: score.as_dict() for name, score in evaluation.scores.items()}
        write_whole(folder / "metrics.json", json.dumps(scores, indent=2) + "\n")
        for suite, found in evaluation.suites.items() if pictures else ():
            for caption, figure in found.figures.items():
                save_figure(figure, folder / "pictures" / f"{suite}_{_file_name(caption)}.png")


def log_evaluation(folder: str | Path, evaluation: Evaluation) -> bool:
    """Add the numbers to the summary of a run's own W&B run, as `test/<suite>/<score>`.

    Args:
        folder: the run folder.
        evaluation: of that run.

    Returns:
        Whether there is a W&B run.
    """
    folder = Path(folder)
    if not (folder / "wandb" / "run_id").is_file() or not (folder / "config.yaml").is_file():
        return False
    config = stored_config(folder)
    logger = build(
        config["logger"], path="logger", folder=folder.resolve(), name=config.get("name")
    )
    if logger is None:
        return False
    values = {f"test/{name}": value for name, value in evaluation.values.items()}
    logger.experiment.summary.update(values)
    logger.experiment.finish()
    return True


def _row(run: str, name: str, score: Score) -> dict:
    low, high = score.interval or (None, None)
    known = {"run": run, "score": name, "low": low, "high": high, **score.as_dict()}
    return {column: cell_of(known[column]) for column in _COLUMNS}


def _file_name(caption: str) -> str:
    kept = "".join(c if c.isalnum() else "_" for c in caption.lower())
    return "_".join(part for part in kept.split("_") if part)
