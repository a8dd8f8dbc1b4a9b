"""What goes through the layers of a network, and how it moves as far as its shape and type tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.metrics.equivariance.layer_actions import FieldAction, InvariantAction
from eqvae.metrics.equivariance.velocity import ImageAction
from eqvae.symmetry.group import Group


@dataclass(frozen=True)
class Call:
    """What one module received and returned.

    Attributes:
        inputs: positional arguments.
        output: as a tensor.
        field_type: escnn's type of the output, if it has one.
    """

    inputs: tuple
    output: Tensor
    field_type: Any

    @property
    def input(self) -> Tensor | None:
        """The first argument as a tensor."""
        return as_tensor(self.inputs[0]) if self.inputs else None

    def again(self, module: nn.Module, h: Tensor) -> Tensor:
        """The output for another first argument."""
        first = self.inputs[0]
        if not torch.is_tensor(first):
            h = type(first)(h, first.type)
        return as_tensor(module(h, *self.inputs[1:]))


class Chain(nn.Module):
    """Modules by name, one after the other."""

    def __init__(self, chain: Mapping[str, nn.Module]):
        super().__init__()
        self.chain = dict(chain)

    def forward(self, x: Any) -> Any:
        for module in self.chain.values():
            x = module(x)
        return x


def layers_of(modules: Mapping[str, nn.Module]) -> list[str]:
    """Names of typed layers, and of modules without children that are not part of a typed layer."""

    def is_layer(name: str) -> bool:
        parents = [modules.get(name[:i]) for i, letter in enumerate(name) if letter == "."]
        if any(hasattr(parent, "out_type") and not _is_container(parent) for parent in parents):
            return False
        module = modules[name]
        if _is_container(module):
            return False
        return bool(name) and (hasattr(module, "out_type") or not any(module.children()))

    return [name for name in modules if is_layer(name)]


def calls(
    model: nn.Module, modules: Mapping[str, nn.Module], names: Sequence[str], x: Tensor
) -> dict[str, Call]:
    """One pass, and what went through each module at its first use."""
    found: dict[str, Call] = {}

    def hook(name: str) -> Callable:
        def record(module: nn.Module, inputs: tuple, output: Any) -> None:
            tensor = as_tensor(output)
            if name not in found and tensor is not None and inputs:
                kind = getattr(output, "type", None) if not torch.is_tensor(output) else None
                found[name] = Call(inputs, tensor, kind or getattr(module, "out_type", None))

        return record

    hooks = [modules[name].register_forward_hook(hook(name)) for name in names]
    try:
        model(x)
    finally:
        for handle in hooks:
            handle.remove()
    return {name: found[name] for name in names if name in found}


def as_tensor(value: Any) -> Tensor | None:
    """A value as a tensor; escnn's `GeometricTensor` has one inside."""
    value = getattr(value, "tensor", value)
    return value if torch.is_tensor(value) else None


def action_by_shape(h: Tensor | None, x: Tensor, group: Group) -> Any:
    """The action of a tensor that no layer of the table has made."""
    if h is None:
        return None
    if h.dim() == 4 and h.shape[-1] == h.shape[-2]:
        ratio = x.shape[-1] / h.shape[-1] if x.dim() == 4 else 1.0
        return ImageAction(_stride(ratio), group=group)
    return InvariantAction() if h.dim() == 2 else None


def action_of(call: Call, before: Any, group: Group) -> Any:
    """How the output of a layer moves, from its type, its shape and its input."""
    h, y = call.input, call.output
    if y.dim() == 2:
        return InvariantAction()
    if y.dim() != 4 or y.shape[-1] != y.shape[-2]:
        return None
    grid = before.grid if isinstance(before, FieldAction) else before
    stride = grid.stride if isinstance(grid, ImageAction) else 1.0
    if h is not None and h.dim() == 4:
        stride *= _stride(h.shape[-1] / y.shape[-1])
    grid = ImageAction(stride, group=group)
    if hasattr(call.field_type, "representations"):
        return FieldAction(call.field_type, grid)
    if isinstance(before, FieldAction) and h is not None and h.shape[1] == y.shape[1]:
        return replace(before, grid=grid)
    return grid


def _is_container(module: nn.Module | None) -> bool:
    """Chains of layers; escnn's `SequentialModule` has a type as well."""
    return isinstance(module, nn.Sequential) or type(module).__name__ == "SequentialModule"


def _stride(ratio: float) -> float:
    """The stride of a layer from the ratio of its sides: whole, or one over a whole number."""
    return float(round(ratio)) if ratio >= 1 else 1.0 / round(1 / ratio)
