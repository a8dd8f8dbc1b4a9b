"""A model's decoder as one small graph for the page: motions and upright latents -> D(g z)."""

import importlib.util
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from eqvae.export import DifferenceError, Function
from eqvae.export.check import TOLERANCE, compared
from eqvae.export.functions import Act, Decode, Value
from eqvae.export.graphs import OPSET, runner, traced, write_onnx
from eqvae.export.plain import plain
from eqvae.models.model import Model
from eqvae.symmetry.motions import motion

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_CHECKED = 16  # images


class MovedDecode(nn.Module):
    """Motions (B, 4) and latents (B, D) -> the images D(g z), (B, C, H, H)."""

    def __init__(self, model: Model):
        super().__init__()
        self.act, self.decode = Act(model), Decode(model)

    def forward(self, g: Tensor, z: Tensor) -> tuple[Tensor]:
        return self.decode(*self.act(g, z))


@torch.no_grad()
def decoder_graph(model: Model, z: Tensor) -> bytes:
    """An ONNX file with inputs g and z and the output images, compared with the model.

    Args:
        model: in eval mode, on the CPU.
        z: some upright latents, (B, D).

    Raises:
        ImportError: if a package for it is missing.
        ValueError: if a part of the model can't be written as a graph.
        DifferenceError: if the graph differs from the model by more than 1e-5.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'it needs {", ".join(missing)}: pip install "eqvae[export]".')
    z = z[torch.arange(_CHECKED) % len(z)]
    turns = torch.linspace(-3, 3, _CHECKED)
    g = motion(angle=turns, shift=torch.stack([turns, -turns / 2], 1)).to(z)
    inputs = {"g": Value((4,), "motions"), "z": Value((z.shape[1],), "upright latents")}
    function = Function(
        module=MovedDecode(plain(model)),
        original=MovedDecode(model),
        example=(g[:3], z[:3]),
        inputs=inputs,
        outputs={"images": Value(tuple(model.image_shape), "grey values in [0, 1]")},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decode.onnx"
        write_onnx(traced(function), function, path, OPSET)
        found = compared(runner(path), function, (g, z))
        if not found.difference <= TOLERANCE:
            raise DifferenceError(
                f"the graph differs from the model by {found.difference:.1e}, more than {TOLERANCE:g}."
            )
        return path.read_bytes()
