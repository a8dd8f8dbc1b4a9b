"""Clamps that training can leave again."""

from typing import Any

import torch
from torch import Tensor


class _Bounded(torch.autograd.Function):
    """See `bounded`. Forward mode has the derivative of the clamp: it trains nothing."""

    @staticmethod
    def forward(x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        x, *ctx.bounds = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        outward = ((x <= low) & (grad > 0)) | ((x >= high) & (grad < 0))
        return grad.masked_fill(outward, 0.0), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        return tangent.masked_fill((x < low) | (x > high), 0.0)


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """x clamped to [low, high], with the gradient that leads back inside.

    Under that of `torch.clamp`, zero beyond the bounds, what one large step throws out stays there for
    good, such as the scale of a position at the size of the image.
    """
    return _Bounded.apply(x, low, high)
