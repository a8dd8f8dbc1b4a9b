"""Where a network stops being equivariant: errors layer by layer.

    cumulative   |h_k(g x) - g h_k(x)| / |g h_k(x)|             everything up to layer k
    local        |L_k(g h) - g L_k(h)| / |g L_k(h)|             the layer alone, h its own input

Feature maps (B, C, H, H) move as scalar fields on their own grid, whose spacing is the product of the
strides so far; vectors (B, D) are taken as invariant; layers with an escnn field type move by it; a layer
that keeps the number of channels keeps the action of its input. Anything else needs its action given.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.metrics.equivariance.errors import disc_norms, norms
from eqvae.metrics.equivariance.lie import ImageAction, lie_derivative
from eqvae.symmetry.motions import motion

LayerAction = Callable[[Tensor, Tensor], Tensor]  # (g (B, 4), output) -> g output


@dataclass(frozen=True)
class LayerRow:
    """The errors of one layer; None where the layer's output has no action for that motion.

    Attributes:
        name: of the module.
        kind: its class.
        shape: of its output for one image.
        n: number of images.
        moves: "map", "fields", "invariant" or "given": how its output is moved.
        rotation, quarter_turn, shift: cumulative relative errors.
        local_rotation, local_quarter_turn, local_shift: of this layer alone.
        lie_rotation, lie_shift: local Lie derivative, |L_X f| / |f|, per radian and per pixel.
        method: how the Lie derivative was taken.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n: int
    moves: str
    rotation: float | None = None
    quarter_turn: float | None = None
    shift: float | None = None
    local_rotation: float | None = None
    local_quarter_turn: float | None = None
    local_shift: float | None = None
    lie_rotation: float | None = None
    lie_shift: float | None = None
    method: str = ""


@dataclass(frozen=True)
class InvariantAction:
    """The output stays as it is."""

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        return y

    def velocity(self, y: Tensor, generator: str) -> Tensor:
        return torch.zeros_like(y)


@dataclass(frozen=True)
class FieldAction:
    """Steerable feature fields: [g h](p) = rho(g) h(g^-1 p), with rho from an escnn `FieldType`.

    Attributes:
        field_type: the type, with `.gspace.fibergroup` and `.representation`.
        grid: how scalar maps on the same grid move.
    """

    field_type: Any
    grid: ImageAction

    def __call__(self, g: Tensor, y: Tensor) -> Tensor | None:
        rho = self._rho(g[0, 0].item(), g[0, 1].item())
        if rho is None:
            return None
        return torch.einsum("ij,bjhw->bihw", rho.to(y), self.grid(g, y))

    def velocity(self, y: Tensor, generator: str) -> Tensor | None:
        moving = self.grid.velocity(y, generator)
        if generator != "rotation":
            return moving
        step = 1e-4
        ahead, behind = self._rho(0.0, step), self._rho(0.0, -step)
        if ahead is None or behind is None:
            return None  # a finite group has no infinitely small rotation
        return moving + torch.einsum("ij,bjhw->bihw", ((ahead - behind) / (2 * step)).to(y), y)

    def _rho(self, reflection: float, angle: float) -> Tensor | None:
        """The matrix on all channels, None if the group lacks the element."""
        space = self.field_type.gspace
        rotations, mirrors = space.rotations_order, space.flips_order > 0
        if reflection and not mirrors:
            return None
        turn: Any = angle
        if rotations > 0:
            turn = round(angle * rotations / (2 * math.pi))
            if abs(turn * 2 * math.pi / rotations - angle) > 1e-6:
                return None
            turn %= rotations
        paired = isinstance(space.fibergroup.identity.value, tuple)  # (mirror, turn): D_N, O(2)
        value = (int(reflection), turn) if paired else int(reflection) if mirrors else turn
        element = space.fibergroup.element(value)
        blocks = [torch.as_tensor(r(element)) for r in self.field_type.representations]
        return torch.block_diag(*[block.double() for block in blocks])


@dataclass(frozen=True)
class _Call:
    """What one module received and returned."""

    inputs: tuple
    output: Tensor
    field_type: Any


