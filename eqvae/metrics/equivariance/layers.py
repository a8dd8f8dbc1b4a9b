"""Where a network stops being equivariant: errors layer by layer.

    cumulative   |h_k(g x) - g h_k(x)| / |g h_k(x)|             everything up to layer k
    local        |L_k(g h) - g L_k(h)| / |g L_k(h)|             the layer alone, h its own input

Feature maps (B, C, H, H) move as scalar fields on their own grid, whose spacing is the product of the
strides so far; vectors (B, D) are taken as invariant; layers with an escnn field type move by it; a layer
that keeps the number of channels keeps the action of its input. Anything else needs its action given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.metrics.equivariance.layer_actions import FieldAction, InvariantAction, LayerAction
from eqvae.metrics.equivariance.layer_calls import (
    Call,
    Chain,
    action_by_shape,
    action_of,
    calls,
    layers_of,
)
from eqvae.metrics.equivariance.lie import lie_derivative
from eqvae.metrics.equivariance.norms import disc_norms, norms
from eqvae.metrics.equivariance.sweeps import families, flow
from eqvae.metrics.equivariance.velocity import ImageAction
from eqvae.symmetry.group import Group
from eqvae.symmetry.plane import PlaneMotions


@dataclass(frozen=True)
class LayerRow:
    """The errors of one layer, by kind of motion; a kind is missing where the layer's group lacks it.

    Attributes:
        name: of the module.
        kind: its class.
        shape: of its output for one image.
        n: number of images.
        moves: "map", "fields", "invariant" or "given": how its output is moved.
        errors: cumulative relative errors by kind of motion, "rotation", "quarter_turn", "shift".
        local: of this layer alone.
        lie: local Lie derivatives, |L_X f| / |f|, by family of generators, "rotation", "shift".
        method: how the Lie derivatives were taken.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n: int
    moves: str
    errors: Mapping[str, float] = field(default_factory=dict)
    local: Mapping[str, float] = field(default_factory=dict)
    lie: Mapping[str, float] = field(default_factory=dict)
    method: str = ""


@torch.no_grad()
def layer_table(
    model: nn.Module | Mapping[str, nn.Module],
    x: Tensor,
    names: Sequence[str] | None = None,
    *,
    actions: Mapping[str, LayerAction] | None = None,
    act_in: LayerAction | None = None,
    group: Group = PlaneMotions(),
    angle: float = math.pi / 4,
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
        group: of the motions, see `layer_motions`.
        angle: of the rotation, radians.
        lie: also take local Lie derivatives.

    Returns:
        One row for each layer whose output's action is known; the others are left out.

    Raises:
        ValueError: if a name is not a submodule.
    """
    model = model if isinstance(model, nn.Module) else Chain(model)
    modules = dict(model.chain if isinstance(model, Chain) else model.named_modules())
    names = _names(modules, names, actions or {})
    first = ImageAction(group=group) if act_in is None else act_in
    motions = layer_motions(group, angle)
    motions = {kind: g.expand(len(x), -1).to(x) for kind, g in motions.items()}
    still = calls(model, modules, names, x)
    moved = {kind: calls(model, modules, names, first(g, x)) for kind, g in motions.items()}
    known: list[tuple[Tensor, Any]] = [(x, first)]  # tensors seen, and how each moves
    rows = []
    for name, call in still.items():
        before = next((action for h, action in known if h is call.input), None)
        before = before or action_by_shape(call.input, x, group)
        given = (actions or {}).get(name)
        step = _Step(modules[name], call, before, given or action_of(call, before, group))
        if step.act is None:
            continue
        known.append((call.output, step.act))
        after = {kind: found[name].output for kind, found in moved.items()}
        moves = "given" if given else step.moves
        shape, kind = tuple(call.output.shape[1:]), type(modules[name]).__name__
        found = step.errors(motions, after) | (step.lie(group) if lie else {})
        rows.append(LayerRow(name, kind, shape, len(x), moves, **found))
    return rows


def layer_motions(group: Group, angle: float) -> dict[str, Tensor]:
    """One motion of each kind that a group has, (1, E).

    `angle` along the generators with a period and quarters of it, and 1/2, 1/4, ... along those without.
    """
    found = {}
    for name, family in families(group).items():
        if family[0].period is not None:
            quarter = torch.tensor([angle, family[0].period / 4])
            found[name], found["quarter_turn"] = flow(group, family[0], quarter)[:, None]
        else:
            weights = 0.5 ** torch.arange(1.0, len(family) + 1)
            found[name] = group.exp((weights @ torch.tensor([x.direction for x in family]))[None])
    return found


def _names(
    modules: Mapping[str, nn.Module],
    names: Sequence[str] | None,
    actions: Mapping[str, LayerAction],
) -> list[str]:
    if names is None:
        layers = set(layers_of(modules)) | set(actions)
        names = [name for name in modules if name in layers]
    unknown = [name for name in [*names, *actions] if name not in modules]
    if unknown:
        raise ValueError(
            f"names must be submodules of the network; got {unknown}. It has {list(modules)[:20]}."
        )
    return list(names)


@dataclass(frozen=True)
class _Step:
    """A layer at work: what went through it, and how its input and its output move."""

    module: nn.Module
    call: Call
    before: Any
    act: Any

    @property
    def moves(self) -> str:
        kinds = {ImageAction: "map", FieldAction: "fields", InvariantAction: "invariant"}
        return kinds.get(type(self.act), "given")

    def errors(self, motions: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Any]:
        """Errors of the outputs after motions of the network's input, and of the layer alone."""
        errors, local = {}, {}
        for kind, g in motions.items():
            expected = self.act(g, self.call.output)
            if expected is None:
                continue
            errors[kind] = _relative(after[kind], expected)
            moved = None if self.before is None else self.before(g, self.call.input)
            if moved is not None:
                local[kind] = _relative(self.call.again(self.module, moved), expected)
        return {
            "errors": {kind: value for kind, value in errors.items() if value is not None},
            "local": {kind: value for kind, value in local.items() if value is not None},
        }

    def lie(self, group: Group) -> dict[str, Any]:
        """Local Lie derivatives, relative to the output."""
        found: dict[str, float] = {}
        method = ""
        if self.before is None:
            return {}
        for name, family in families(group).items():
            values = []
            for generator in family:
                pairs = ((self.before, self.call.input), (self.act, self.call.output))
                speeds = [
                    a.velocity(v, generator) if hasattr(a, "velocity") else 0 for a, v in pairs
                ]
                if any(speed is None for speed in speeds):
                    continue
                result = lie_derivative(
                    lambda h: self.call.again(self.module, h),
                    self.call.input,
                    generator.name,
                    act=self.act,
                    act_in=self.before,
                    group=group,
                )
                values.append(result.relative)
                method = result.method
            if values and all(map(math.isfinite, values)):
                found[name] = math.sqrt(sum(v**2 for v in values) / len(values))
        return {"lie": found, "method": method}


def _relative(actual: Tensor, expected: Tensor) -> float | None:
    """Maps are compared on the inscribed disc: beyond it a rotation brings in zeros."""
    on_grid = expected.dim() == 4 and expected.shape[-1] == expected.shape[-2]
    squared, scale = (disc_norms if on_grid else norms)(actual, expected)
    return (squared.sum() / scale.sum()).sqrt().item() if scale.sum() > 0 else None
