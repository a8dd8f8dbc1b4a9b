"""How far any function is from f(g x) = rho_out(g) f(x), beside what the test costs and what chance gives.

    value    root mean square of f(g x) - rho_out(g) f(x) over data and elements, over that of rho_out(g) f(x)
    floor    what the test itself costs: resampling of signals, noise of f
    ceiling  the same error between unrelated inputs; `wrong_element` with rho_out of another element

A value says nothing without the others: outputs that are nearly the same for all inputs have a low ceiling.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eqvae.lens.actions import Movement, Moves, elements_of, movement
from eqvae.lens.function import BlackBox, Function
from eqvae.metrics.equivariance.errors import Errors, each, paired_errors
from eqvae.metrics.equivariance.layers import LayerRow, layer_table
from eqvae.metrics.equivariance.norms import Measure, latent_norms, masked_norms, norms
from eqvae.metrics.equivariance.resampling import resampling_errors
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION
from eqvae.symmetry.plane import PlaneMotions

_CLEAR = 3.0  # times the floor, what the test's own cost may be mistaken for


@dataclass(frozen=True)
class FunctionAudit:
    """What `audit` found.

    Attributes:
        value: relative error over data and elements; 0 is perfect.
        floor: what the test itself costs; 0 for rows of numbers and a function without noise.
        ceiling: the error at chance, between unrelated inputs; about sqrt(2) for outputs without common part.
        wrong_element: the error if another element moves the outputs; 0 for invariant outputs.
        blocks: by irrep block of rho_out its relative error.
        elements: that were tried, (M, E).
        by_element: relative error at each, (M,).
        layers: of a module the errors of each layer whose output's action is known.
        n: number of inputs.
        is_batched: whether f was called with all rows at once.
    """

    value: float
    floor: float
    ceiling: float
    wrong_element: float
    blocks: Mapping[str, float]
    elements: Tensor = field(repr=False)
    by_element: np.ndarray = field(repr=False)
    layers: Sequence[LayerRow] = field(repr=False)
    n: int = 0
    is_batched: bool = True

    @property
    def worst(self) -> tuple[float, Tensor]:
        """The largest error, and the element that has it."""
        k = int(self.by_element.argmax())
        return float(self.by_element[k]), self.elements[k]

    def holds(self, tolerance: float = 1e-6) -> bool:
        """Whether the error is within the tolerance or what the test itself costs, and below chance."""
        return self.value <= max(tolerance, _CLEAR * self.floor) and self.value < 0.5 * self.ceiling

    def __str__(self) -> str:
        worst, _ = self.worst
        return (
            f"f(g x) differs from rho(g) f(x) by {self.value:.2g} of its size (at most {worst:.2g}); the "
            f"test itself costs {self.floor:.2g}, unrelated inputs give {self.ceiling:.2g}."
        )


def audit(
    f: Function,
    group: Group,
    rho_in: Moves,
    rho_out: Moves,
    data: Any,
    *,
    shift: float = 0.0,
    draws: int = 16,
    layers: Mapping[str, Moves] | None = None,
    seed: int = 0,
) -> FunctionAudit:
    """The equivariance error of any function.

    Args:
        f: a torch module, or a function of tensors or NumPy arrays, see `eqvae.lens.function`.
        group: that acts.
        rho_in: how inputs move: a representation or its text, "trivial", "points", a `Domain`, or a function.
        rho_out: how outputs should.
        data: inputs, (N, ...).
        shift: radius of random shifts, in the unit of the points, such as pixels.
        draws: number of random elements.
        layers: by name how outputs of a module's layers move, where they do not tell.
        seed: of the draws.

    Raises:
        ValueError: for functions that answer nothing, and sizes that are not the representations'.

    Example:
        >>> from eqvae.symmetry import SpaceRotations
        >>> group, x = SpaceRotations(parity=True), torch.randn(20, 6)
        >>> momentum = lambda x: torch.linalg.cross(x[:, :3], x[:, 3:])
        >>> (
        ...     audit(momentum, group, "2x1o", "1e", x).holds(),
        ...     audit(momentum, group, "2x1o", "1o", x).holds(),
        ... )
        (True, False)
    """
    box, into = BlackBox(f, data), movement(group, rho_in, "rho_in")
    out = movement(group, rho_out, "rho_out")
    into.check(box.x, "rho_in", "data")
    still, own = box.repeated()
    out.check(still, "rho_out", "outputs of f")
    elements = elements_of(group, draws, shift, seed)
    moved = [box(into.act(g.expand(len(box.x), -1), box.x)) for g in elements[:, None]]
    expected = [out.act(g, still) for g in each(elements, still)]
    found, wrong = _errors(out, elements, moved, expected)
    noise = math.sqrt(2 * own.square().mean() / still.square().mean().clamp(min=1e-300))
    return FunctionAudit(
        value=_mean(found),
        floor=math.hypot(noise, _resampling(box.x, elements, into)),
        ceiling=_mean(replace(found, squared=found.unrelated)),
        wrong_element=_mean(wrong),
        blocks=_blocks(out, elements, moved, expected),
        elements=elements,
        by_element=found.relative,
        layers=_layers(f, box, group, into, layers or {}, shift),
        n=len(box.x),
        is_batched=box.is_batched,
    )


def _errors(
    out: Movement, elements: Tensor, moved: Sequence[Tensor], expected: Sequence[Tensor]
) -> tuple[Errors, Errors]:
    """Of f(g x) against rho(g) f(x), and against rho(h) f(x) with the next element h."""
    measure, others = _measure(out, torch.cat(list(expected))), [*expected[1:], expected[0]]
    return tuple(paired_errors(elements, moved, e, measure) for e in (expected, others))


def _resampling(x: Tensor, elements: Tensor, into: Movement) -> float:
    """What moving the inputs costs; only signals are resampled."""
    return 0.0 if into.domain is None else _mean(resampling_errors(x, elements, into.domain))


def _mean(errors: Errors) -> float:
    return math.sqrt(errors.squared.sum() / max(errors.scale.sum(), 1e-300))


def _measure(out: Movement, outputs: Tensor) -> Measure:
    """Signals count where every motion keeps them, positions in units of their spread."""
    if out.domain is not None:
        return masked_norms(out.domain)
    blocks = () if out.representation is None else out.representation.blocks
    for block in blocks:
        if block.name == POSITION:
            spread = outputs[:, block.slice].std().item()
            return latent_norms(block.slice, max(spread, 1e-12))
    return norms


def _blocks(
    out: Movement, elements: Tensor, moved: Sequence[Tensor], expected: Sequence[Tensor]
) -> dict[str, float]:
    if out.representation is None:
        return {}
    parts = {block.name: block.slice for block in out.representation.blocks}
    return {
        name: _mean(paired_errors(elements, *([y[:, s] for y in ys] for ys in (moved, expected))))
        for name, s in parts.items()
    }


def _layers(
    f: Function,
    box: BlackBox,
    group: Group,
    into: Movement,
    given: Mapping[str, Moves],
    shift: float,
) -> list[LayerRow]:
    """The layer table of a module, under those of its motions that belong to the group."""
    if not isinstance(f, nn.Module):
        return []
    turns = group.rotations if isinstance(group, PlaneMotions) else None
    kinds = {"rotation": turns != 1, "quarter_turn": not (turns or 4) % 4, "shift": shift > 0}
    rows = layer_table(
        f,
        box.language(box.x),
        actions={
            name: movement(group, moves, f"layers[{name!r}]").act for name, moves in given.items()
        },
        act_in=into.act,
        group=group.ambient,
        angle=1.0 if turns is None else 2 * math.pi / turns,
        lie=False,
    )
    kept = []
    for row in rows:
        if row.moves == "invariant":
            continue  # a row of numbers of which nothing is known
        errors, local = (
            {kind: value for kind, value in part.items() if kinds.get(kind, True)}
            for part in (row.errors, row.local)
        )
        kept.append(replace(row, errors=errors, local=local))
    return kept
