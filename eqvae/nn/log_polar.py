"""Convolution on log-polar samples: one kernel for every scale and every angle.

Turning and scaling the object about the centre shift its log-polar samples, so that a convolution commutes
with both, exactly for whole steps and where it sees samples of the window alone. The angle is periodic;
beyond the innermost and the outermost ring there is nothing to see, which is 0 or the last ring again.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class LogPolarConv(nn.Module):
    """A convolution of signals (B, C, radii, angles), of the same size before and after.

    Args:
        in_channels, out_channels: of the signals.
        kernel: side of the kernel, odd, samples.
        repeat: whether beyond the ends of log r the last ring goes on; else 0.
        bias: whether a constant is added.

    Raises:
        ValueError: if the kernel is no odd number.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        repeat: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(
                f"kernel must be an odd number of samples, so that it has a middle; got {kernel}."
            )
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, bias=bias)
        self.reach = kernel // 2
        self.repeat = repeat

    def forward(self, x: Tensor) -> Tensor:
        """The filtered signals; rows within `reach` of an end see beyond the window."""
        x = F.pad(x, (self.reach, self.reach, 0, 0), mode="circular")
        ends = (0, 0, self.reach, self.reach)
        return self.conv(F.pad(x, ends, mode="replicate") if self.repeat else F.pad(x, ends))
