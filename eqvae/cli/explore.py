"""`eqvae explore`: a page to look at images, and to turn, shift and change what a model makes of them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqvae.cli.console import (
    announce,
    arguments_or_help,
    complain,
    one_sentence_errors,
    printer,
    spelled,
    stopped_by_ctrl_c,
)
from eqvae.cli.images_only import check_images
from eqvae.cli.options import Asked, Option, read_options
from eqvae.overrides import expanded
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.explore.page import Page
    from eqvae.training.runs import Subject

USAGE = """\
Look at images as a model sees them: a page that opens offline in any browser.

Usage: {explore} ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own images
  ckpt=... data=folder data.source.path=images
                                 your images, of the size that the model was trained on
  split=all                      all, train, val or test
  most=10000                     images; of more, so many are drawn at random
  map=pca                        pca: the two directions in which content varies most; umap: neighbours stay
                                 neighbours, with pip install "eqvae[umap]"
  table=FOLDER                   what {embed} has written of these images with this model; default: embed anew
  clusters=10                    how many kinds to look for, as in {embed}
  runtime=FILE.tgz               onnxruntime-web, which decodes in the page. By default it is fetched from
                                 npm's registry, 33 MB, once, and kept in ~/.cache/eqvae; none: don't decode
  batch=250                      images at once
  device=auto                    to embed on: cpu, cuda, or cuda where there is one
  seed=0                         of the draw, the clusters and umap
  out=FOLDER                     a new folder or an earlier page; default: <run folder>/explorer

Writes index.html and what it needs beside it: a map of content to pan and zoom, coloured by any column of
{embed}; thumbnails as they are and upright; sliders that turn, shift and change the object that one has
clicked; a lasso, and lists, CSV and STAR files of what it holds, or the command of
{subset} that writes others. Copy the whole folder to give it away."""
NONE = "none"


def read_runtime(key: str, text: str) -> str:
    """A path, or none."""
    return text if text == NONE else expanded(text)


OWN = {
    "split": Option("all", words=("all", "train", "val", "test")),
    "most": Option("10000", least=1),
    "map": Option("pca", words=("pca", "umap")),
    "table": Option(),
    "clusters": Option(least=0),
    "runtime": Option(parse=read_runtime),
    "batch": Option("250", least=1),
    "device": Option("auto", words=("auto", "cpu", "cuda")),
    "seed": Option("0", least=0),
    "out": Option(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page that the arguments ask for, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with stopped_by_ctrl_c("nothing is written"), one_sentence_errors():
        _run(read_options(arguments, OWN))


def _run(asked: Asked) -> None:
    from eqvae.explore.page import check_folder, check_map
    from eqvae.training.runs import subject_of

    begin = time.monotonic()
    check_map(asked.options["map"])
    subject = subject_of(asked.checkpoints[0], asked.overrides)
    check_images(subject.model, "explore")
    out = Path(asked.options["out"] or subject.folder / "explorer")
    check_folder(out)
    announce(subject.data)
    page = _page(subject, asked, _runtime(asked.options["runtime"]), out)
    for line in page.said:
        complain(line)
    megabytes = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6
    printer().print(f"{page.index}, {megabytes:.1f} MB, {time.monotonic() - begin:.0f} s")


def _page(subject: "Subject", asked: Asked, runtime: dict[str, bytes] | str, out: Path) -> "Page":
    from eqvae.cli.embed import about, device_of, origin_of
    from eqvae.embedding import Embedding, embed
    from eqvae.embedding.dataset import InOrder, rows_of
    from eqvae.explore.page import Subsets, write_page

    options = asked.options
    seed, batch = options["seed"], options["batch"]
    images = InOrder(subject.data, options["split"], batch, most=options["most"], seed=seed)
    if options["table"] is not None:
        embedding = rows_of(Embedding.read(options["table"]), images)
    else:
        how = {"clusters": options["clusters"], "batch": batch, "seed": seed, "watch": watched}
        subject.model.to(device_of(options["device"]))
        embedding = embed(subject.model, images, **images.known, **how)
        subject.model.cpu()
    origin = origin_of(subject)
    return write_page(
        subject.model,
        images,
        embedding,
        origin,
        out,
        title=subject.name,
        kind=options["map"],
        runtime=runtime,
        subsets=Subsets(spelled("subset"), about(subject, origin, options)),
        seed=seed,
    )


def _runtime(where: str | None) -> dict[str, bytes] | str:
    """What runs a decoder in the page, or why there is none."""
    from eqvae.explore.page.runtime import URL, runtime_files

    if where == NONE:
        return "runtime=none."
    if where is not None:
        return runtime_files(where)
    try:
        return runtime_files(watch=watched)
    except OSError as error:
        return (
            f"onnxruntime-web can't be fetched ({error}). Fetch {URL} elsewhere and give "
            "runtime=FILE.tgz."
        )
