"""Rows of posteriors: batches joined, some of them picked, all of them on another device."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor


def concatenated(parts: Sequence[Any]) -> Any:
    """One posterior of all rows from the posteriors of batches."""
    return _joined(parts[0], parts, lambda tensors: torch.cat(tensors))


def rows_of(posterior: Any, rows: Any) -> Any:
    """The posterior of some rows: an index, a mask or a slice."""
    return _joined(posterior, [posterior], lambda tensors: tensors[0][rows])


def to_device(posterior: Any, device: torch.device | str) -> Any:
    """The posterior on another device."""
    return _joined(posterior, [posterior], lambda tensors: tensors[0].to(device))


def _joined(first: Any, parts: Sequence[Any], join: Callable[[list[Tensor]], Tensor]) -> Any:
    """A posterior of joined tensors; posteriors inside posteriors are joined likewise."""
    changed = {}
    for f in fields(first):
        values = [getattr(part, f.name) for part in parts]
        if torch.is_tensor(values[0]):
            changed[f.name] = join(values)
        elif hasattr(values[0], "rsample") or hasattr(values[0], "sample"):
            changed[f.name] = _joined(values[0], values, join)
    return replace(first, **changed)
