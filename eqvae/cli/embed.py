"""`eqvae embed`: a table of what each image shows, where, and which way it points; and class averages."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import (
    announce,
    arguments_or_help,
    complain,
    one_sentence_errors,
    printer,
)
from eqvae.cli.options import SWITCH, Option, read_options
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.embedding.dataset import InOrder
    from eqvae.training.runs import Subject

USAGE = """\
Say of each image what it shows, where, and which way it points; and average the images of each kind.

Usage: {embed} ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own images
  ckpt=... data=folder data.source.path=images
                                 your images, of the size that the model was trained on
  split=all                      all, train, val or test
  clusters=10                    how many kinds to look for; default: the components of a learned mixture
                                 prior (model/prior=mixture), or 10 without one; 0 for none
  averages=true                  write class averages, too (averages=false: don't)
  write=star                     also particles.star, with RELION's columns for angles, origins and classes:
                                 for data=star; every other column stays as it is
  batch=250                      images at once
  seed=0                         of the clustering
  out=FOLDER                     where to write; default: <run folder>/embedding

Writes embedding.parquet and embedding.csv, a row for each image (their columns are described in
eqvae/embedding/table.py), averages.png, averages.npz, frc.png and config.yaml. Ctrl-C keeps the rows that are
done. W&B hears nothing of it."""
OWN = {
    "split": Option("all", words=("all", "train", "val", "test")),
    "out": Option(),
    "clusters": Option(least=0),
    "write": Option("none", words=("none", "star")),
    "batch": Option("250", least=1),
    "averages": Option("true", words=SWITCH),
    "seed": Option("0", least=0),
}
INTERRUPTED = 130  # exit code


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        asked = read_options(arguments, OWN)
        from eqvae.training.runs import subject_of

        subject = subject_of(asked.checkpoints[0], asked.overrides)
        _check_write(subject, asked.options["write"])
        out = _folder(subject, asked.options)
    announce(subject.data)
    from eqvae.embedding.dataset import InOrder

    batches = InOrder(subject.data, asked.options["split"], asked.options["batch"])
    if not _embed(subject, batches, asked.options, out):
        sys.exit(INTERRUPTED)


def _check_write(subject: "Subject", write: str) -> None:
    """Refuse a STAR file of other images than those of one."""
    if write == "none":
        return
    from eqvae.data import Star, Upright

    if not isinstance(subject.data.source, Star):
        raise ValueError("write=star needs the particles of a STAR file: data=star.")
    if not isinstance(subject.data.pose, Upright):
        raise ValueError(
            "write=star needs images as the file has them, and these are moved. Add data/pose=upright."
        )


def _folder(subject: "Subject", options: dict[str, Any]) -> Path:
    """The folder to write to, made; that it can be written shows before the work starts."""
    from omegaconf import OmegaConf

    out = Path(options["out"]) if options["out"] else subject.folder / "embedding"
    out.mkdir(parents=True, exist_ok=True)
    settings = {key: options[key] for key in ("split", "clusters", "seed")}
    about = {"ckpt": str(subject.checkpoint), "data": subject.data_config, **settings}
    OmegaConf.save(OmegaConf.create(about), out / "config.yaml")
    return out


def _embed(subject: "Subject", batches: "InOrder", options: dict[str, Any], out: Path) -> bool:
    """Write everything; False if it was stopped."""
    import time

    from eqvae.embedding import class_averages, write_averages, write_embedding
    from eqvae.embedding.files import PARQUET
    from eqvae.embedding.star import write_star
    from eqvae.embedding.table import Embedding

    console, begin = printer(), time.monotonic()
    model, how = (
        subject.model,
        {"batch": options["batch"], "seed": options["seed"], "watch": watched},
    )
    before, clusters = _changed(out / PARQUET), options["clusters"]
    averaged = options["averages"] == "true" and clusters != 0
    try:
        known = {"names": batches.names, "classes": batches.classes}
        write_embedding(model, batches, out, clusters=clusters, **known, **how)
        seconds = time.monotonic() - begin
        if options["write"] == "star":
            size = subject.data.images.images.shape[-1]
            star = write_star(
                Embedding.read(out), subject.data.source, size, out / "particles.star"
            )
            console.print(f"for RELION:     {star}")
        if averaged:
            write_averages(class_averages(model, batches, out, **how), out)
    except KeyboardInterrupt:
        kept = _changed(out / PARQUET) != before
        complain(f"stopped; {f'the rows done are in {out}' if kept else 'nothing was written'}")
        return False
    console.print(f"{batches.count:,} images, {batches.count / max(seconds, 1e-9):,.0f} a second")
    console.print(f"table:          {out / PARQUET}, and the same as .csv")
    if averaged:
        console.print(f"class averages: {out / 'averages.png'}, as arrays in averages.npz")
        console.print(f"how sharp:      {out / 'frc.png'}")
    return True


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
