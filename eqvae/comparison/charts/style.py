"""How an arm looks in every figure: its colour and its marker, grey or brown dots without a symmetry in the
network, squares for soft, triangles for relaxed and diamonds for hard symmetry; and axes that look alike.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from eqvae.comparison import summary
from eqvae.comparison.arms import arms
from eqvae.comparison.summary import Row, select

FLOOR = 1e-7  # errors below are float noise; a logarithm needs an end
INK, FAINT = "#1d2430", "0.8"
_MARKERS = {"soft": "s", "relaxed": "^", "hard": "D"}  # the rest: "o"
LABELS = {
    "free_energy": "free energy (nats)",
    "elbo": "ELBO (nats)",
    "seconds": "training, processor time (s)",
    "macs": "MACs per image",
    "encoder_error": "encoder error under rotation",
    "decoder_error": "decoder error under rotation",
    "pose_degrees": "median pose error (degrees)",
}


def style(arm: str) -> dict[str, Any]:
    """Colour and marker of an arm; unknown arms are black."""
    known = arms().get(arm)
    colour, marker = ("k", "^") if known is None else (known.colour, _MARKERS.get(known.kind, "o"))
    return {"color": colour, "marker": marker, "markersize": 6}


def ink(arm: str) -> tuple[float, float, float]:
    """The arm's colour, dark enough for small letters on white."""
    return tuple(0.75 * part for part in to_rgb(style(arm)["color"]))


def arms_at(rows: Iterable[Row], scenario: str) -> list[str]:
    """Arms that have cells in a scenario, in order."""
    cells = select(rows, ("budgets", "scenarios"), scenario=scenario)
    return summary.sort_arms(r["arm"] for r in cells)


def set_ticks(axes, places: Sequence[float], names: Sequence[str] | None = None) -> None:
    """Ticks at these places and no others."""
    axes.set_xticks(places, names or [f"{p:,}" for p in places])
    axes.minorticks_off() if axes.get_yscale() == "linear" else axes.xaxis.minorticks_off()


def log_steps(axes) -> None:
    """A logarithmic x axis with ticks at 1, 2, 5 and their decades, written out: 500k, 1M."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_locator(NullLocator())
