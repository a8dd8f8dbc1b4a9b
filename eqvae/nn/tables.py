"""Tables: the constants of a formula, made once for each precision and device.

They follow from small values, such as a basis of images, so that no network has to own them: they are no
part of a state dict, move with nothing, and two networks that ask for the same have the same.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def table(make: Callable[..., tuple[Tensor, ...]], *arguments: Any, like: Tensor) -> Any:
    """What `make(*arguments)` gives, as floating-point numbers like those of a tensor.

    Args:
        make: a function of a module that makes a tuple of tensors, in float64 where they are no integers.
        arguments: its arguments, numbers and texts.
        like: where the table is needed, and how precise.
    """
    return _constant(make, arguments, like.dtype, like.device)


@torch.compiler.assume_constant_result
def _constant(make: Callable, arguments: tuple, dtype: torch.dtype, device: torch.device) -> Any:
    return _made(make, arguments, dtype, device)


@lru_cache(maxsize=512)
def _made(make: Callable, arguments: tuple, dtype: torch.dtype, device: torch.device) -> Any:
    # what is made in inference mode could not be trained with later
    with torch.inference_mode(False), torch.no_grad():
        made = make(*arguments)
        parts = [
            part.to(dtype).to(device) if part.is_floating_point() else part.to(device)
            for part in made
        ]
    return made._make(parts) if hasattr(made, "_make") else tuple(parts)
