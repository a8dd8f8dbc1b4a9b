"""Figures of free energy against what it costs: time, compute, equivariance."""

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from eqvae.comparison import summary
from eqvae.comparison.charts.labels import label_points
from eqvae.comparison.charts.style import FAINT, FLOOR, LABELS, log_steps, style
from eqvae.comparison.summary import Row
from eqvae.drawing.axes import new_axes


def cost_figure(rows: Iterable[Row], scenario: str, cost: str = "seconds") -> Figure | None:
    """Free energy against a cost, both means over seeds; filled: matched parameters, open: matched MACs."""
    rows = list(rows)
    figure, axes = new_axes(8.2, 5.2)
    points, front = [], []
    for match in ("parameters", "macs"):
        energy = summary.scenario_means(rows, scenario, "free_energy", match)
        price = summary.scenario_means(rows, scenario, cost, match)
        for arm in energy.keys() & price.keys():
            if match == "macs" and arm == summary.REFERENCE:
                continue  # the same cells as at matched parameters
            x, y = price[arm], energy[arm]
            fill = {} if match == "parameters" else {"markerfacecolor": "w"}
            axes.errorbar(
                x.mean, y.mean, xerr=x.std, yerr=y.std, ls="", lw=0.9, **style(arm) | fill
            )
            points.append((arm, x.mean, y.mean))
            front.append((x.mean, y.mean))
    if not points:
        return None
    log_steps(axes)
    steps = _front(front)
    axes.step(*zip(*steps, strict=True), where="post", color=FAINT, lw=1.2, zorder=0)
    axes.set(xlabel=LABELS.get(cost, cost), ylabel=LABELS["free_energy"])
    axes.set_title(f"Free energy against cost at {scenario}", loc="left")
    note = "filled: matched parameters, open: matched MACs; grey: Pareto front"
    axes.text(0.99, 0.985, note, transform=axes.transAxes, ha="right", va="top", fontsize=8)
    label_points(figure, axes, points)
    return figure


def tradeoff_figure(rows: Iterable[Row], scenario: str = "se2") -> Figure | None:
    """Free energy against encoder error; a soft arm's weights are a connected line, named at the largest."""
    rows = list(rows)
    energy = summary.scenario_means(rows, scenario)
    error = summary.scenario_means(rows, scenario, "encoder_error")
    figure, axes = new_axes(8.2, 5.6)
    points, swept = (
        [],
        {s.arm: s for s in summary.sweeps(rows, ("encoder_error",)) if s.scenario == scenario},
    )
    for arm, sweep in swept.items():
        line = [
            (weight, max(found.mean, FLOOR), sweep.energy[weight].mean)
            for weight, found in sweep.points.items()
            if weight in sweep.energy
        ]
        if not line:
            continue
        axes.plot(
            [p[1] for p in line], [p[2] for p in line], lw=1.3, **style(arm) | {"markersize": 4}
        )
        points.append((f"{arm} \u00d7{line[-1][0]:g}", *line[-1][1:], arm))
    for arm in energy.keys() & error.keys() - swept.keys():
        x, y = max(error[arm].mean, FLOOR), energy[arm]
        axes.errorbar(x, y.mean, yerr=y.std, ls="", lw=0.9, **style(arm))
        points.append((arm, x, y.mean))
    if not points:
        return None
    axes.set_xscale("log")
    axes.set(
        xlabel=f"{LABELS['encoder_error']} (0 perfect, 1 chance)", ylabel=LABELS["free_energy"]
    )
    axes.set_title(f"Equivariance against free energy at {scenario}", loc="left")
    label_points(figure, axes, points)
    return figure


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both cost and free energy, costs rising."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not kept or y < kept[-1][1]:
            kept.append((x, y))
    return kept
