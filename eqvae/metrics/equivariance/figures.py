"""Pictures of an audit: error against angle, and error against layer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eqvae.metrics.equivariance.layers import LayerRow

_LINES = {  # label, colour (Okabe, Ito: distinct for colour-blind eyes), line
    "encoder": ("encoder", "#0072B2", "-"),
    "scenes/encoder": ("encoder, exact scenes", "#56B4E9", "-"),
    "decoder": ("decoder", "#D55E00", "-"),
    "round_trip": ("round trip", "#009E73", (0, (5, 1.5))),
    "resampling": ("resampling (the test itself)", "#777777", "--"),
}
_FLOOR = 1e-7  # nothing smaller can be told from rounding in float32


def polar_figure(sweeps: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Relative error against the angle, radius on a logarithmic scale; mirrors in a second panel.

    Args:
        sweeps: by part, and `mirror/<part>`, angles in degrees and errors.

    Raises:
        ValueError: if there are no sweeps.
    """
    from matplotlib.figure import Figure

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
        for name, (degrees, error) in parts.items():
            label, colour, line = _LINES.get(name, (name, None, "-"))
            angle = np.radians(np.append(degrees, degrees[0] + 360))
            radius = np.log10(np.clip(np.append(error, error[0]), 10**low, None))
            marks = {"marker": "o", "markersize": 3} if len(degrees) < 30 else {}
            if 0 not in degrees:  # the identity is no test: leave a gap there
                angle, radius = angle[:-1], radius[:-1]
            axes.plot(
                angle, radius, linestyle=line, color=colour, label=label, linewidth=1.8, **marks
            )
        axes.set_rlim(low - 0.4, high + 0.1)
        ticks = np.arange(low, high + 1e-9)
        ticks = ticks[:: max(1, round(len(ticks) / 5))]
        axes.set_rgrids(
            ticks, [_percent(10**t) for t in ticks], angle=67.5, fontsize=8.5, color="0.25"
        )
        axes.set_thetagrids(range(0, 360, 45), fontsize=9)
        axes.grid(color="0.85", linewidth=0.8)
        axes.spines["polar"].set_color("0.7")
        axes.set_title(title, fontsize=10.5, pad=12)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle("Relative equivariance error by angle (centre is better)", fontsize=12)
    return figure


def layer_figure(layers: Sequence["LayerRow"]) -> "Figure":
    """Horizontal bars, one row for each layer: everything up to it, and the layer alone.

    Raises:
        ValueError: if there are no layers.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    if not layers:
        raise ValueError(
            "layers must hold at least one row; got none. Name layers and their actions."
        )
    panels = {
        "quarter turn": ("quarter_turn", "local_quarter_turn"),
        "rotation": ("rotation", "local_rotation"),
        "shift": ("shift", "local_shift"),
    }
    values = [getattr(row, f) for row in layers for pair in panels.values() for f in pair]
    known = [v for v in values if v is not None and v > _FLOOR] or [1.0]
    low, high = 10 ** np.floor(np.log10(min(known))) / 2, 2 * 10 ** np.ceil(np.log10(max(known)))
    figure = Figure(figsize=(10, 1.6 + 0.36 * len(layers)), layout="constrained")
    row = np.arange(len(layers))
    for column, (title, (whole, alone)) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 3, column + 1)
        styles = [
            (whole, "up to this layer", "#0072B2", -0.19),
            (alone, "this layer alone", "#E69F00", 0.19),
        ]
        for key, label, colour, offset in styles:
            width = np.array(
                [np.nan if getattr(r, key) is None else getattr(r, key) for r in layers]
            )
            bars = np.clip(width, low, None) - low
            axes.barh(row + offset, bars, 0.36, left=low, color=colour, label=label)
        for i, layer in enumerate(layers):
            if getattr(layer, whole) is None:
                axes.text(low * 1.3, i, "not in the group", va="center", fontsize=8, color="0.5")
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.set_yticks(row, _names(layers) if column == 0 else [""] * len(layers), fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_major_formatter(lambda v, _: _percent(v))
        axes.minorticks_off()
        axes.tick_params(axis="x", labelsize=8.5)
        axes.grid(axis="x", color="0.88", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_title(title, fontsize=10.5)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle("Relative equivariance error by layer (shorter is better)", fontsize=12)
    return figure


def _names(layers: Sequence["LayerRow"]) -> list[str]:
    return [f"{row.name}  {row.kind}" for row in layers]


def _percent(value: float) -> str:
    percent = 100 * value
    if percent < 1e-2:
        return f"$10^{{{round(np.log10(percent))}}}$ %"
    return f"{percent:g} %"
