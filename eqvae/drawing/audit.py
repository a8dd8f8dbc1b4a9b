"""Pictures of an audit: error against angle, and error against layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from eqvae.metrics.equivariance.audit_result import AuditResult, Curve
from eqvae.metrics.equivariance.layers import LayerRow

_LINES = {  # label, colour (Okabe, Ito: distinct for colour-blind eyes), line
    "encoder": ("encoder", "#0072B2", "-"),
    "scenes/encoder": ("encoder, exact scenes", "#56B4E9", "-"),
    "decoder": ("decoder", "#D55E00", "-"),
    "round_trip": ("round trip", "#009E73", (0, (5, 1.5))),
    "resampling": ("resampling (the test itself)", "#777777", "--"),
}
_BARS = {  # which errors of a layer, label, colour, offset
    "errors": ("up to this layer", "#0072B2", -0.19),
    "local": ("this layer alone", "#E69F00", 0.19),
}
_FLOOR = 1e-7  # nothing smaller can be told from rounding in float32


def polar_figure(found: AuditResult) -> Figure:
    """Relative error against the angle, radius on a logarithmic scale; mirrors in a second panel.

    Raises:
        ValueError: if there are no sweeps.
    """
    sweeps = found.sweeps
    if not sweeps:
        raise ValueError("sweeps must hold at least one part; got none. Run the audit first.")
    panels = {"rotations": {k: v for k, v in sweeps.items() if not k.startswith("mirror/")}}
    mirrors = {k[7:]: v for k, v in sweeps.items() if k.startswith("mirror/")}
    if mirrors:
        panels["mirror, then rotations"] = mirrors
    errors = np.concatenate([np.asarray(e) for panel in panels.values() for _, e in panel.values()])
    low = np.floor(np.log10(max(errors[errors > _FLOOR].min(initial=1.0), _FLOOR)))
    low = min(low, -1.0)
    high = max(0.0, np.log10(max(errors.max(), _FLOOR)))
    figure = Figure(figsize=(4.9 * len(panels) + 0.4, 5.9), layout="constrained")
    for column, (title, parts) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), column + 1, projection="polar")
        for name, curve in parts.items():
            _polar_line(axes, name, curve, low)
        _polar_grid(axes, low, high)
        axes.set_title(title, fontsize=10.5, pad=12)
    _legend(figure, 3)
    figure.suptitle("Relative equivariance error by angle (centre is better)", fontsize=12)
    return figure


def _polar_line(axes: Axes, name: str, curve: Curve, low: float) -> None:
    degrees, error = curve
    label, colour, line = _LINES.get(name, (name, None, "-"))
    angle = np.radians(np.append(degrees, degrees[0] + 360))
    radius = np.log10(np.clip(np.append(error, error[0]), 10**low, None))
    marks = {"marker": "o", "markersize": 3} if len(degrees) < 30 else {}
    if 0 not in degrees:  # the identity is no test: leave a gap there
        angle, radius = angle[:-1], radius[:-1]
    axes.plot(angle, radius, linestyle=line, color=colour, label=label, linewidth=1.8, **marks)


def _polar_grid(axes: Axes, low: float, high: float) -> None:
    axes.set_rlim(low - 0.4, high + 0.1)
    ticks = np.arange(low, high + 1e-9)
    ticks = ticks[:: max(1, round(len(ticks) / 5))]
    axes.set_rgrids(ticks, [_percent(10**t) for t in ticks], angle=67.5, fontsize=8.5, color="0.25")
    axes.set_thetagrids(range(0, 360, 45), fontsize=9)
    axes.grid(color="0.85", linewidth=0.8)
    axes.spines["polar"].set_color("0.7")


def layer_figure(found: AuditResult) -> Figure:
    """Horizontal bars, one row for each layer: everything up to it, and the layer alone.

    Raises:
        ValueError: if there are no layers.
    """
    layers = found.layers
    if not layers:
        raise ValueError(
            "layers must hold at least one row; got none. Name layers and their actions."
        )
    kinds = dict.fromkeys(kind for row in layers for kind in row.errors)
    kinds = sorted(kinds, key=lambda kind: kind != "quarter_turn")  # the exact one first
    values = [v for row in layers for errors in (row.errors, row.local) for v in errors.values()]
    known = [v for v in values if v > _FLOOR] or [1.0]
    low, high = 10 ** np.floor(np.log10(min(known))) / 2, 2 * 10 ** np.ceil(np.log10(max(known)))
    figure = Figure(figsize=(10, 1.6 + 0.36 * len(layers)), layout="constrained")
    for column, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), column + 1)
        _bars(axes, layers, kind, low)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        names = [f"{row.name}  {row.kind}" if column == 0 else "" for row in layers]
        axes.set_yticks(np.arange(len(layers)), names, fontsize=9)
        _bar_grid(axes)
        axes.set_title(kind.replace("_", " "), fontsize=10.5)
    _legend(figure, 2)
    figure.suptitle("Relative equivariance error by layer (shorter is better)", fontsize=12)
    return figure


def _bars(axes: Axes, layers: Sequence[LayerRow], kind: str, low: float) -> None:
    place = np.arange(len(layers))
    for which, (label, colour, offset) in _BARS.items():
        width = np.array([getattr(row, which).get(kind, np.nan) for row in layers])
        bars = np.clip(width, low, None) - low
        axes.barh(place + offset, bars, 0.36, left=low, color=colour, label=label)
    for i, row in enumerate(layers):
        if kind not in row.errors:
            axes.text(low * 1.3, i, "not in the group", va="center", fontsize=8, color="0.5")


def _bar_grid(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_major_formatter(lambda v, _: _percent(v))
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=8.5)
    axes.grid(axis="x", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _legend(figure: Figure, columns: int) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    where = {"loc": "outside lower center", "ncols": columns}
    figure.legend(handles, labels, frameon=False, fontsize=9, **where)


def _percent(value: float) -> str:
    percent = 100 * value
    if percent < 1e-2:
        return f"$10^{{{round(np.log10(percent))}}}$ %"
    return f"{percent:g} %"
