"""`eqvae fit_prior`: the last stage of a run, for models that were trained without it or need it anew."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqvae.cli.console import (
    arguments_or_help,
    one_sentence_errors,
    printer,
    stopped_by_ctrl_c,
)
from eqvae.cli.options import SWITCH, Asked, Option, read_options
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.models.model import Model
    from eqvae.training.prior import FitOrbitPrior
    from eqvae.training.runs import Subject

USAGE = """\
Fit the prior of a model that is trained already, and store it in the checkpoint beside the weights.

Usage: {fit_prior} ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own training images
  ckpt=... data=mnist5k          a checkpoint without its folder: say what it was trained on
  components=40                  kinds of object; default: as many as make validation images likeliest
  rank=16                        of their covariances beyond one variance for each irrep copy
  images=10000                   training images that it is fitted to, at most; default: all
  seed=0                         of the fit
  again=false                    true: in place of a prior that the checkpoint has already

Writes the prior into the checkpoint; in the run folder the numbers test/prior_gap and test/fitted/... into
metrics.json, and pictures/samples.png and pictures/clusters.png anew."""
OWN = {
    "components": Option(least=1),
    "rank": Option("16", least=0),
    "images": Option(least=1),
    "seed": Option("0", least=0),
    "again": Option("false", words=SWITCH),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with stopped_by_ctrl_c("the checkpoint is as it was"), one_sentence_errors():
        _run(read_options(arguments, OWN))


def _run(asked: Asked) -> None:
    from eqvae.training.checkpoint import find_checkpoint, has_prior, load_vae
    from eqvae.training.prior import FitOrbitPrior
    from eqvae.training.runs import subject_of

    path, options = find_checkpoint(asked.checkpoints[0]), asked.options
    again = options["again"] == "true"
    if has_prior(path) and not again:
        raise ValueError(
            f"{path} has a fitted prior already; again=true puts a new one in its place."
        )
    stage = FitOrbitPrior(
        options["components"], options["rank"], images=options["images"], seed=options["seed"]
    )
    subject = subject_of(asked.checkpoints[0], asked.overrides, fitted=False)
    begin = time.monotonic()
    found = _fitted(stage, path, subject)
    found["prior/seconds"] = time.monotonic() - begin
    model, console = load_vae(path), printer()
    console.print(f"{len(model.prior.weights)} components, stored in {path}")
    console.print(f"prior gap:  {found['test/prior_gap']:.1f} nats of the test images' ELBO")
    # numbers and pictures of other images would not be the run's
    if not asked.overrides and _merged(found, subject.folder / "metrics.json"):
        for picture in _pictures(model, subject):
            console.print(f"picture:    {picture}")


def _fitted(stage: "FitOrbitPrior", path: Path, subject: "Subject") -> dict[str, float]:
    """Fit and store; what the prior brings, see `eqvae.training.prior.prior_gap`."""
    from eqvae.threads import threads_for
    from eqvae.training.checkpoint import store_prior
    from eqvae.training.prior import prior_gap

    model, data = subject.model, subject.data
    with threads_for(model, model.image_shape[-1]):
        prior = stage(model, data, watched)
        gap = prior_gap(model, prior, data.test_dataloader, seed=0)
    store_prior(path, prior)  # last: whoever stops before keeps the checkpoint as it was
    return {f"test/{name}": value for name, value in gap.items()}


def _pictures(model: "Model", subject: "Subject") -> list[Path]:
    """Draw what the prior knows as the run draws its pictures, if it does."""
    from eqvae.config import build
    from eqvae.registry import stored_configuration
    from eqvae.training.pictures import ModelPictures

    callbacks = stored_configuration(subject.folder / "config.yaml").get("callbacks") or {}
    callback = build(callbacks.get("pictures"), path="callbacks.pictures")
    if not isinstance(callback, ModelPictures):
        return []
    return callback.save_prior(subject.folder, model, subject.data)


def _merged(found: dict[str, float], path: Path) -> bool:
    """Put numbers among those of a finished run; False where there is none."""
    if not path.is_file():
        return False
    from eqvae.stored import read_json
    from eqvae.training.run import write_metrics

    write_metrics(path, {**read_json(path), **found})
    return True
