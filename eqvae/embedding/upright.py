"""Images turned upright and centred by their poses: g^-1 x, with what lies beyond the border filled in."""

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.data.optics import transfer_at
from eqvae.domains import Domain
from eqvae.symmetry.motions import inverse


def upright(batch: Batch, poses: Tensor, domain: Domain) -> tuple[Tensor, Tensor, Tensor]:
    """Images as they are and moved back by their poses, both less the grey of their borders.

    Where optics are known, the signs of their transfer functions are undone first.

    Args:
        batch: of images.
        poses: motions (B, 4).
        domain: where the images live.

    Returns:
        Images and moved images, (B, C, H, H), and the greys, (B, C, 1, 1).
    """
    x = batch.image.float()
    if batch.transfer is not None:
        x = signs_undone(x, batch.transfer)
    grey = _border_mean(x)
    return x - grey, domain.black.act(inverse(poses).to(x), x - grey), grey


def signs_undone(x: Tensor, transfer: Tensor) -> Tensor:
    """Images (B, C, H, H) with the phases turned back where the optics' transfer (B, Q) is negative."""
    axis = 2 * torch.fft.fftfreq(x.shape[-1], dtype=x.dtype)
    h = transfer_at(transfer, (axis[:, None].square() + axis.square()).sqrt())  # (B, H, H)
    sign = torch.where(h < 0, -1.0, 1.0)[:, None]
    return torch.fft.ifft2(torch.fft.fft2(x) * sign).real


def _border_mean(x: Tensor) -> Tensor:
    """Mean of the outermost pixels, (B, C, 1, 1)."""
    rim = torch.ones(x.shape[-2:], dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    return x[..., rim].mean(dim=-1)[..., None, None]
