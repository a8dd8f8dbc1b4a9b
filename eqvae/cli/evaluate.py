"""`eqvae evaluate`: measure trained models on held-out images, one or several side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import arguments_or_help, one_sentence_errors, printer
from eqvae.cli.options import SWITCH, Option, read_options
from eqvae.files import write_whole
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.domains import Domain
    from eqvae.evaluation.evaluate import Evaluation
    from eqvae.evaluation.findings import Suite
    from eqvae.evaluation.held_out import HeldOut
    from eqvae.training.runs import Subject

USAGE = """\
Measure trained models on held-out images or structures, with as many suites as the data allow, and write a
report.

Usage: {evaluate} ckpt=RUN_FOLDER_OR_CHECKPOINT [ckpt=...] [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own test split
  ckpt=A ckpt=B                  several runs side by side in one report
  ckpt=... data/pose=upright     the same images under another posing (or data/camera=stretch)
  ckpt=... data=sprites          other data (of the same size)
  preset=fast                    fast (a few minutes for 10,000 images), full (more samples, under 15), or
                                 dlib (full, and legacy scores by the public protocol, slow)
  suites=pose,clustering         only these; default: all
  seed=0                         of every random draw
  out=FOLDER                     where to write; default: <run folder>/evaluation, for several runs
                                 runs/evaluations/<date>_<time>
  wandb=true                     log the same numbers to the run's W&B run, if it has one (wandb=false: don't)

Writes metrics.json, metrics.csv, config.yaml, pictures/ and report.html, one page that opens offline."""
OWN = {
    "preset": Option("fast", words=("fast", "full", "dlib")),
    "suites": Option(),
    "seed": Option("0", least=0),
    "out": Option(),
    "wandb": Option("true", words=SWITCH),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        asked = read_options(arguments, OWN, several=True)
        from eqvae.training.runs import subject_of

        subjects = _named([subject_of(ckpt, asked.overrides) for ckpt in asked.checkpoints])
        suites = _suites(asked.options["suites"], subjects[0].model.domain)
        out = _folder(subjects, asked.options)
    evaluations = _evaluate(subjects, suites, asked.options, out)
    if asked.options["wandb"] == "true":
        _log(subjects, evaluations)
    _print(evaluations, out)


def _suites(names: str | None, domain: "Domain") -> "dict[str, Suite]":
    """The suites asked for, in their own order, of those that models on this domain have."""
    from eqvae.three.points import Points

    if isinstance(domain, Points):
        from eqvae.three.vae.suites import SUITES
    else:
        from eqvae.evaluation.suites import SUITES

    wanted = list(SUITES) if names is None else names.split(",")
    unknown = [name for name in wanted if name not in SUITES]
    if unknown:
        raise ValueError(
            f"suites must be names out of {', '.join(SUITES)}, joined by commas; got {unknown[0]!r}."
        )
    return {name: suite for name, suite in SUITES.items() if name in wanted}


def _named(subjects: "list[Subject]") -> "list[Subject]":
    """The same, with names that differ: runs of one name are told apart by their folders, else by number."""
    names = _told_apart([s.name for s in subjects], [s.folder.resolve().name for s in subjects])
    names = _told_apart(names, [str(i) for i in range(1, len(subjects) + 1)])
    for subject, name in zip(subjects, names, strict=True):
        subject.name = name
    return subjects


def _told_apart(names: Sequence[str], more: Sequence[str]) -> list[str]:
    return [
        name if names.count(name) == 1 or name == own else f"{name}-{own}"
        for name, own in zip(names, more, strict=True)
    ]


def _folder(subjects: "list[Subject]", options: dict[str, Any]) -> Path:
    """The folder to write to, made."""
    from datetime import datetime

    from omegaconf import OmegaConf

    if options["out"]:
        out = Path(options["out"])
    elif len(subjects) == 1:
        out = subjects[0].folder / "evaluation"
    else:
        out = Path("runs") / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    about = {s.name: {"ckpt": str(s.checkpoint), "data": s.data_config} for s in subjects}
    about = about[subjects[0].name] if len(subjects) == 1 else about
    settings = {key: options[key] for key in ("preset", "seed")}
    write_whole(out / "config.yaml", OmegaConf.to_yaml({**about, **settings}))
    return out


def _evaluate(
    subjects: "list[Subject]", suites: "dict[str, Suite]", options: dict[str, Any], out: Path
) -> "list[Evaluation]":
    """Every suite for every run; what is done is on disk after each of them."""
    from eqvae.evaluation.evaluate import Evaluation, add_agreement, evaluate, write_scores
    from eqvae.evaluation.held_out import HeldOut
    from eqvae.evaluation.report import write_report

    how = {"preset": options["preset"], "seed": options["seed"], "watch": watched}
    done, sets = [], []

    def save(evaluation: Evaluation) -> None:
        suite, seconds = list(evaluation.seconds.items())[-1]
        _say(f"{evaluation.name}: {suite}, {seconds:.0f} s")
        write_scores(done, out, pictures=False)

    try:
        for subject in subjects:
            held_out = HeldOut.of(subject.model, subject.data, **how)
            done.append(Evaluation(subject.name, _about(subject, held_out)))
            sets.append(held_out)
            evaluate(held_out, done[-1], suites=suites, after=save)
            done[-1].about["evaluated in"] = f"{sum(done[-1].seconds.values()):.0f} s"
        if len(subjects) > 1 and "disentanglement" in suites:
            add_agreement(sets, done)
    finally:  # nothing that is measured is lost
        if done:
            write_scores(done, out)
            title = done[0].name if len(done) == 1 else f"{len(done)} runs side by side"
            write_report(done, out / "report.html", f"eqvae report: {title}")
    return done


def _log(subjects: "list[Subject]", evaluations: "list[Evaluation]") -> None:
    """The numbers to the runs' own W&B runs, where they have any."""
    from eqvae.evaluation.evaluate import log_evaluation

    for subject, evaluation in zip(subjects, evaluations, strict=True):
        try:
            log_evaluation(subject.folder, evaluation)
        except Exception as error:  # the files are written; W&B has many ways to fail
            _say(f"not logged to W&B, {subject.name}: {error}")


