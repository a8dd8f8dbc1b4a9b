"""Dropout that keeps a symmetry, in each draw or in the fibres only; the identity in eval mode.

    whole fields    m[b, field]                exact in each draw, for every motion of the plane
    fibres          m[b, field, position]      one draw commutes with rho(g) on the fibres, but a mask that
                                               stays where it is doesn't commute with moving the image

m is 0 with the probability `rate` and 1 / (1 - rate) otherwise. Dropping single channels commutes with
neither: `eqvae.testing.controls.ElementwiseDropout`.
"""

import torch
from escnn.nn import FieldType
from torch import Tensor

from eqvae.nn.fields.layer import FieldLayer, field_sizes


class _Dropout(FieldLayer):
    def __init__(self, field_type: FieldType, size: int, rate: float = 0.1):
        super().__init__(field_type, size)
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not (number and 0 <= rate < 1):
            raise ValueError(
                f"rate must be a probability from 0 to below 1; got {rate!r}. Try 0.1."
            )
        self.rate = float(rate)
        sizes = torch.tensor(field_sizes(field_type))
        self.register_buffer(
            "field_of", torch.arange(len(sizes)).repeat_interleave(sizes), persistent=False
        )

    def draw(self, h: Tensor) -> Tensor:
        """A mask for each field, that broadcasts over h once its fields are repeated over their channels."""
        raise NotImplementedError

    def forward(self, h: Tensor) -> Tensor:
        """Fields (B, channels, H, H), some of them dropped in train mode."""
        if not self.training or self.rate == 0:
            return h
        return h * self.draw(h)[:, self.field_of]

    def _kept(self, h: Tensor, *shape: int) -> Tensor:
        kept = torch.rand(len(h), len(self.in_type), *shape, device=h.device) >= self.rate
        return kept.to(h.dtype) / (1 - self.rate)


class FieldDropout(_Dropout):
    """Keep or drop whole fields, all channels at all positions: f(g h) = g f(h) in each draw.

    Of a few fields all may be dropped at once: take many, or a small rate.

    Args:
        field_type: of what comes in.
        size: side of the grid, pixels.
        rate: probability that a field of an image is dropped.

    Raises:
        ValueError: if the rate is not from 0 to below 1.
    """

    def draw(self, h: Tensor) -> Tensor:
        """(B, fields, 1, 1), the same for all positions."""
        return self._kept(h, 1, 1)


class FibreDropout(_Dropout):
    """Keep or drop the fibre of a field at each position: one draw commutes with rho(g) h(p) alone.

    A draw makes holes where it says, not where the object is, so it does not commute with turning the image;
    the average over draws does. Use `FieldDropout` where each draw has to.

    Args:
        field_type, size: as of `FieldDropout`.
        rate: probability that a fibre is dropped.

    Raises:
        ValueError: if the rate is not from 0 to below 1.
    """

    def draw(self, h: Tensor) -> Tensor:
        """(B, fields, H, H), the same for all channels of a field."""
        return self._kept(h, *h.shape[2:])
