"""Figures over all scenarios: how far the arms lie apart in free energy, in rank and in the pose."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from eqvae.comparison import summary
from eqvae.comparison.charts.style import INK, ink, log_steps, style
from eqvae.comparison.summary import Ranks, Row, Spread, select
from eqvae.drawing.axes import new_axes


def gap_figure(rows: Iterable[Row], column: str = "free_energy") -> Figure | None:
    """Scenarios x arms: nats behind the scenario's best arm; 0 is the best, "~" not separable from it."""
    rows = list(rows)
    scenarios = summary.scenarios(rows)
    means = {scenario: summary.scenario_means(rows, scenario, column) for scenario in scenarios}
    scenarios = [scenario for scenario in scenarios if means[scenario]]
    arms = summary.sort_arms(r["arm"] for r in select(rows, finished=False))
    if not scenarios or not arms:
        return None
    table, text = np.full((len(scenarios), len(arms)), np.nan), {}
    for i, scenario in enumerate(scenarios):
        best = summary.best_arm(means[scenario], column)
        images = summary.main_budget(rows, scenario)
        where = {"scenario": scenario, "images": images, "match": "parameters", "weight": 1.0}
        for j, arm in enumerate(arms):
            tried = select(rows, finished=False, arm=arm, **where)
            lost = sum(r.get("status") != "finished" for r in tried)
            if arm not in means[scenario]:
                text[i, j] = "lost" if tried else ""
                continue
            table[i, j] = abs(means[scenario][arm].mean - means[scenario][best].mean)
            pair = summary.paired(rows, arm, best, column, scenario=scenario, images=images)
            close = arm != best and not (pair and pair.separable)
            text[i, j] = "~" * close + _short(table[i, j]) + "\u2020" * (lost > 0)
    figure = Figure(
        figsize=(max(7.0, 2.2 + 0.62 * len(arms)), 1.7 + 0.42 * len(scenarios)),
        layout="constrained",
    )
    axes = figure.add_subplot()
    top = max(np.nanmax(table), 1.0)
    shade = PowerNorm(0.5, vmin=0, vmax=top)  # small gaps are the interesting ones
    axes.imshow(table, cmap="Blues", norm=shade, aspect="auto")
    for (i, j), words in text.items():
        tone = "w" if np.isfinite(table[i, j]) and shade(table[i, j]) > 0.6 else INK
        weight = "bold" if table[i, j] == 0 else "normal"
        axes.text(j, i, words, ha="center", va="center", fontsize=8, color=tone, weight=weight)
    axes.set_xticks(range(len(arms)), arms, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(scenarios)), scenarios)
    for tick, arm in zip(axes.get_xticklabels(), arms, strict=True):
        tick.set_color(ink(arm))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    title = "Nats behind the best arm of each scenario (~ not separable from it, \u2020 seeds lost)"
    axes.set_title(title, loc="left", fontsize=11)
    return figure


def rank_figure(ranks: Ranks | None) -> Figure | None:
    """Mean ranks with intervals over scenarios; the band is one critical difference from the best."""
    if ranks is None:
        return None
    figure, axes = new_axes(7.2, 1.5 + 0.28 * len(ranks.means))
    best = min(ranks.means.values())
    axes.axvspan(best, best + ranks.critical_difference, color="0.93", lw=0, zorder=0)
    for i, (arm, mean) in enumerate(ranks.means.items()):
        if ranks.intervals:
            axes.plot(ranks.intervals[arm], [i, i], color=style(arm)["color"], lw=1.4)
        axes.plot(mean, i, **style(arm))
    axes.set_yticks(range(len(ranks.means)), list(ranks.means))
    axes.invert_yaxis()
    axes.set(xlabel=f"mean rank over {ranks.blocks} (scenario, seed); 1 is best")
    title = f"Ranks; grey: within {ranks.critical_difference:.1f} of the best"
    axes.set_title(title, loc="left")
    return figure


def pose_figure(rows: Iterable[Row]) -> Figure | None:
    """Median pose error per arm and scenario, chance at 90 degrees; scenarios without truth are left out."""
    rows = list(rows)
    found = {
        scenario: summary.scenario_means(rows, scenario, "pose_degrees")
        for scenario in summary.scenarios(rows)
    }
    found = {scenario: means for scenario, means in found.items() if means}
    if not found:
        return None
    arms = summary.sort_arms(arm for means in found.values() for arm in means)
    across = min(3 if len(found) in (3, 5, 6) else 4, len(found))
    down = math.ceil(len(found) / across)
    figure = Figure(
        figsize=(1.6 + 2.3 * across, down * (0.9 + 0.23 * len(arms))), layout="constrained"
    )
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(found) :]:
        axes.remove()
    for axes, (scenario, means) in zip(panels, found.items(), strict=False):
        _pose_panel(axes, means, arms)
        axes.set_title(scenario, loc="left", fontsize=10)
    log_steps(panels[0])
    panels[0].invert_yaxis()
    figure.supxlabel("median pose error (degrees), dashed: chance", fontsize=10)
    return figure


def _pose_panel(axes, means: Mapping[str, Spread], arms: Sequence[str]) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.axvline(90, color="0.6", ls="--", lw=1)
    axes.grid(axis="x", color="0.93")
    for i, arm in enumerate(arms):
        if arm in means:
            mean, std = max(means[arm].mean, 0.01), means[arm].std or 0.0
            bars = [[min(std, 0.9 * mean)], [std]]
            axes.errorbar(mean, i, xerr=bars, ls="", lw=1, **style(arm) | {"markersize": 5})
    axes.set_yticks(range(len(arms)), arms, fontsize=8)


def _short(number: float) -> str:
    return "0" if number == 0 else f"{number:.2f}" if number < 0.995 else f"{number:.3g}"[:5]
