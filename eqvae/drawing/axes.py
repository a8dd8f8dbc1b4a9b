"""Axes of matplotlib figures, all of one look; the caller saves the figure."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

SQUARE = (4.6, 4.4)  # inches


def new_axes(width: float = 6.0, height: float = 3.7) -> tuple[Figure, Axes]:
    """A figure of one plot, in inches, without a frame on its right and top."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
