"""Layers that break a symmetry, each beside the one that keeps it: a test that passes them tests nothing.

| control              | what it breaks              | what keeps it, in its place                 |
|----------------------|-----------------------------|---------------------------------------------|
| `LocallyConnected`   | shifts                      | a convolution: one kernel at every position |
| `IndependentKernels` | turns                       | a lifted convolution: one kernel, turned    |
| `MaxOverChannels`    | turns of vectors; the pose  | `eqvae.nn.NormOverOrientations`             |
| `MaxPoolEverywhere`  | turns, off the centre       | `eqvae.nn.MaxPool`, `eqvae.nn.NormMaxPool`  |
| `ElementwiseDropout` | turns and fibres            | `eqvae.nn.FieldDropout`                     |
| `NaiveStride`        | turns, by aliasing          | `eqvae.nn.GaussianDownsample`               |
| `AnisotropicBlur`    | turns                       | `eqvae.nn.GaussianDownsample`               |
| `Dilation`           | scales between the integers | a kernel that is a function of the plane    |

All are ordinary modules on images or feature maps (B, C, H, W), to be put in the place of a layer of yours.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.nn.bell import bell


class LocallyConnected(nn.Module):
    """A layer with kernels of its own at every position; what it learns here it doesn't know there.

    Args:
        in_channels, out_channels: of the images.
        size: side of the images, pixels.
        kernel_size: side of the kernels, odd.
        padding_mode: "zeros", or "circular" for images whose opposite sides meet.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        kernel_size: int = 5,
        padding_mode: str = "zeros",
    ):
        super().__init__()
        self.kernel_size, self.size = kernel_size, size
        self.padding_mode = "constant" if padding_mode == "zeros" else padding_mode
        seen = in_channels * kernel_size**2
        self.weight = nn.Parameter(torch.randn(size**2, out_channels, seen) / math.sqrt(seen))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, size, size) to (B, out_channels, size, size)."""
        padded = F.pad(x, [self.kernel_size // 2] * 4, mode=self.padding_mode)
        patches = F.unfold(padded, self.kernel_size)  # (B, seen, positions)
        return torch.einsum("pos,bsp->bop", self.weight, patches).unflatten(-1, (self.size, -1))


class IndependentKernels(nn.Conv2d):
    """A kernel of its own for each orientation, where lifting has one kernel in all its turns.

    Args:
        in_channels: of the images.
        functions: groups of orientation channels.
        orientations: channels in each.
        kernel_size: side of the kernels, odd.
    """

    def __init__(
        self, in_channels: int, functions: int, orientations: int = 4, kernel_size: int = 5
    ):
        super().__init__(
            in_channels,
            functions * orientations,
            kernel_size,
            padding=kernel_size // 2,
            bias=False,
        )


class MaxOverChannels(nn.Module):
    """The largest of all channels: of vectors it depends on the axes, of orientations it forgets which."""

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 1, H, W)."""
        return h.amax(dim=1, keepdim=True)


class MaxPoolEverywhere(nn.MaxPool2d):
    """torch's pooling, which asks neither whether its windows turn onto each other nor what a channel is.

    Args:
        window: side of the windows, pixels.
        stride: from one window to the next, pixels.
    """

    def __init__(self, window: int = 3, stride: int = 2):
        super().__init__(window, stride)


class ElementwiseDropout(nn.Dropout):
    """Drops every number by itself, here one orientation and there another.

    Args:
        rate: probability that a number is dropped.
    """

    def __init__(self, rate: float = 0.1):
        super().__init__(rate)


class NaiveStride(nn.Module):
    """Every `stride`-th pixel, from the first: what the coarser grid can't hold comes back as something else.

    Args:
        stride: distance of the pixels that are kept; with (H - 1) divisible by it the centre stays.
    """

    def __init__(self, stride: int = 2):
        super().__init__()
        self.stride = stride

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        return h[..., :: self.stride, :: self.stride]


class AnisotropicBlur(nn.Module):
    """A Gaussian low-pass that is wider along x than along y, then every `stride`-th point.

    Args:
        size: side of the images, pixels.
        stride: distance of the points that are kept; both grids share their centre.
        sigma: geometric mean of the two widths, pixels.
        ratio: of the width along x to that along y; 1 is the isotropic one.
    """

    def __init__(self, size: int, stride: int = 1, sigma: float = 1.5, ratio: float = 4.0):
        super().__init__()
        source = torch.arange(size) - (size - 1) / 2
        count = -(-size // stride)
        target = stride * (torch.arange(count) - (count - 1) / 2)
        for name, width in (("x", sigma * ratio**0.5), ("y", sigma / ratio**0.5)):
            matrix = bell((target[:, None] - source) / width) / (width * math.sqrt(2 * math.pi))
            self.register_buffer(name, matrix.to(torch.get_default_dtype()), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, size, size) to (B, C, ceil(size / stride), ceil(size / stride))."""
        return self.y @ h @ self.x.T


class Dilation(nn.Module):
    """A kernel whose taps lie `dilation` pixels apart: scaled by whole numbers, and by nothing between.

    Args:
        kernel: taps one pixel apart, (out_channels, in_channels, k, k).
        scale: by which the kernel is meant to grow; the dilation is the nearest whole number.
    """

    def __init__(self, kernel: Tensor, scale: float = 1.0):
        super().__init__()
        self.kernel = nn.Parameter(kernel.clone())
        self.dilation = max(1, math.floor(scale + 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H, W)."""
        padding = self.dilation * (self.kernel.shape[-1] // 2)
        return F.conv2d(x, self.kernel, padding=padding, dilation=self.dilation)
