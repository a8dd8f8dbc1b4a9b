"""Learning rates over training: factor(s) of the optimizer's own, s in [0, 1] the fraction done."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def cosine(
    optimizer: Optimizer, num_steps: float, warmup: float = 0.0, final: float = 0.0
) -> LambdaLR:
    """Linear warm-up, then half a cosine: final + (1 - final) (1 + cos(pi s)) / 2.

    Args:
        optimizer: whose learning rate is scaled.
        num_steps: optimizer steps of the whole training; inf if it has no end: then the rate stays as it is.
        warmup: fraction of the steps that climb linearly from 0, in [0, 1).
        final: factor at the end, in [0, 1].

    Raises:
        ValueError: if `warmup` or `final` is outside its range.
    """
    if not 0 <= final <= 1:
        raise ValueError(f"final must lie in [0, 1]; got {final}.")
    climb = _warmup_steps(num_steps, warmup)

    def factor(step: int) -> float:
        if step < climb:
            return (step + 1) / (climb + 1)
        s = min(1.0, (step - climb) / max(1, num_steps - climb))
        return final + (1 - final) * (1 + math.cos(math.pi * s)) / 2

    return LambdaLR(optimizer, factor)


def constant(optimizer: Optimizer, num_steps: float, warmup: float = 0.0) -> LambdaLR:
    """Linear warm-up, then 1; arguments as in `cosine`."""
    climb = _warmup_steps(num_steps, warmup)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (climb + 1)))


def _warmup_steps(num_steps: float, warmup: float) -> int:
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must lie in [0, 1); got {warmup}.")
    return 0 if math.isinf(num_steps) else round(warmup * num_steps)
