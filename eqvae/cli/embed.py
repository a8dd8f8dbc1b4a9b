"""`eqvae embed`: a table of what each image shows, where, and which way it points; and class averages."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import (
    INTERRUPTED,
    announce,
    arguments_or_help,
    complain,
    one_sentence_errors,
    printer,
)
from eqvae.cli.images_only import check_images
from eqvae.cli.options import SWITCH, Option, read_options, several
from eqvae.files import user_path, write_manifest, write_whole
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.embedding.dataset import InOrder
    from eqvae.embedding.write import Origin, TableFormat
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
  write=csv                      files beside embedding.parquet, one word or several, as in write=[csv,star]:
                                 csv   embedding.csv, the same as text
                                 star  particles.star with RELION's angles, origins and classes, every other
                                       column as it is: for data=star
                                 cs    particles.cs, the same for cryoSPARC's alignments2D: for data=cs
                                 h5ad  embedding.h5ad, an AnnData: content in X and obsm, the rest in obs
                                 fits  embedding.fits, a binary table with units
                                 list  rows.txt, the images' names or numbers, one a line
                                 none  no other file
  batch=250                      images at once
  device=auto                    cpu, cuda, or cuda where there is one
  seed=0                         of the clustering
  out=FOLDER                     where to write; default: <run folder>/embedding

Writes embedding.parquet, a row for each image (its columns are described in eqvae/embedding/table.py), which
the other commands read; the files of write=; averages.png, .npz, .mrcs and .tiff, frc.png and config.yaml.
Ctrl-C keeps the rows that are done, and the same command goes on behind them, also after it was killed. W&B
hears nothing of it."""
FORMATS = ("parquet", "csv", "star", "cs", "h5ad", "fits", "list")  # of eqvae.embedding.write
OWN = {
    "split": Option("all", words=("all", "train", "val", "test")),
    "out": Option(),
    "clusters": Option(least=0),
    "write": Option("csv", parse=several(*FORMATS, "none")),
    "batch": Option("250", least=1),
    "device": Option("auto", words=("auto", "cpu", "cuda")),
    "averages": Option("true", words=SWITCH),
    "seed": Option("0", least=0),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        asked = read_options(arguments, OWN)
        from eqvae.training.runs import subject_of

        subject = subject_of(asked.checkpoints[0], asked.overrides)
        check_images(subject.model, "embed")
        subject.model.to(device_of(asked.options["device"]))
        origin = origin_of(subject)
        formats = _formats(asked.options["write"], origin)
        out = _folder(subject, asked.options)
        _check_source_stays(subject, [out / form.file for form in formats])
    announce(subject.data)
    from eqvae.embedding.dataset import InOrder

    batches = InOrder(subject.data, asked.options["split"], asked.options["batch"])
    with one_sentence_errors():
        finished = _embed(subject, batches, asked.options, formats, origin, out)
    if not finished:
        sys.exit(INTERRUPTED)


def device_of(wanted: str) -> str:
    """Where the model works."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ValueError("device=cuda needs a GPU that torch can use, and there is none.")
    return ("cuda" if there else "cpu") if wanted == "auto" else wanted


def origin_of(subject: "Subject") -> "Origin":
    """Where the images of a subject came from."""
    from eqvae.embedding.write import Origin

    data = subject.data
    _, height, width = data.source_shape
    side = width if height == width else None
    return Origin(data.source, data.pose, side, data.side, data.images.images.shape[-1])


def _formats(words: Sequence[str], origin: "Origin") -> list["TableFormat"]:
    """The formats to write beside the Parquet file, refused before the work starts."""
    from eqvae.embedding.write import checked_formats

    if "none" in words and len(words) > 1:
        raise ValueError(f"write=none stands alone; got {','.join(words)}.")
    return checked_formats([word for word in words if word not in ("none", "parquet")], origin)


def _folder(subject: "Subject", options: dict[str, Any]) -> Path:
    """The folder to write to, made; that it can be written shows before the work starts."""
    out = Path(options["out"]) if options["out"] else subject.folder / "embedding"
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / ".writable", "")
    (out / ".writable").unlink()
    return out


def about(subject: "Subject", origin: "Origin", options: dict[str, Any]) -> dict[str, Any]:
    """What the rows are of."""
    settings = {key: options[key] for key in ("split", "clusters", "seed")}
    source = {**subject.data_config["source"], **subject.data.images.settings}
    return {
        "ckpt": str(subject.checkpoint),
        "data": {**subject.data_config, "source": source},
        "image": {"size": origin.size, "shown": origin.shown, "canvas": origin.canvas},
        **settings,
    }


def _embed(
    subject: "Subject",
    batches: "InOrder",
    options: dict[str, Any],
    formats: Sequence["TableFormat"],
    origin: "Origin",
    out: Path,
) -> bool:
    """Write everything; False if it was stopped."""
    import time

    from eqvae.embedding import write_embedding
    from eqvae.embedding.files import CONFIG, PARQUET, PART

    console, begin = printer(), time.monotonic()
    how = {"batch": options["batch"], "seed": options["seed"], "watch": watched}
    known = {"key": _key(subject, options), "about": about(subject, origin, options), "csv": False}
    clusters = options["clusters"]
    lines, files, seconds = [], [PARQUET, CONFIG], None
    try:
        write_embedding(
            subject.model, batches, out, clusters=clusters, **batches.known, **known, **how
        )
        seconds = time.monotonic() - begin
        for form in formats:
            form.write(out, origin, out / form.file)
            files.append(form.file)
        if options["averages"] == "true" and clusters != 0:
            lines, made = _average(subject, batches, out, how)
            files += made
        write_manifest(out, files)
    except KeyboardInterrupt:
        if seconds is None:
            left = f"the rows that are done stay in {out / PART}, and the same command goes on behind them"
        else:
            left = f"the table is whole in {out}, not all files that are made of it"
        complain(f"stopped; {left}.")
        return False
    console.print(f"{batches.count:,} images, {batches.count / max(seconds, 1e-9):,.0f} a second")
    console.print(f"table:          {out / PARQUET}")
    for form in formats:
        console.print(f"{'as ' + form.name + ':':<16}{out / form.file}")
    for line in lines:
        console.print(line)
    return True


def _key(subject: "Subject", options: dict[str, Any]) -> str:
    """What the rows depend on: weights, images and how many are read at once."""
    import hashlib
    import json

    source = {**subject.data_config["source"], **subject.data.images.settings}
    changed = _changed(Path(source.get("path") or ""))
    images = [{**subject.data_config, "source": source}, len(subject.data.images), changed]
    asked = [*images, options["split"], options["batch"], *sorted(subject.data.images.columns)]
    text = json.dumps(asked, sort_keys=True, default=str)
    found = hashlib.sha256(text.encode())
    for name, value in subject.model.state_dict().items():
        found.update(name.encode() + value.cpu().numpy().tobytes())
    return found.hexdigest()


def _average(
    subject: "Subject", batches: "InOrder", out: Path, how: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """Write class averages; returns lines that say where they are, and the names of their files."""
    from eqvae.embedding import class_averages, write_averages, write_stacks
    from eqvae.embedding.stacks import angstrom_of

    averages = class_averages(subject.model, batches, out, **how)
    write_averages(averages, out)
    left_out = write_stacks(averages, out, angstrom_of(subject.data.source, subject.data.images))
    stacks = [n for n in ("averages.mrcs", "averages.tiff") if not any(n in s for s in left_out)]
    lines = [
        f"class averages: {out / 'averages.png'}, as arrays in {', '.join(['averages.npz', *stacks])}",
        *left_out,
        f"how sharp:      {out / 'frc.png'}",
    ]
    return lines, ["averages.png", "averages.npz", "frc.png", *stacks]


def _check_source_stays(subject: "Subject", files: Sequence[Path]) -> None:
    """Refuse to write over the file that the images come from."""
    source = getattr(subject.data.source, "path", None)
    for file in files if source else ():
        if file.resolve() == user_path(source).resolve():
            raise ValueError(f"out must be another folder: {file} is where the images come from.")


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