@torch.no_grad()
def layer_table(
    model: nn.Module | Mapping[str, nn.Module],
    x: Tensor,
    names: Sequence[str] | None = None,
    *,
    actions: Mapping[str, LayerAction] | None = None,
    act_in: LayerAction | None = None,
    angle: float = math.pi / 4,
    shift: tuple[float, float] = (0.5, 0.25),
    lie: bool = True,
) -> list[LayerRow]:
    """The equivariance errors of every layer of a network.

    Args:
        model: any module, or a chain {name: module}, each fed with the one before.
        x: inputs; images (B, C, H, H) unless `act_in` says otherwise.
        names: submodules to show, in the order of the table; None for all modules without children. A
            module that is used more than once is shown at its first use.
        actions: by name how a layer's output moves, (g, output) -> g output, with the motion in pixels of x.
        act_in: how x moves; None for images.
        angle: of the rotation, radians.
        shift: in pixels of x.
        lie: also take local Lie derivatives.

    Returns:
        One row for each layer whose output's action is known; the others are left out.

    Raises:
        ValueError: if a name is not a submodule.
    """
    if not isinstance(model, nn.Module):
        model = _Chain(model)
    modules = dict(model.named_modules())
    if isinstance(model, _Chain):
        modules = dict(model.chain)
    actions = dict(actions or {})
    if names is None:
        names = [name for name in modules if name in actions or _is_layer(name, modules)]
    unknown = [name for name in [*names, *actions] if name not in modules]
    if unknown:
        raise ValueError(
            f"names must be submodules of the network; got {unknown}. It has {list(modules)[:20]}."
        )
    first = ImageAction() if act_in is None else act_in
    motions = {
        "rotation": motion(angle=angle),
        "quarter_turn": motion(angle=math.pi / 2),
        "shift": motion(shift=shift),
    }
    motions = {kind: g.expand(len(x), -1).to(x) for kind, g in motions.items()}
    still = _calls(model, modules, names, x)
    moved = {kind: _calls(model, modules, names, first(g, x)) for kind, g in motions.items()}
    known: list[tuple[Tensor, Any]] = [(x, first)]  # tensors seen, and how each moves
    rows = []
    for name, call in still.items():
        act_before = next((a for h, a in known if h is _tensor(call.inputs)), None)
        if act_before is None:
            act_before = _by_shape(_tensor(call.inputs), x)
        act = actions.get(name) or _action_of(call, act_before)
        if act is None:
            continue
        known.append((call.output, act))
        shape = tuple(call.output.shape[1:])
        row = LayerRow(name, type(modules[name]).__name__, shape, len(x), _how(act))
        if name in actions:
            row = replace(row, moves="given")
        errors = {}
        for kind, g in motions.items():
            expected = act(g, call.output)
            if expected is None:
                continue
            errors[kind] = _relative(moved[kind][name].output, expected)
            again = _local(modules[name], call, act_before, g)
            if again is not None:
                errors[f"local_{kind}"] = _relative(again, expected)
        if lie and act_before is not None:
            errors |= _lie(modules[name], call, act_before, act)
        rows.append(replace(row, **errors))
    return rows


def _is_layer(name: str, modules: Mapping[str, nn.Module]) -> bool:
    """Typed layers, and modules without children that are not part of a typed layer."""
    parents = [modules.get(name[:i]) for i, letter in enumerate(name) if letter == "."]
    if any(hasattr(parent, "out_type") and not _is_container(parent) for parent in parents):
        return False
    module = modules[name]
    if _is_container(module):
        return False
    return bool(name) and (hasattr(module, "out_type") or not any(module.children()))


def _is_container(module: nn.Module | None) -> bool:
    """Chains of layers; escnn's `SequentialModule` has a type as well."""
    return isinstance(module, nn.Sequential) or type(module).__name__ == "SequentialModule"


class _Chain(nn.Module):
    """Modules by name, one after the other."""

    def __init__(self, chain: Mapping[str, nn.Module]):
        super().__init__()
        self.chain = dict(chain)

    def forward(self, x: Any) -> Any:
        for module in self.chain.values():
            x = module(x)
        return x


