"""A coarser grid without what it can't hold: an isotropic low-pass before each step.

What lies above the coarser grid's Nyquist frequency, pi / step rad/pixel, would come back as something else
that does not turn with the object. The low-pass must not know the axes: a Gaussian of the distance is the one
separable filter that doesn't.
"""

import math

from escnn.nn import FieldType
from torch import Tensor

from eqvae.nn.fields.layer import FieldLayer
from eqvae.nn.fields.resample import GaussianResample

_SIGMA = 0.75  # of the Gaussian, steps; at the coarse Nyquist frequency exp(-(0.75 pi)^2 / 2) = 0.06 is left


class GaussianDownsample(FieldLayer):
    """Every `stride`-th point of a field behind an isotropic Gaussian: equivariant for all fields.

    Both grids share their centre, whatever the size, so that quarter turns stay exact.

    Args:
        field_type: of what comes in, of any kind.
        size: side of the grid, pixels.
        stride: distance of the points that are kept, pixels.
        sigma: standard deviation of the Gaussian, pixels; 0.75 stride if None. Less keeps more detail, more
            errs less.

    Raises:
        ValueError: if the stride is no whole number >= 1 or leaves fewer than 2 points, or sigma is not
            above 0.

    References: Zhang, Making convolutional networks shift-invariant again (2019),
        https://arxiv.org/abs/1904.11486; escnn's PointwiseAvgPoolAntialiased has the same filter, cut off.
    """

    def __init__(
        self, field_type: FieldType, size: int, stride: int = 2, sigma: float | None = None
    ):
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
            raise ValueError(f"stride must be a whole number of pixels >= 1; got {stride!r}.")
        out_size = -(-size // stride)
        if out_size < 2:
            raise ValueError(
                f"stride must leave at least 2 points of {size}; got {stride}. Use {size // 2} or less."
            )
        sigma = _SIGMA * stride if sigma is None else sigma
        if not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(
                f"sigma must be a number of pixels above 0; got {sigma}. Leave it out for {_SIGMA * stride}."
            )
        super().__init__(field_type, size, out_size=out_size, step=stride)
        self.resample = GaussianResample(size, out_size, step=stride, sigma=sigma)

    def forward(self, h: Tensor) -> Tensor:
        """(B, channels, size, size) to (B, channels, out_size, out_size)."""
        return self.resample(h)
