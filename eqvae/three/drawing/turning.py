"""Structures that turn: frames of a GIF, several side by side."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from eqvae.symmetry.space import SpaceRotations, rotation_matrix
from eqvae.three.drawing.flat import bonds_of, draw_structure, extent

_INCHES, _DPI = 2.4, 80


def turning_frames(
    structures: Mapping[str, Tensor],
    elements: Sequence[str],
    *,
    frames: int = 36,
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0),
    bonds: Tensor | None = None,
) -> list[Image.Image]:
    """One full turn about an axis, for `eqvae.drawing.save_gif`.

    Args:
        structures: by title, one below each; (N, 3), or (F, N, 3) whose conformations pass while it turns.
        elements: symbols of the atoms, the same for all.
        frames: how many.
        axis: that is turned about; the viewer looks down z.
        bonds: pairs of atoms (M, 2) of every structure; None for those of `bonds_of` in each.

    Returns:
        `frames` images.
    """
    group, u = SpaceRotations(), torch.tensor([axis], dtype=torch.float64)
    u = u / u.norm()
    shown = {t: (p if p.dim() == 3 else p[None]).detach().double() for t, p in structures.items()}
    pairs = {t: bonds_of(p[0], elements) if bonds is None else bonds for t, p in shown.items()}
    reach = max(extent(p) for p in shown.values())
    drawn = []
    for i in range(frames):
        turn = rotation_matrix(group.exp(2 * math.pi * i / frames * u))[0]
        now = {title: _passed(p, i / frames) for title, p in shown.items()}
        drawn.append(
            _frame({t: (p - p.mean(0)) @ turn.T for t, p in now.items()}, elements, pairs, reach)
        )
    return drawn


def _passed(path: Tensor, phase: float) -> Tensor:
    """The conformation (N, 3) that a path has at a phase in [0, 1), there and back."""
    return path[round((1 - abs(2 * phase - 1)) * (len(path) - 1))]


def _frame(
    structures: Mapping[str, Tensor],
    elements: Sequence[str],
    bonds: Mapping[str, Tensor],
    reach: float,
) -> Image.Image:
    size = (_INCHES * len(structures), _INCHES * 1.1)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(structures), squeeze=False)[0]
    for axis, (title, positions) in zip(axes, structures.items(), strict=True):
        draw_structure(axis, positions, elements, bonds=bonds[title], reach=reach)
        axis.set_title(title, fontsize=9)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