def _calls(
    model: nn.Module, modules: Mapping[str, nn.Module], names: Sequence[str], x: Tensor
) -> dict[str, _Call]:
    """One pass, and what went through each module at its first use."""
    calls: dict[str, _Call] = {}
    hooks = []

    def hook(name: str) -> Callable:
        def record(module: nn.Module, inputs: tuple, output: Any) -> None:
            tensor = _tensor((output,))
            if name not in calls and tensor is not None and inputs:
                kind = getattr(output, "type", None) if not torch.is_tensor(output) else None
                kind = kind or getattr(module, "out_type", None)
                calls[name] = _Call(inputs, tensor, kind)

        return record

    for name in names:
        hooks.append(modules[name].register_forward_hook(hook(name)))
    try:
        model(x)
    finally:
        for handle in hooks:
            handle.remove()
    return {name: calls[name] for name in names if name in calls}


def _tensor(values: tuple) -> Tensor | None:
    """The first value as a tensor; escnn's `GeometricTensor` has one inside."""
    value = values[0] if values else None
    value = getattr(value, "tensor", value)
    return value if torch.is_tensor(value) else None


def _by_shape(h: Tensor | None, x: Tensor) -> Any:
    """The action of a tensor that no layer of the table has made."""
    if h is None:
        return None
    if h.dim() == 4 and h.shape[-1] == h.shape[-2]:
        ratio = x.shape[-1] / h.shape[-1] if x.dim() == 4 else 1.0
        return ImageAction(_stride(ratio))
    return InvariantAction() if h.dim() == 2 else None


def _action_of(call: _Call, before: Any) -> Any:
    """How the output of a layer moves, from its type, its shape and its input."""
    h, y = _tensor(call.inputs), call.output
    if y.dim() == 2:
        return InvariantAction()
    if y.dim() != 4 or y.shape[-1] != y.shape[-2]:
        return None
    grid = before.grid if isinstance(before, FieldAction) else before
    stride = grid.stride if isinstance(grid, ImageAction) else 1.0
    if h is not None and h.dim() == 4:
        stride *= _stride(h.shape[-1] / y.shape[-1])
    grid = ImageAction(stride)
    if hasattr(call.field_type, "representations"):
        return FieldAction(call.field_type, grid)
    if isinstance(before, FieldAction) and h is not None and h.shape[1] == y.shape[1]:
        return replace(before, grid=grid)
    return grid


def _stride(ratio: float) -> float:
    """The stride of a layer from the ratio of its sides: whole, or one over a whole number."""
    return float(round(ratio)) if ratio >= 1 else 1.0 / round(1 / ratio)


def _how(action: Any) -> str:
    kinds = {ImageAction: "map", FieldAction: "fields", InvariantAction: "invariant"}
    return kinds.get(type(action), "given")


def _local(module: nn.Module, call: _Call, before: Any, g: Tensor) -> Tensor | None:
    """The layer on its own moved input."""
    moved = None if before is None else before(g, _tensor(call.inputs))
    return None if moved is None else _run(module, call, moved)


def _run(module: nn.Module, call: _Call, h: Tensor) -> Tensor:
    first = call.inputs[0]
    if not torch.is_tensor(first):
        h = type(first)(h, first.type)
    return _tensor((module(h, *call.inputs[1:]),))


def _lie(module: nn.Module, call: _Call, before: Any, act: Any) -> dict[str, Any]:
    """Local Lie derivatives, relative to the output."""
    found: dict[str, Any] = {}
    h = _tensor(call.inputs)
    for key, generators in {"rotation": ["rotation"], "shift": ["shift_x", "shift_y"]}.items():
        values = []
        for generator in generators:
            velocities = [
                a.velocity(v, generator) if hasattr(a, "velocity") else 0
                for a, v in ((before, h), (act, call.output))
            ]
            if any(v is None for v in velocities):
                continue
            result = lie_derivative(
                lambda t: _run(module, call, t), h, generator, act=act, act_in=before
            )
            values.append(result.relative)
            found["method"] = result.method
        if values:
            found[f"lie_{key}"] = math.sqrt(sum(v**2 for v in values) / len(values))
    return {k: v for k, v in found.items() if not isinstance(v, float) or math.isfinite(v)}


def _relative(actual: Tensor, expected: Tensor) -> float | None:
    """Maps are compared on the inscribed disc: beyond it a rotation brings in zeros."""
    on_grid = expected.dim() == 4 and expected.shape[-1] == expected.shape[-2]
    squared, scale = (disc_norms if on_grid else norms)(actual, expected)
    return (squared.sum() / scale.sum()).sqrt().item() if scale.sum() > 0 else None
