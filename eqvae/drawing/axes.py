"""Axes of matplotlib figures, all of one size and look; the caller saves the figure."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 6.0, 3.7  # inches


def new_axes(*, square: bool = False) -> tuple[Figure, Axes]:
    """A figure with one pair of axes."""
    figure = Figure(
        figsize=(4.6 if square else _WIDTH, 4.4 if square else _HEIGHT), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
