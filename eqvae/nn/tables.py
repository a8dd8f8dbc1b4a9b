"""Tables: the constants of a formula, made once for each precision and device.

They follow from small values, such as a basis of images, so that no network has to own them: they are no
part of a state dict, move with nothing, and two networks that ask for the same have the same.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache

import torch
from torch import Tensor


def table(
    make: Callable[..., tuple[Tensor, ...]], *arguments: Hashable, like: Tensor
) -> tuple[Tensor, ...]:
    """What `make(*arguments)` gives, as floating-point numbers like those of a tensor.

    Args:
        make: a function of a module that makes tensors, in float64 where they are no integers.
        arguments: its arguments.
        like: where the table is needed, and how precise.
    """
    return _made(make, arguments, like.dtype, like.device)


@lru_cache(maxsize=512)
def _made(
    make: Callable[..., tuple[Tensor, ...]],
    arguments: tuple[Hashable, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, ...]:
    # what is made in inference mode could not be trained with later
    with torch.inference_mode(False), torch.no_grad():
        return tuple(
            part.to(dtype).to(device) if part.is_floating_point() else part.to(device)
            for part in make(*arguments)
        )
