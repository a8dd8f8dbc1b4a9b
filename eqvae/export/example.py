"""Turn images through their latents, with numpy and onnxruntime alone.

    python example.py IMAGES.npy      float32, as model.json says: (B, C, H, H) in [0, 1]

It lies beside what `eqvae export` writes, prints what the model says of each image, and saves all images
turned by 30 degrees as turned.npy. Without images it takes noise.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

Function = Callable[..., dict[str, np.ndarray]]


def load(folder: Path) -> dict[str, Function]:
    """The functions that model.json lists: arrays in their order -> arrays by name."""
    card = json.loads((folder / "model.json").read_text())
    return {name: _function(folder / f"{name}.onnx") for name in card["functions"]}


def _function(path: Path) -> Function:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = [value.name for value in session.get_inputs()]
    gives = [value.name for value in session.get_outputs()]
    return lambda *arrays: dict(
        zip(gives, session.run(None, dict(zip(given, arrays, strict=True))), strict=True)
    )


def main(folder: Path, images: Path | None = None) -> None:
    card, model = json.loads((folder / "model.json").read_text()), load(folder)
    x = np.random.default_rng(0).random((3, *card["image_shape"]), np.float32)
    if images is not None:
        x = np.load(images).astype(np.float32)
    z = model["encode"](x)["z"]
    found = model["read"](z)
    for i in range(len(x)):
        line = f"image {i}: content {np.round(found['content'][i], 2).tolist()}"
        if "pose" in found:
            _, angle, right, up = found["pose"][i].tolist()
            line += f", {np.degrees(angle) % 360:.1f} degrees at ({right:.1f}, {up:.1f}) pixels"
        if "cluster" in found:
            line += f", kind {found['cluster'][i].argmax()}"
        print(line)
    g = np.tile(np.float32([[0, np.pi / 6, 0, 0]]), (len(x), 1))
    np.save("turned.npy", model["decode"](model["act"](g, z)["moved"])["images"])


if __name__ == "__main__":
    main(Path(__file__).parent, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
