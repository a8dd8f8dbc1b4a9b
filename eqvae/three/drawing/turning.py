"""Structures that turn: frames of a GIF, several side by side."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from eqvae.symmetry.space import SpaceRotations, rotation_matrix
from eqvae.three.drawing.flat import bonds_of, draw_structure, extent
from eqvae.three.drawing.panels import add_scale_bar

_INCHES, _DPI = 2.4, 80


def turning_frames(
    structures: Mapping[str, Tensor],
    elements: Sequence[str],
    *,
    frames: int = 36,
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0),
    bonds: Tensor | None = None,
) -> list[Image.Image]:
    """One full turn about an axis, for `eqvae.drawing.save_gif`; all in one scale, which a bar tells.

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
    canvas, axes = _panels(list(shown), reach)
    drawn = []
    for i in range(frames):
        turn = rotation_matrix(group.exp(2 * math.pi * i / frames * u))[0]
        for title, p in shown.items():
            now, axis = _passed(p, i / frames), axes[title]
            for artist in [*axis.collections]:  # of the frame before; layout and scale bar stay
                artist.remove()
            turned = (now - now.mean(0)) @ turn.T
            draw_structure(axis, turned, elements, bonds=pairs[title], reach=reach)
        canvas.draw()
        drawn.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    return drawn


def _passed(path: Tensor, phase: float) -> Tensor:
    """The conformation (N, 3) that a path has at a phase in [0, 1), there and back."""
    return path[round((1 - abs(2 * phase - 1)) * (len(path) - 1))]


def _panels(titles: Sequence[str], reach: float) -> tuple[FigureCanvasAgg, Mapping[str, Axes]]:
    """An empty figure with a panel below each title, the first one with a scale bar."""
    figure = Figure(figsize=(_INCHES * len(titles), _INCHES * 1.1), dpi=_DPI)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.9, wspace=0.02)
    axes = dict(zip(titles, figure.subplots(1, len(titles), squeeze=False)[0], strict=True))
    for title, axis in axes.items():
        axis.set_title(title, fontsize=9)
    add_scale_bar(axes[titles[0]], reach)
    return FigureCanvasAgg(figure), axes
