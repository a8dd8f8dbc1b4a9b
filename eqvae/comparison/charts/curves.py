"""Figures along the number of training images, and along the weight of the penalties."""

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from eqvae.comparison import summary
from eqvae.comparison.charts.labels import label_ends
from eqvae.comparison.charts.style import FLOOR, LABELS, arms_at, set_ticks, style
from eqvae.comparison.summary import Row, spread
from eqvae.drawing.axes import new_axes


def data_figure(
    rows: Iterable[Row], scenario: str = "se2", column: str = "free_energy"
) -> Figure | None:
    """Free energy against the number of training images, band of +- 1 standard deviation."""
    rows = list(rows)
    curves = {a: summary.curve(rows, a, scenario, column) for a in arms_at(rows, scenario)}
    curves = {arm: points for arm, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    figure, axes = new_axes(8.2, 5.2)
    ends = {}
    for arm, points in curves.items():
        x, s = list(points), [spread(cell.values()) for cell in points.values()]
        mean = np.array([p.mean for p in s])
        std = np.array([p.std or 0.0 for p in s])
        axes.plot(x, mean, lw=1.6, **style(arm))
        axes.fill_between(x, mean - std, mean + std, color=style(arm)["color"], alpha=0.13, lw=0)
        ends[arm] = (x[-1], mean[-1])
    axes.set_xscale("log")
    set_ticks(axes, sorted({x for points in curves.values() for x in points}))
    axes.set(xlabel="training images", ylabel=LABELS.get(column, column))
    axes.set_title(f"Data efficiency at {scenario}", loc="left")
    label_ends(figure, axes, ends)
    return figure


def weight_figure(rows: Iterable[Row], scenario: str = "se2") -> Figure | None:
    """Equivariance errors against the factor on the soft weights, both logarithmic."""
    rows = list(rows)
    columns = ("encoder_error", "decoder_error")
    found = {c: [s for s in summary.sweeps(rows, (c,)) if s.scenario == scenario] for c in columns}
    shown = [c for c in columns if found[c]]
    if not shown:
        return None
    figure = Figure(figsize=(1.2 + 5.4 * len(shown), 4.4), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    labels = []
    for axes, column in zip(panels, shown, strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        ends = {}
        weights = sorted({w for s in found[column] for w in s.points})
        zero = min((w for w in weights if w > 0), default=1.0) / 10  # where weight 0 is drawn
        for sweep in found[column]:
            x = [w or zero for w in sweep.points]
            y = np.maximum([s.mean for s in sweep.points.values()], FLOOR)
            std = np.array([s.std or 0.0 for s in sweep.points.values()])
            low = np.minimum(std, 0.9 * y)  # a bar through 0 has no place on a logarithm
            axes.errorbar(x, y, yerr=(low, std), lw=1.5, **style(sweep.arm))
            ends[sweep.arm] = (x[-1], y[-1])
        means = summary.scenario_means(rows, scenario, column)
        for arm in ("augment", "relaxed", "hard"):
            if arm in means:
                y = max(means[arm].mean, FLOOR)
                axes.axhline(y, color=style(arm)["color"], ls="--", lw=1.1, zorder=0)
                ends[arm] = (max(w or zero for w in weights), y)
        axes.set(xscale="log", yscale="log", xlabel="factor on the soft weights")
        set_ticks(axes, [w or zero for w in weights], [f"{w:g}" for w in weights])
        axes.set_title(LABELS[column], loc="left")
        labels.append((axes, ends))
    for axes, ends in labels:
        label_ends(figure, axes, ends)
    return figure
