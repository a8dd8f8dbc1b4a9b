"""Equal sizes: widths at which an arm has as many parameters, or multiply-accumulates, as the reference.

Multiply-accumulates are half of the floating-point operations that torch counts in one forward pass for one
image: the matrix products and convolutions. What is not counted (interpolation, element-wise functions) shows
in the times of the table.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eqvae.config import build
from eqvae.data.batch import Batch
from eqvae.models.model import Model

TOLERANCE = {"parameters": 0.05, "macs": 0.10}
_LARGEST = 512


def num_parameters(model: nn.Module) -> int:
    """Trained numbers of a model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def num_macs(model: Model, image_shape: tuple[int, int, int]) -> float:
    """Multiply-accumulates of scoring one image."""
    return count_macs(model, lambda x: model.score(Batch(x)), image_shape)


def count_macs(
    module: nn.Module, call: Callable[[Tensor], Any], image_shape: tuple[int, int, int]
) -> float:
    """Multiply-accumulates of a call with one image, by a module in training mode."""
    was_training = module.training
    module.train()
    # with gradients: the counter of torch 2.14 fails under no_grad where parameters are arguments (escnn)
    with torch.random.fork_rng(), FlopCounterMode(display=False) as counter:
        call(torch.rand(1, *image_shape))
    module.train(was_training)
    return counter.get_total_flops() / 2


COUNTS: dict[str, Callable[[Model, tuple[int, int, int]], float]] = {
    "parameters": lambda model, shape: num_parameters(model),
    "macs": num_macs,
}


def fit_widths(
    config: dict[str, Any], keys: Sequence[str | Mapping[str, float]], target: float, by: str
) -> dict[str, int]:
    """Widths of encoder and decoder whose count meets the target, as alike as can be.

    Args:
        config: of a run, with the image shape filled in; left as it is.
        keys: dotted keys of the two widths, such as "model.encoder.width"; where one width sets several
            keys, a factor for each: {"model.encoder.free.width": 1, "model.encoder.encoder.hidden": 2}.
        target: parameters or multiply-accumulates to meet.
        by: "parameters" or "macs".

    Returns:
        Width by key.

    Raises:
        ValueError: if no widths come within the tolerance (5 % of parameters, 10 % of multiply-accumulates).
    """
    image = config["image"]
    shape = (image["channels"], image["size"], image["size"])
    groups = [{key: 1.0} if isinstance(key, str) else key for key in keys]
    known: dict[tuple[int, ...], float] = {}

    def values(widths: Sequence[int]) -> dict[str, int]:
        pairs = zip(groups, widths, strict=True)
        return {k: max(1, round(f * width)) for group, width in pairs for k, f in group.items()}

    def count(*widths: int) -> float:
        if widths not in known:
            model = with_values(config, values(widths))["model"]
            known[widths] = COUNTS[by](build(model, path="model"), shape)
        return known[widths]

    low, high = 1, 2
    while count(*[high] * len(keys)) < target and high < _LARGEST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(*[middle] * len(keys)) < target else (low, middle)
    best, best_miss = None, float("inf")
    near = [w for w in range(low - 2, high + 3) if w >= 1]
    for widths in sorted(
        itertools.product(near, repeat=len(keys)), key=lambda w: (max(w) - min(w), w)
    ):
        miss = abs(count(*widths) / target - 1)
        if miss < best_miss:
            best, best_miss = widths, miss
        if best_miss < 0.6 * TOLERANCE[by]:  # good enough, and the most alike
            break
    if best_miss > TOLERANCE[by]:
        names = ", ".join(key for group in groups for key in group)
        raise ValueError(
            f"{names} can't be chosen to have {target:,.0f} {by}: the nearest has "
            f"{known[best]:,.0f}. Take a larger reference, or match: [none]."
        )
    return values(best)


def with_values(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A copy of a nested configuration with the values at dotted keys set."""
    changed = dict(config)
    for key, value in values.items():
        first, _, rest = key.partition(".")
        changed[first] = with_values(changed.get(first, {}), {rest: value}) if rest else value
    return changed
