"""Figures of a comparison, as matplotlib figures that the caller saves; None where the rows are silent."""

from eqvae.comparison.charts.curves import data_figure, weight_figure
from eqvae.comparison.charts.scenarios import gap_figure, pose_figure, rank_figure
from eqvae.comparison.charts.style import LABELS, style
from eqvae.comparison.charts.tradeoffs import cost_figure, tradeoff_figure

__all__ = [
    "LABELS",
    "cost_figure",
    "data_figure",
    "gap_figure",
    "pose_figure",
    "rank_figure",
    "style",
    "tradeoff_figure",
    "weight_figure",
]
