"""`eqvae export`: a trained model as graphs that need neither eqvae nor escnn."""

import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from eqvae.cli.console import (
    arguments_or_help,
    complain,
    one_sentence_errors,
    printer,
    stopped_by_ctrl_c,
)
from eqvae.cli.images_only import check_images
from eqvae.cli.options import Asked, Option, read_options, several
from eqvae.watch import watched

USAGE = """\
Take a trained model elsewhere: graphs that need neither eqvae nor escnn.

Usage: {export} ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, compared on the run's own test images
  ckpt=... data=mnist5k          a checkpoint without its folder: say which images to compare on
  format=onnx,torch              onnx: for onnxruntime; torch: for torch.export.load
  opset=20                       of ONNX, from 20 on
  out=FOLDER                     a new folder or an earlier export; default: <run folder>/exported

Writes encode, decode, act and read as .onnx and .pt2 files, each for any number of images, model.json, which
says what goes in and comes out, and example.py, which needs numpy and onnxruntime alone. What was written is
loaded and compared with the model on test images and noise: beyond a difference of 1e-5 of the output's scale
nothing is left and the exit code is 1. A minute; three with model=pose or a fitted prior.
How to run them: docs/export.md."""
OWN = {
    "format": Option("onnx,torch", parse=several("onnx", "torch")),
    "opset": Option("20", least=20),
    "out": Option(),
}
DIFFERENT = 1  # exit code
NEEDED = ("onnx", "onnxscript", "onnxruntime")


def main(arguments: Sequence[str] | None = None) -> None:
    """Export what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with stopped_by_ctrl_c("nothing is written"), one_sentence_errors():
        _run(read_options(arguments, OWN))


def _run(asked: Asked) -> None:
    formats, opset = asked.options["format"], asked.options["opset"]
    if "onnx" in formats:
        _check_packages(opset)
    from eqvae.export import DifferenceError, export_model
    from eqvae.training.runs import subject_of

    subject = subject_of(asked.checkpoints[0], asked.overrides)
    check_images(subject.model, "export")
    out = Path(asked.options["out"] or subject.folder / "exported")
    begin = time.monotonic()
    try:
        found = export_model(
            subject.model,
            subject.data.test[:250].image,
            out,
            formats,
            opset=opset,
            source=str(subject.checkpoint),
            watch=watched,
        )
    except DifferenceError as error:
        complain(f"error: {error}")
        sys.exit(DIFFERENT)
    console = printer()
    for part in found:
        kilobytes, compared = part.path.stat().st_size / 1000, part.comparison
        console.print(
            f"{part.path.name:<12}{kilobytes:7.0f} kB   difference {compared.difference:.1e} of "
            f"{compared.images} images"
            + f", {compared.undecided} with several poses left out"
            * bool(compared.undecided)
        )
    console.print(f"{out}, {time.monotonic() - begin:.0f} s; what goes in and out: model.json")


def _check_packages(opset: int) -> None:
    """Refuse what can't be written, before any work.

    Raises:
        ImportError: if a package is missing.
        ValueError: if it knows no such opset.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f'format=onnx needs {", ".join(missing)}: pip install "eqvae[export]", or take format=torch.'
        )
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ValueError(f"opset must be from 20 to {newest}, which this onnx knows; got {opset}.")
