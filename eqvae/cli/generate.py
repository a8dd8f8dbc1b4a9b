"""`eqvae generate`: images drawn from a trained model's prior, by kind and pose if asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import (
    arguments_or_help,
    one_sentence_errors,
    printer,
    stopped_by_ctrl_c,
)
from eqvae.cli.images_only import check_images
from eqvae.cli.options import Asked, Option, numbers, read_options, several, wholes
from eqvae.files import write_whole
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.data.batch import Batch
    from eqvae.explore.generation import Wish
    from eqvae.models.model import Model

USAGE = """\
Draw images from a trained model's prior.

Usage: {generate} ckpt=RUN_FOLDER_OR_CHECKPOINT [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint
  n=16                           how many images
  clusters=3,7                   only these components of the fitted prior; default: all, by their weights
  angle=30                       of every object, degrees counter-clockwise from upright; default: drawn
  shift=4,-2                     of every object, pixels to the right and up; default: drawn
  groups=10                      the gallery shows so many groups of components that explain the same images
  temperature=1.0                of the spread about the middle of a component: 0 shows the middle alone
  seed=0                         the same seed shows the same objects at every angle, shift and place
  walk=3,8                       also a walk between the contents of two test images, counted from 0, there
                                 and back at the pose of the first or at the angle and shift given
  format=npz,png,tiff            npz: arrays; png: a sheet, single images and a gallery of the components;
                                 tiff: one file of many pages
  pixels=float32                 of the TIFF: float32 (the numbers as they are) or uint8 (0 to 255)
  out=FOLDER                     where to write; default: <run folder>/generated

Writes samples.csv, a row for each image (its columns are described in eqvae/explore/sample_files.py),
samples.npz, samples.png, images/, gallery.png, samples.tiff, walk.png, walk.gif and config.yaml. Clusters,
temperatures and, but for model=pose, angles need a fitted prior, which training leaves unless it was told
prior=normal; {fit_prior} fits one later."""
OWN = {
    "n": Option("16", least=1),
    "clusters": Option(parse=wholes("numbers of components, joined by commas, as in 3,7")),
    "groups": Option(least=1),
    "angle": Option(parse=numbers("a number of degrees", 1)),
    "shift": Option(parse=numbers("two numbers of pixels x,y, as in 4,-2", 2)),
    "temperature": Option("1.0", parse=numbers("a number of at least 0", 1)),
    "seed": Option("0", least=0),
    "walk": Option(parse=wholes("two numbers of test images, as in 3,8", 2)),
    "format": Option("npz,png,tiff", parse=several("npz", "png", "tiff")),
    "pixels": Option("float32", words=("float32", "uint8")),
    "out": Option(),
}


@dataclass(frozen=True)
class Order:
    """What is to be written, and of what.

    Attributes:
        model: in eval mode.
        wish: what to draw.
        ends: the two images of a walk; None for no walk.
        options: of the command.
        out: folder, made.
    """

    model: "Model"
    wish: "Wish"
    ends: "Batch | None"
    options: dict[str, Any]
    out: Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        order = _order(read_options(arguments, OWN))
    with stopped_by_ctrl_c(f"what is in {order.out} may be incomplete"):
        _write(order)


def _order(asked: Asked) -> Order:
    """Everything loaded and checked, and the folder made: what follows is work."""
    options, walk = asked.options, asked.options["walk"]
    if asked.overrides and walk is None:
        raise ValueError(
            f"data keys choose the test images of walk=I,J; got {asked.overrides[0]!r} without a walk."
        )
    angle, shift = options["angle"], options["shift"]
    (temperature,) = options["temperature"]
    from eqvae.explore.generation import Wish
    from eqvae.training.checkpoint import load_vae
    from eqvae.training.runs import run_folder, subject_of

    wish = Wish(
        n=options["n"],
        components=options["clusters"] or (),
        angle=None if angle is None else math.radians(*angle),
        shift=shift,
        temperature=temperature,
        seed=options["seed"],
    )
    checkpoint, ends = Path(asked.checkpoints[0]), None
    model = load_vae(checkpoint)
    check_images(model, "generate")
    wish.check(model)
    _check_groups(model, options)
    if walk is not None:
        test = subject_of(checkpoint, asked.overrides).data.test
        if max(walk) >= len(test):
            raise ValueError(
                f"walk must name two of the {len(test)} test images, from 0 to {len(test) - 1}; got "
                f"{max(walk)}."
            )
        ends = test[list(walk)]
    out = Path(options["out"]) if options["out"] else run_folder(checkpoint) / "generated"
    return Order(model, wish, ends, options, _folder(out, checkpoint, asked))


def _check_groups(model: "Model", options: dict[str, Any]) -> None:
    from eqvae.explore.generation import is_fitted

    groups = options["groups"]
    if groups is None:
        return
    if options["clusters"]:
        raise ValueError("groups and clusters exclude each other: the gallery shows one of them.")
    if not is_fitted(model.prior):
        raise ValueError(
            "groups needs a fitted prior, which this model lacks. Fit one with scripts/fit_prior.py."
        )
    if not model.prior.knows_kinds(groups):
        raise ValueError(
            f"groups must be at most the {len(model.prior.weights)} components of the fitted prior; got "
            f"{groups}."
        )


def _folder(out: Path, checkpoint: Path, asked: Asked) -> Path:
    """The folder to write to, made; that it can be written shows before the work starts."""
    from omegaconf import OmegaConf

    out.mkdir(parents=True, exist_ok=True)
    said = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asked.options.items()
        if key != "out"
    }
    about = {"ckpt": str(checkpoint), **said}
    write_whole(out / "config.yaml", OmegaConf.to_yaml(about))
    return out


def _write(order: Order) -> None:
    from eqvae.explore.generation import generate, is_fitted
    from eqvae.explore.sample_files import write_arrays, write_pages, write_pictures, write_table

    console = printer()
    out, formats = order.out, order.options["format"]
    samples = generate(order.model, order.wish, watched)
    write_table(samples, out / "samples.csv")
    console.print(f"{len(samples)} images; what was drawn: {out / 'samples.csv'}")
    if "npz" in formats:
        write_arrays(samples, out / "samples.npz")
        console.print(f"arrays:     {out / 'samples.npz'}")
    if "png" in formats:
        write_pictures(samples, out)
        console.print(f"pictures:   {out / 'samples.png'}, each image in {out / 'images'}")
        if is_fitted(order.model.prior):
            console.print(f"components: {_gallery(order)}")
    if "tiff" in formats:
        write_pages(samples.images, out / "samples.tiff", order.options["pixels"])
        console.print(f"pages:      {out / 'samples.tiff'}")
    if order.ends is not None:
        console.print(f"walk:       {_walk(order)}, the same moving in walk.gif")


def _gallery(order: Order) -> Path:
    """A row of upright draws for each group or component that was asked for, or for the largest."""
    from eqvae.drawing.png import save_figure
    from eqvae.drawing.tiles import panel, stack
    from eqvae.explore.generation import gallery

    wish, count = order.wish, order.options["groups"]
    groups = [[k] for k in dict.fromkeys(wish.components)]
    if count is not None:
        groups = order.model.prior.members(count)
    rows = gallery(order.model, groups, temperature=wish.temperature, seed=wish.seed)
    of = "components" if count is None else "groups of components"
    title = f"{len(rows)} {of}, upright: number, share of the prior, draws"
    path = order.out / "gallery.png"
    save_figure(stack([panel(list(rows.items()), title)]), path)
    return path


def _walk(order: Order) -> Path:
    from eqvae.drawing.pictures import save_gif
    from eqvae.drawing.png import save_figure
    from eqvae.explore.walk import content_walk, walk_frames, walk_picture

    wish, (first, second) = order.wish, order.options["walk"]
    walk = content_walk(order.model, order.ends, angle=wish.angle, shift=wish.shift)
    title = f"from test image {first} to test image {second}: content changes, the pose stays"
    path = order.out / "walk.png"
    save_figure(walk_picture(walk, title), path)
    save_gif(walk_frames(walk), order.out / "walk.gif")
    return path
