"""Structures side by side, all in one scale, which a bar in the first panel tells."""

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from torch import Tensor

from eqvae.three.drawing.flat import draw_structure
from eqvae.three.drawing.skeleton import Skeleton

_SIDE = 2.0  # inches, of a panel
_LETTERS = 13  # of a heading, an inch
_BAR = 0.25  # of the side, at most: as wide is the corner that a circle leaves free


def panels(
    layers: Sequence[tuple[Tensor, str]],
    titles: Sequence[str],
    *,
    skeleton: Skeleton | None = None,
    rows: Sequence[str] = ("",),
    heading: str = "",
) -> Figure:
    """Structures side by side, seen along z, layers drawn over each other.

    The centroid of the first layer's structure is in the middle of each panel; all have the same limits.

    Args:
        layers: structures of all panels, (P, N, 3), and a colour; the panels row by row.
        titles: of the panels, P of them.
        skeleton: what is drawn of them; None for chains in the order of their atoms.
        rows: what stands on the left of each row of panels; P is a multiple of their number.
        heading: of the whole.

    Raises:
        ValueError: if the panels don't fill the rows, or a layer has another number of structures.
    """
    count = len(titles)
    if count % len(rows) or any(len(structures) != count for structures, _ in layers):
        raise ValueError(
            f"titles must name every panel of {len(rows)} equal rows, and layers have a structure for each; "
            f"got {count} titles and {[len(structures) for structures, _ in layers]} structures."
        )
    skeleton = skeleton or Skeleton.chain(layers[0][0].shape[1])
    drawn = [(skeleton(structures).double(), colour) for structures, colour in layers]
    centres = drawn[0][0].mean(dim=1)
    reach = _reach(torch.cat([structures - centres[:, None] for structures, _ in drawn]))
    figure, axes = _empty(titles, rows, heading)
    for i, axis in enumerate(axes.flat):
        for structures, colour in drawn:
            draw_structure(
                axis,
                structures[i],
                skeleton.elements,
                bonds=skeleton.bonds,
                colour=colour,
                reach=reach,
                centre=centres[i],
            )
    add_scale_bar(axes[0, 0], reach)
    return figure


def _empty(titles: Sequence[str], rows: Sequence[str], heading: str) -> tuple[Figure, np.ndarray]:
    """A figure with all its words, and its panels, (rows, columns)."""
    columns = len(titles) // len(rows)
    width = _SIDE * columns + 0.3 * any(rows)
    heading = fill(heading, int(_LETTERS * width))  # a single panel makes it narrow
    lines = len(heading.splitlines())
    size = (width, (_SIDE + 0.25) * len(rows) + 0.1 * bool(lines) + 0.2 * lines)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis, label in zip(axes[:, 0], rows, strict=True):
        where = {"ha": "right", "va": "center", "transform": axis.transAxes}
        axis.text(-0.03, 0.5, label, rotation=90, fontsize=9, **where)
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure, axes


def _reach(structures: Tensor) -> float:
    """Half the side of a square around the circle that holds structures (..., N, 3) seen along z.

    Its corners are free: one of them has the bar.
    """
    return 1.02 * structures[..., :2].norm(dim=-1).max().item() + 0.5


def add_scale_bar(axis: Axes, reach: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten in Angstrom, in the lower left corner.

    Args:
        axis: in Angstrom.
        reach: half the side of what it shows.
    """
    length = bar_length(2 * _BAR * reach)
    bar = AnchoredSizeBar(
        axis.transData, length, f"{length:g} Å", "lower left", frameon=False, pad=0.1, size_vertical=0,
        fontproperties={"size": 8}, sep=3,
    )  # fmt: skip
    bar.size_bar.get_children()[0].set_linewidth(2)
    axis.add_artist(bar)


def bar_length(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... or their tenths, and so on, that is at most so long."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(k * power for k in (5.0, 2.0, 1.0) if k * power <= most)
