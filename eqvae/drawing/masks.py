"""Pictures of the masks that a model decodes beside its images: their outlines, drawn over them."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.drawing.tiles import panel, scale_of, stack
from eqvae.metrics.segmentation.overlap import iou
from eqvae.models.model import Model

_DECODED, _TRUE = (0.85, 0.1, 0.1), (0.1, 0.6, 0.9)  # colours of outlines


@torch.no_grad()
def mask_picture(model: Model, batch: Batch) -> Image.Image:
    """Images and reconstructions with the outline of the decoded mask, and of a known true one."""
    posterior = model.encode(batch)
    again, decoded = model.reconstruct(batch, posterior), model.segment(posterior.mode)
    scale, title = scale_of(batch.image.shape[-1]), "outlines of the decoded masks"
    rows = [("image", outlined(batch.image, decoded, scale, _DECODED))]
    if batch.mask is not None:
        overlap = iou(*((m > 0.5).cpu().numpy() for m in (decoded, batch.mask))).mean()
        title += f" (red) and the true ones (blue): IoU {overlap:.3f}"
        rows[0] = ("image", outlined(rows[0][1], batch.mask, 1, _TRUE))
    rows.append(("reconstruction", outlined(again, decoded, scale, _DECODED)))
    return stack([panel(rows, title, scale=1)])


def outlined(
    images: Tensor, masks: Tensor, scale: int, colour: tuple[float, float, float]
) -> Tensor:
    """Images with the line where their mask is 1/2, every pixel `scale` wide.

    Args:
        images: (B, C, H, H) in [0, 1].
        masks: (B, 1, H, H), or any part of that size, in [0, 1].
        scale: screen pixels of each pixel.
        colour: of the line, in [0, 1].

    Returns:
        (B, 3, scale H, scale H).
    """
    images = images if images.shape[1] == 3 else images.mean(dim=1, keepdim=True)
    large = F.interpolate(images, scale_factor=scale).clamp(0, 1).expand(-1, 3, -1, -1)
    size = large.shape[-2:]
    inside = F.interpolate(masks.to(images), size=size, mode="bilinear") > 0.5
    inner = -F.max_pool2d(-F.pad(inside.float(), (1, 1, 1, 1)), 3, stride=1)
    line = inside & (inner < 0.5)
    ink = large.new_tensor(np.array(colour)).view(1, 3, 1, 1)
    return torch.where(line, ink, large)
