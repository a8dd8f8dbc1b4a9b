"""Files of drawn samples: arrays, pictures, a stack of pages, and a table of what was drawn."""

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eqvae.drawing.png import save_figure
from eqvae.drawing.tiles import panel, stack
from eqvae.explore.generation import Samples, mirrored
from eqvae.files import written
from eqvae.symmetry.motions import angle_of, shift_of

Pixels = Literal["float32", "uint8"]
COLUMNS = (
    *("index", "component", "angle_degrees", "x_pixels", "y_pixels"),
    *("reflected", "temperature", "log_prob"),
)
_SHEET = 64  # images, at most
_ACROSS = 8


def write_table(samples: Samples, path: Path) -> None:
    """A row for each sample; what the prior can't tell is empty.

    index           from 0
    component       of the fitted prior
    angle_degrees   from upright, counter-clockwise, in [0, 360)
    x_pixels, y_pixels   from the image centre, y up
    reflected       whether a mirror image is shown
    temperature     of the spread about the middle of the component
    log_prob        of the latent under the prior, nats
    """
    with written(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(_rows(samples))


def write_arrays(samples: Samples, path: Path) -> None:
    """images, latents, component, pose (rows [reflection, angle, x, y], radians and pixels), log_prob."""
    arrays = {
        "images": samples.images,
        "latents": samples.z,
        "component": samples.component,
        "pose": samples.pose,
        "log_prob": samples.log_prob,
    }
    with written(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{name: value.cpu().numpy() for name, value in arrays.items()})


def write_pictures(samples: Samples, folder: Path) -> None:
    """samples.png, a sheet of the first samples, and images/sample_00000.png, ..., pixel by pixel."""
    shown = samples.images[:_SHEET]
    title = f"{len(samples)} samples" + f", the first {_SHEET}" * (len(samples) > _SHEET)
    sheet = stack([panel([("", part) for part in shown.split(_ACROSS)], title)])
    save_figure(sheet, folder / "samples.png")
    single = folder / "images"
    single.mkdir(exist_ok=True)
    for old in single.glob("sample_*.png"):
        old.unlink()
    for index, image in enumerate(samples.images):
        save_figure(_picture(image), single / f"sample_{index:05d}.png")


def write_pages(images: Tensor, path: Path, pixels: Pixels = "float32") -> None:
    """A TIFF of many pages, in the order of the images (N, C, H, H).

    Args:
        images: in [0, 1], about.
        path: of the file.
        pixels: "float32" keeps the numbers, one page for each channel; "uint8" rounds them to 0..255, one
            page for each image of one or three channels.
    """
    pages = (page for image in images for page in _pages(image, pixels))
    first = next(pages)
    how = {"format": "TIFF", "save_all": True, "compression": "tiff_deflate"}
    with written(path) as partial:
        first.save(partial, append_images=pages, **how)


def _rows(samples: Samples) -> Iterator[list]:
    degrees = (torch.rad2deg(angle_of(samples.pose).double()) % 360).tolist()
    places = shift_of(samples.pose).tolist()
    flags = mirrored(samples.pose).int().tolist()
    parts = (samples.component.tolist(), degrees, places, flags, samples.log_prob.tolist())
    for index, (k, angle, (x, y), mirror, log_p) in enumerate(zip(*parts, strict=True)):
        known = "" if k < 0 else k
        turned = "" if math.isnan(angle) else f"{angle:.3f}"
        yield [
            *(index, known, turned, f"{x:.3f}", f"{y:.3f}", mirror),
            *(samples.temperature, f"{log_p:.4f}"),
        ]


def _pages(image: Tensor, pixels: Pixels) -> Iterable[Image.Image]:
    if pixels == "uint8" and len(image) in (1, 3):
        return [_picture(image)]
    channels = image.cpu().numpy()
    if pixels == "uint8":
        channels = (channels.clip(0, 1) * 255).round().astype(np.uint8)
    return [Image.fromarray(channel) for channel in channels]


def _picture(image: Tensor) -> Image.Image:
    """(C, H, H) -> grey, or RGB of three channels; the mean of any others."""
    image = image if len(image) in (1, 3) else image.mean(dim=0, keepdim=True)
    array = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if len(image) == 1 else array)
