"""The frozen feature network in which sets of images are compared.

Frechet and kernel distances compare images through features. The usual network (Inception, trained on
photographs) is a download of 90 MB and knows nothing of small grey objects in any pose, so that a network
of 0.1 million weights is part of this package. It is called "posed": it was trained on digits and sprites
in random pose to tell class, angle, position, size of the object, noise and blur
(benchmarks/train_features.py), and its features x are scaled so that on its training images

    E[x] = 0,    E |x|^2 = number of features.

A distance in its features is called FD-posed and never FID: the numbers are not comparable.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"
_CHECKSUMS = {"posed": "a3c0f2bf4576748dde373976baaab2be02fe430f93cbb574ac31d7780c9e3ecc"}
SMALLEST = 24  # pixels: below, 48-pixel features describe the interpolation


class FeatureNetwork(nn.Module):
    """Images of any size -> feature vectors.

    Colours are averaged, images of another size resized to 48 x 48 (bilinear, antialiased) and values
    clipped to [0, 1] as on a screen.

    Attributes:
        num_features: F.
    """

    size = 48
    num_features = 96

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            *_layer(1, 16, kernel=5, stride=2),
            *_layer(16, 32, kernel=3, stride=2),
            *_layer(32, 32, kernel=3, stride=1),
            *_layer(32, 64, kernel=3, stride=2),
            *_layer(64, 24, kernel=1, stride=1),
            nn.Flatten(),
            nn.Linear(24 * 6 * 6, self.num_features),
        )
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, H) in [0, 1]."""
        grey = images.clamp(0, 1).mean(dim=1, keepdim=True)
        if grey.shape[-1] != self.size:
            size = (self.size, self.size)
            grey = F.interpolate(grey, size, mode="bilinear", align_corners=False, antialias=True)
        return (self.trunk(grey) - self.mean) / self.scale


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]


@cache
def load_features(name: str = "posed") -> FeatureNetwork:
    """The frozen network of that name, in eval mode and without gradients; the same object each time.

    Raises:
        ValueError: if there is no such network, or its file is not the one this version ships.
    """
    if name not in _CHECKSUMS:
        raise ValueError(f"name must be one of {sorted(_CHECKSUMS)}; got {name!r}.")
    content = (WEIGHTS / f"{name}.pt").read_bytes()
    if hashlib.sha256(content).hexdigest() != _CHECKSUMS[name]:
        raise ValueError(
            f"the weights {name}.pt are not those of this version of eqvae: scores would not be "
            "comparable. Install the package again."
        )
    network = FeatureNetwork()
    stored = torch.load(io.BytesIO(content), weights_only=True)
    network.load_state_dict({key: value.float() for key, value in stored["weights"].items()})
    return network.eval().requires_grad_(False)


def feature_metadata(name: str = "posed") -> dict:
    """What is stored with the weights: training images, seed, held-out accuracy."""
    return torch.load(WEIGHTS / f"{name}.pt", weights_only=True)["metadata"]


@torch.no_grad()
def image_features(
    images: Tensor | Iterable[Tensor],
    network: nn.Module | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Features of a set of images, one batch in memory at a time.

    Args:
        images: (N, C, H, H) in [0, 1], or an iterable of such batches, which may be a generator.
        network: any module (B, C, H, H) -> (B, F); None takes the shipped one.
        batch_size: images at a time, when `images` is one tensor.

    Returns:
        float64 array (N, F).

    Raises:
        ValueError: if images are not finite, not near [0, 1], not square, below 24 pixels, or none.
    """
    network = load_features() if network is None else network
    network.eval()
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    features = [
        network(batch.to(device)).double().cpu().numpy()
        for batch in checked_batches(images, batch_size)
    ]
    if not features:
        raise ValueError("images must hold at least one image; got none.")
    return np.concatenate(features)


def shuffled(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Images (B, C, H, H) with the pixels of each one in another order, all channels alike."""
    flat = images.cpu().flatten(2)
    order = torch.rand(flat[:, 0].shape, generator=generator).argsort(dim=1)
    return flat.gather(2, order[:, None].expand_as(flat)).reshape(images.shape)


def checked_batches(
    images: Tensor | Iterable[Tensor], batch_size: int = 256, smallest: int = SMALLEST
) -> Iterator[Tensor]:
    """Checked float32 batches of one tensor, or of batches given one by one.

    Args:
        images: (N, C, H, H) in [0, 1], or an iterable of such batches.
        batch_size: images at a time, when `images` is one tensor.
        smallest: side that images must have, pixels.
    """
    if torch.is_tensor(images) or isinstance(images, np.ndarray):
        images = torch.as_tensor(images).split(batch_size)
    yield from (_checked(batch, smallest) for batch in images if len(batch))


def _checked(batch: Tensor, smallest: int) -> Tensor:
    batch = torch.as_tensor(batch)
    if batch.dim() != 4 or batch.shape[-1] != batch.shape[-2]:
        raise ValueError(
            f"images must be square, (N, C, H, H); got shape {tuple(batch.shape)}. Crop or pad them."
        )
    if batch.shape[-1] < smallest:
        raise ValueError(
            f"images must have at least {smallest} x {smallest} pixels for the network; "
            f"got {batch.shape[-1]}. Enlarge real and generated images alike."
        )
    if not batch.is_floating_point() or not batch.isfinite().all():
        raise ValueError(
            f"images must be finite floats in [0, 1]; got {batch.dtype}"
            f"{' with NaN or infinity' if batch.is_floating_point() else '. Divide by 255'}."
        )
    low, high = batch.min().item(), batch.max().item()
    if low < -1 or high > 2:  # a decoder may overshoot a little; this is another scale
        raise ValueError(f"images must lie in [0, 1]; got {low:.3g} to {high:.3g}. Rescale them.")
    return batch.float()
