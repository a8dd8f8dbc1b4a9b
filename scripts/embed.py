"""Say of each image what it shows, where, and which way it points; and average the images of each kind.

Usage: python scripts/embed.py ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own images
  ckpt=... data=folder data.source.path=images
                                 your images, of the size that the model was trained on
  split=all                      all, train, val or test
  clusters=10                    how many kinds to look for; default: the components of a learned mixture
                                 prior (model/prior=mixture), or 10 without one; 0 for none
  averages=true                  write class averages, too (averages=false: don't)
  batch=250                      images at once
  seed=0                         of the clustering
  out=FOLDER                     where to write; default: <run folder>/embedding

Writes embedding.parquet and embedding.csv, a row for each image (their columns are described in
eqvae/embedding/table.py), averages.png, averages.npz, frc.png and config.yaml. Ctrl-C keeps the rows that are
done. W&B hears nothing of it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eqvae.data import ImageDataModule
    from eqvae.training.runs import Subject

OWN = {
    "split": "all",
    "out": None,
    "clusters": None,
    "batch": "250",
    "averages": "true",
    "seed": "0",
}
CHOICES = {"split": ("all", "train", "val", "test"), "averages": ("true", "false")}
LEAST = {"clusters": 0, "batch": 1, "seed": 0}
INTERRUPTED = 130  # exit code


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) == 1:
        print(__doc__.strip())
        return
    from eqvae.cli.console import one_sentence_errors

    with one_sentence_errors():
        checkpoint, options, overrides = _options(sys.argv[1:])
        from eqvae.training.runs import subject_of

        subject = subject_of(checkpoint, overrides)
        out = _folder(subject, options)
    batches = Batches(subject.data, options["split"], options["batch"])
    if not _embed(subject, batches, options, out):
        sys.exit(INTERRUPTED)


class Batches:
    """Batches of a split in the order of the data, as often as they are asked for."""

    def __init__(self, data: "ImageDataModule", split: str, size: int):
        import torch

        self.parts = [
            getattr(data, s) for s in (CHOICES["split"][1:] if split == "all" else [split])
        ]
        self.names, self.size = data.images.names, size
        index = torch.cat([part.indices for part in self.parts])
        part = torch.cat([torch.full_like(p.indices, i) for i, p in enumerate(self.parts)])
        row = torch.cat([torch.arange(len(p)) for p in self.parts])
        self.order = torch.stack([index, part, row], dim=1)[index.argsort()]

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __iter__(self) -> "Iterator[dict[str, Any]]":
        for rows in self.order.split(self.size):
            found: dict[str, Any] = {}
            for i, part in enumerate(self.parts):
                here = rows[:, 1] == i
                for key, values in part[rows[here, 2]].items():
                    whole = found.setdefault(key, values.new_empty(len(rows), *values.shape[1:]))
                    whole[here] = values
            if self.names is not None:
                found["name"] = [self.names[i] for i in rows[:, 0].tolist()]
            yield found


def _options(arguments: list[str]) -> tuple[str, dict[str, Any], list[str]]:
    """The checkpoint, this script's own options, and what concerns the data."""
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
    if len(checkpoints) != 1:
        raise ValueError(
            f"ckpt must name one run folder or checkpoint, as in ckpt=runs/NAME/DATE; "
            f"got {len(checkpoints)}."
        )
    for key, allowed in CHOICES.items():
        if options[key] not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}; got {options[key]!r}.")
    for key, least in LEAST.items():
        value = options[key]
        if value is not None and not (value.isdecimal() and int(value) >= least):
            raise ValueError(f"{key} must be a whole number >= {least}; got {value!r}.")
        options[key] = None if value is None else int(value)
    return checkpoints[0], options, overrides


def _folder(subject: "Subject", options: dict[str, Any]) -> Path:
    """The folder to write to, made; that it can be written shows before the work starts."""
    from omegaconf import OmegaConf

    out = Path(options["out"]) if options["out"] else subject.folder / "embedding"
    out.mkdir(parents=True, exist_ok=True)
    settings = {key: options[key] for key in ("split", "clusters", "seed")}
    about = {"ckpt": str(subject.checkpoint), "data": subject.data_config, **settings}
    OmegaConf.save(OmegaConf.create(about), out / "config.yaml")
    return out


def _embed(subject: "Subject", batches: Batches, options: dict[str, Any], out: Path) -> bool:
    """Write everything; False if it was stopped."""
    import time

    from rich.console import Console

    from eqvae.cli.console import complain, watch
    from eqvae.embedding.averages import class_averages
    from eqvae.embedding.table import PARQUET, write_embedding

    console, begin = Console(highlight=False, soft_wrap=True), time.monotonic()
    how = {"batch": options["batch"], "seed": options["seed"], "watch": watch}
    before = _changed(out / PARQUET)
    try:
        write_embedding(subject.vae, batches, out, clusters=options["clusters"], **how)
        seconds = time.monotonic() - begin
        averaged = options["averages"] == "true" and options["clusters"] != 0
        if averaged:
            averages = class_averages(subject.vae, batches, out, **how)
            averages.write(out)
    except KeyboardInterrupt:
        kept = _changed(out / PARQUET) != before
        complain(f"stopped; {f'the rows done are in {out}' if kept else 'nothing was written'}")
        return False
    count = len(batches.order)
    console.print(f"{count:,} images, {count / max(seconds, 1e-9):,.0f} a second")
    console.print(f"table:          {out / PARQUET}, and the same as .csv")
    if averaged:
        console.print(f"class averages: {out / 'averages.png'}, as arrays in averages.npz")
        console.print(f"how sharp:      {out / 'frc.png'}")
    return True


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


if __name__ == "__main__":
    main()