def _say(text: str) -> None:
    """Print to standard error, among progress bars."""
    printer(stderr=True).print(text)


def _about(subject: "Subject", held_out: "HeldOut") -> dict[str, str]:
    model = subject.model
    domain, shape = model.domain, held_out.images.shape[1:]
    source, pose = (
        subject.data_config[part]["_target_"].rsplit(".", 1)[-1] for part in ("source", "pose")
    )
    return {
        "checkpoint": str(subject.checkpoint),
        "encoder": type(model.encoder).__name__,
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
        "latent": ", ".join(f"{b.copies} {b.name}" for b in model.representation.blocks),
        "data": f"{source}, {pose}: {len(held_out.images):,} held-out {domain.signals} of "
        f"{domain.size_of(shape)}",
        "preset": f"{held_out.preset}, seed {held_out.seed}",
    }


def _print(evaluations: "list[Evaluation]", out: Path) -> None:
    from rich.table import Table

    from eqvae.evaluation.report import HEADLINES, number

    console, table = printer(), Table()
    console.print(f"evaluation in {out}")
    table.add_column("score")
    for evaluation in evaluations:
        table.add_column(evaluation.name, justify="right")
    for name, label in HEADLINES.items():
        scores = [e.scores.get(name) for e in evaluations]
        if any(s is not None and s.value is not None for s in scores):
            cells = ["" if s is None else f"{number(s.value)} {s.unit}".strip() for s in scores]
            table.add_row(label, *cells)
    console.print(table)
    console.print(f"all scores, figures and explanations: {out / 'report.html'}")
