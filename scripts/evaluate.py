"""Measure trained models on held-out images, with as many suites as the data allow, and write a report.

Usage: python scripts/evaluate.py ckpt=RUN_FOLDER_OR_CHECKPOINT [ckpt=...] [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own test split
  ckpt=A ckpt=B                  several runs side by side in one report
  ckpt=... data/pose=upright     the same images under another posing
  ckpt=... data=sprites          other data (of the same size)
  preset=fast                    fast (under 2 minutes for 10,000 images), full (more samples, under 15), or
                                 dlib (full, and legacy scores by the public protocol, slow)
  suites=pose,clustering         only these; default: all
  seed=0                         of every random draw
  out=FOLDER                     where to write; default: <run folder>/evaluation, for several runs
                                 runs/evaluations/<date>_<time>
  wandb=true                     log the same numbers to the run's W&B run, if it has one (wandb=false: don't)

Writes metrics.json, metrics.csv, config.yaml, pictures/ and report.html, one page that opens offline.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqvae.training.runs import Subject

OWN = {"preset": "fast", "suites": None, "seed": "0", "out": None, "wandb": "true"}
CHOICES = {"preset": ("fast", "full", "dlib"), "wandb": ("true", "false")}


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) == 1:
        print(__doc__.strip())
        return
    from eqvae.cli.console import one_sentence_errors

    with one_sentence_errors():
        checkpoints, options, overrides = _options(sys.argv[1:])
        from eqvae.training.runs import subject_of

        subjects = _named([subject_of(ckpt, overrides) for ckpt in checkpoints])
        out = _folder(subjects, options)
    evaluations = _evaluate(subjects, options, out)
    _print(evaluations, out)


def _options(arguments: list[str]) -> tuple[list[str], dict[str, Any], list[str]]:
    """The checkpoints, this script's own options, and what concerns the data."""
    from eqvae.evaluation.suites import SUITES

    options, checkpoints, overrides = dict(OWN), [], []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "ckpt" and value:
            checkpoints.append(value)
        elif key in OWN and equals:
            options[key] = value
        elif equals and (key == "data" or key.startswith(("data.", "data/"))):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with ckpt, {', '.join(OWN)}, "
                "or data keys."
            )
    if not checkpoints:
        raise ValueError("ckpt must name a run folder or a checkpoint: ckpt=runs/NAME/DATE.")
    for key, allowed in CHOICES.items():
        if options[key] not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}; got {options[key]!r}.")
    if not options["seed"].isdigit():
        raise ValueError(f"seed must be a whole number >= 0; got {options['seed']!r}.")
    options["seed"] = int(options["seed"])
    wanted = list(SUITES) if options["suites"] is None else options["suites"].split(",")
    unknown = [name for name in wanted if name not in SUITES]
    if unknown:
        raise ValueError(
            f"suites must be names out of {', '.join(SUITES)}, joined by commas; got {unknown[0]!r}."
        )
    options["suites"] = {name: SUITES[name] for name in SUITES if name in wanted}
    return checkpoints, options, overrides


def _named(subjects: "list[Subject]") -> "list[Subject]":
    """The same, with names that differ."""
    names = [subject.name for subject in subjects]
    for i, subject in enumerate(subjects):
        if names.count(subject.name) > 1:
            subject.name = f"{names[i]}-{i + 1}"
    return subjects


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
    OmegaConf.save(OmegaConf.create({**about, **settings}), out / "config.yaml")
    return out


def _evaluate(subjects: "list[Subject]", options: dict[str, Any], out: Path) -> list[Any]:
    """Every suite for every run; what is done is on disk after each of them."""
    from rich.console import Console

    from eqvae.cli.console import watch
    from eqvae.evaluation.evaluate import (
        Evaluation,
        compare,
        evaluate,
        log_evaluation,
        write_scores,
    )
    from eqvae.evaluation.held_out import HeldOut
    from eqvae.evaluation.report import write_report

    console = Console(stderr=True, highlight=False)

    done, all_evidence = [], []
    try:
        for subject in subjects:
            how = {"preset": options["preset"], "seed": options["seed"], "watch": watch}
            held_out = HeldOut.of(subject.vae, subject.data, **how)
            done.append(Evaluation(subject.name, _about(subject, held_out, options)))
            all_evidence.append(held_out)

            def save(evaluation: Any) -> None:
                suite, seconds = list(evaluation.seconds.items())[-1]
                console.print(f"{evaluation.name}: {suite}, {seconds:.0f} s")
                write_scores(done, out, pictures=False)

            evaluate(held_out, done[-1], suites=options["suites"], after=save)
            done[-1].about["evaluated in"] = f"{sum(done[-1].seconds.values()):.0f} s"
        if len(subjects) > 1 and "disentanglement" in options["suites"]:
            compare(all_evidence, done)
    finally:  # nothing that is measured is lost
        if done:
            write_scores(done, out)
            title = done[0].name if len(done) == 1 else f"{len(done)} runs side by side"
            write_report(done, out / "report.html", f"eqvae report: {title}")
    if options["wandb"] == "true":
        for subject, evaluation in zip(subjects, done, strict=True):
            try:
                log_evaluation(subject.folder, evaluation)
            except Exception as error:  # the files are written; W&B has many ways to fail
                console.print(f"not logged to W&B, {subject.name}: {error}")
    return done


def _about(subject: "Subject", held_out: Any, options: dict[str, Any]) -> dict[str, str]:
    count = sum(p.numel() for p in subject.vae.parameters())
    shape = " x ".join(map(str, held_out.images.shape[1:]))
    source = subject.data_config["source"]["_target_"].rsplit(".", 1)[-1]
    pose = subject.data_config["pose"]["_target_"].rsplit(".", 1)[-1]
    return {
        "checkpoint": str(subject.checkpoint),
        "encoder": type(subject.vae.encoder).__name__,
        "parameters": f"{count:,}",
        "latent": ", ".join(f"{b.copies} {b.name}" for b in subject.vae.representation.blocks),
        "data": f"{source}, {pose}: {len(held_out.images):,} held-out images of {shape}",
        "preset": f"{options['preset']}, seed {options['seed']}",
    }


def _print(evaluations: list[Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from eqvae.evaluation.report import HEADLINES, number

    table = Table(title=f"evaluation in {out}", title_justify="left")
    table.add_column("score")
    for evaluation in evaluations:
        table.add_column(evaluation.name, justify="right")
    for name, label in HEADLINES.items():
        scores = [e.scores.get(name) for e in evaluations]
        if any(s is not None and s.value is not None for s in scores):
            cells = ["" if s is None else f"{number(s.value)} {s.unit}".strip() for s in scores]
            table.add_row(label, *cells)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"all scores, figures and explanations: {out / 'report.html'}")


if __name__ == "__main__":
    main()
