"""`eqvae subset`: the images of some clusters or cuts, as a table or list for other tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import arguments_or_help, one_sentence_errors, printer
from eqvae.cli.embed import FORMATS
from eqvae.cli.options import Option, numbers, read_options, several, unbracketed, wholes
from eqvae.files import user_path, write_whole
from eqvae.overrides import values

if TYPE_CHECKING:
    from eqvae.embedding.write import Origin

USAGE = """\
Choose images by what was said of them, and write those alone, for the tools that go on with them.

Usage: {subset} ckpt=RUN_FOLDER_OR_CHECKPOINT | table=FOLDER [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's embedding folder, which {embed} has written
  table=FOLDER                   where an embedding.parquet lies, or that file
  clusters=1,3                   the images of these clusters
  min_probability=0.9            that belong to their cluster with at least this probability
  where=x_pixels>-3,x_pixels<3   where all of these hold, for any columns of the table: > < >= <= == !=, with
                                 numbers, true and false, or words; "a>1 and b<2" is the same as a>1,b<2
  rows=rows.txt                  that this file lists, a line each, as write=list and the page of {explore}
                                 write it: names, or numbers of rows
  write=list                     one or several, as in write=[star,list]:
                                 list                the images' names, or the numbers of their rows
                                 star, cs            the file that the particles came from, these rows alone
                                 csv, parquet, h5ad, fits
                                                     the embedding, these rows alone
  data.source.path=..., .root=..., .passthrough=...
                                 where the particles' files are now, if they have moved
  out=FOLDER                     where to write; default: subset, in the folder of the embedding"""
MOVED = tuple(f"data.source.{key}" for key in ("path", "root", "passthrough"))
OF_PARTICLES = ("star", "cs")


def read_where(key: str, text: str) -> Any:
    """Cuts; torch is imported with them."""
    from eqvae.embedding.subset import read_cuts

    return read_cuts(key, text)


def read_clusters(key: str, text: str) -> tuple[int, ...]:
    """Whole numbers, in brackets or not."""
    return wholes("numbers of clusters, such as 1,3")(key, unbracketed(text).replace(" ", ""))


def read_share(key: str, text: str) -> float:
    """A number from 0 to 1."""
    (share,) = numbers("a number from 0 to 1", 1)(key, text)
    if not 0 <= share <= 1:
        raise ValueError(f"{key} must be a number from 0 to 1; got {text!r}.")
    return share


def read_rows(key: str, text: str) -> tuple[str, ...]:
    """The lines of a file."""
    path = user_path(text)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise ValueError(f"{key} must be a file that lists images; there is no {path}.") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"{key} must be a list in text, a line for each image; {path} is not."
        ) from None
    found = tuple(line for line in lines if line)
    if not found:
        raise ValueError(f"{key} must list at least one image; {path} has no line.")
    return found


OWN = {
    "table": Option(),
    "clusters": Option(parse=read_clusters),
    "min_probability": Option(parse=read_share),
    "where": Option(parse=read_where),
    "rows": Option(parse=read_rows),
    "write": Option("list", parse=several(*FORMATS)),
    "out": Option(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        asked = read_options(arguments, OWN, optional=True)
        folder = _folder(asked.checkpoints, asked.options["table"])
        choice = {
            key: asked.options[key] for key in ("clusters", "min_probability", "where", "rows")
        }
        choice = {key: value for key, value in choice.items() if value is not None}
        if not choice:
            raise ValueError("say which images: clusters=, min_probability=, where= or rows=.")
        _subset(folder, choice, asked.options, asked.overrides)


def _folder(checkpoints: Sequence[str], table: str | None) -> Path:
    """Where the embedding lies."""
    if bool(checkpoints) == bool(table):
        raise ValueError("give either ckpt=RUN_FOLDER or table=FOLDER, the embedding to choose of.")
    from eqvae.embedding.files import PARQUET
    from eqvae.training.runs import run_folder

    folder = run_folder(checkpoints[0]) / "embedding" if checkpoints else Path(table)
    folder = folder.parent if folder.name == PARQUET else folder
    if not (folder / PARQUET).is_file():
        raise FileNotFoundError(f"there is no {folder / PARQUET}: embed the images first.")
    return folder


def _subset(
    folder: Path, choice: dict[str, Any], options: dict[str, Any], overrides: Sequence[str]
) -> None:
    from eqvae.embedding import Embedding
    from eqvae.embedding.subset import subset
    from eqvae.embedding.write import checked_formats

    origin = _origin(folder, overrides, bool(set(OF_PARTICLES) & set(options["write"])))
    formats = checked_formats(options["write"], origin)
    whole = Embedding.read(folder)
    some = subset(whole, **choice)
    out = Path(options["out"]) if options["out"] else folder / "subset"
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() == folder.resolve():
        raise ValueError("out must be another folder than that of the embedding, which stays.")
    console = printer()
    console.print(f"{len(some):,} of {len(whole):,} images")
    for form in formats:
        form.write(some, origin, out / form.file)
        console.print(f"{form.name + ':':<9}{out / form.file}")
    _keep_config(folder, out, overrides)


def _origin(folder: Path, overrides: Sequence[str], needed: bool) -> "Origin":
    """Where the images came from, as the embedding's config.yaml says; nowhere, if no format asks."""
    from eqvae.config import build
    from eqvae.embedding.files import about_of
    from eqvae.embedding.write import Origin

    moved = _moved(overrides)
    if not needed:
        return Origin(None, None, 0, 0)
    config = about_of(folder)
    if not {"data", "image"} <= set(config):
        raise ValueError(
            f"{folder} does not say in config.yaml where its images came from: embed them again."
        )
    source = {**config["data"]["source"], **moved}
    return Origin(
        build(source, path="data.source"),
        build(config["data"]["pose"], path="data.pose"),
        **config["image"],
    )


def _moved(overrides: Sequence[str]) -> dict[str, Any]:
    given = values(overrides)
    other = [key for key in given if key not in MOVED]
    if other:
        raise ValueError(f"{other[0]} can't change what was embedded; only {', '.join(MOVED)} may.")
    return {key.removeprefix("data.source."): value for key, value in given.items()}


def _keep_config(folder: Path, out: Path, overrides: Sequence[str]) -> None:
    """Of a subset another can be taken: config.yaml goes with it."""
    from omegaconf import OmegaConf

    from eqvae.embedding.files import about_of

    config = about_of(folder)
    if config:
        config["data"]["source"].update(_moved(overrides))
        write_whole(out / "config.yaml", OmegaConf.to_yaml(config))
