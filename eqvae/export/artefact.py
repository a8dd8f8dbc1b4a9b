"""Write a model's functions, load what was written, and compare it with the original.

A folder holds encode, decode, act and read as .onnx or .pt2 files, model.json, which says what goes in and
comes out and by how much each function differs from the original, see `eqvae.export.check`, and example.py,
which runs them. It is written under another name and renamed when all of them agree.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import eqvae
from eqvae.export.check import SIZES, TOLERANCE, Comparison, DifferenceError, compared
from eqvae.export.functions import Function, Value, functions_of
from eqvae.export.graphs import OPSET, runner, traced, write_onnx, write_torch
from eqvae.files import written_folder
from eqvae.models.model import Model
from eqvae.watch import Watch, unwatched

SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
DESCRIPTION, EXAMPLE = "model.json", "example.py"
_CONVENTIONS = {
    "motion": "(g1 g2) x = g1 (g2 x); reflection first, then rotation, then shift",
    "reflection": "0 or 1, of y to -y",
    "angle": "radians, counter-clockwise as seen on screen, modulo 2 pi",
    "position": "pixels from the image centre, x to the right, y up",
    "images": "(B, C, H, H), rows from top to bottom",
}


@dataclass(frozen=True)
class Exported:
    """One function in one format.

    Attributes:
        path: of its file.
        comparison: with the original.
    """

    path: Path
    comparison: Comparison


def export_model(
    model: Model,
    images: Tensor,
    folder: str | Path,
    formats: Sequence[str] = ("onnx", "torch"),
    *,
    opset: int = OPSET,
    source: str | None = None,
    watch: Watch = unwatched,
) -> list[Exported]:
    """Write encoder, decoder, action and reading of a model, and check what was written.

    Args:
        model: in eval mode, on the CPU.
        images: some that it knows, (N, C, H, H), at least 8 to compare with.
        folder: to be made, or an earlier export, which is replaced.
        formats: "onnx", "torch" or both.
        opset: of ONNX.
        source: where the model comes from, such as its checkpoint.
        watch: wraps the functions with a progress bar.

    Raises:
        ValueError: if a part of the model can't be written as a graph, or the folder holds other things.
        DifferenceError: if a function differs from the original by more than 1e-5. Nothing is written then.
    """
    folder = Path(folder)
    check_folder(folder)
    functions = functions_of(model, images)
    with written_folder(folder) as part:
        found = _written(functions, images, part, formats, opset, watch)
        card = _card(model, functions, found, opset if "onnx" in formats else None, source)
        (part / DESCRIPTION).write_text(json.dumps(card, indent=2) + "\n")
        if "onnx" in formats:
            shutil.copyfile(Path(__file__).with_name(EXAMPLE), part / EXAMPLE)
    return [Exported(folder / e.path.name, e.comparison) for e in found]


def check_folder(folder: Path) -> None:
    """Refuse to replace what is no export.

    Raises:
        ValueError: if the folder is a file, or holds anything and no model.json.
    """
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not (folder / DESCRIPTION).is_file():
        raise ValueError(
            f"out must be a new folder or an earlier export, which is replaced; {folder} holds no "
            f"{DESCRIPTION}. Name another folder."
        )


def _written(
    functions: dict[str, Function],
    images: Tensor,
    folder: Path,
    formats: Sequence[str],
    opset: int,
    watch: Watch,
) -> list[Exported]:
    known, found = _values(functions, images), []
    for name, function in watch(functions.items(), "export"):
        program = traced(function)
        inputs = tuple(known[key] for key in function.inputs)
        for kind in formats:
            path = folder / f"{name}{SUFFIX[kind]}"
            if kind == "onnx":
                write_onnx(program, function, path, opset)
            else:
                write_torch(program, path)
            comparison = compared(runner(path), function, inputs)
            if not comparison.difference <= TOLERANCE:
                raise DifferenceError(
                    f"{path.name} differs from the model by {comparison.difference:.1e}, more than "
                    f"{TOLERANCE:g} of the output's scale: nothing is written."
                )
            found.append(Exported(path, comparison))
    return found


@torch.no_grad()
def _values(functions: dict[str, Function], images: Tensor) -> dict[str, Tensor]:
    """Images and noise by turns, their latents, and motions: rows of what functions take, by name."""
    half = images[: max(SIZES) // 2]
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(half.shape, generator=generator).to(half)
    mixed = torch.stack([half, noise], 1).flatten(0, 1)
    z, _ = functions["encode"].original(mixed)
    g = functions["act"].example[0][torch.arange(len(z)) % len(functions["act"].example[0])]
    return {"images": mixed, "z": z, "g": g}


def _card(
    model: Model,
    functions: dict[str, Function],
    found: list[Exported],
    opset: int | None,
    source: str | None,
) -> dict[str, Any]:
    """What model.json says."""
    latent = model.representation
    return {
        "eqvae_version": eqvae.__version__,
        "torch_version": str(torch.__version__),
        "source": source,
        "opset": opset,
        "dtype": "float32",
        "batch": "B, any number of images",
        "image_shape": list(model.image_shape),
        "symmetry": model.symmetry.name,
        "latent": {
            "representation": str(latent),
            "dim": latent.dim,
            "blocks": {b.name: [b.slice.start, b.slice.stop] for b in latent.blocks},
        },
        "conventions": _CONVENTIONS,
        "functions": {
            name: {"inputs": _named(function.inputs), "outputs": _named(function.outputs)}
            for name, function in functions.items()
        },
        "tolerance": TOLERANCE,
        "files": {e.path.name: asdict(e.comparison) for e in found},
    }


def _named(values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        name: {"shape": ["B", *value.shape], "meaning": value.meaning}
        for name, value in values.items()
    }
