"""Figures of a comparison, as matplotlib figures that the caller saves.

An arm keeps its colour and its marker everywhere: plain grey, augment brown, soft blue squares, relaxed,
projected and canonicalised green triangles, hard red diamonds. Labels stand beside what they name, and are
moved apart where they would meet.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from eqvae.comparison import summary
from eqvae.comparison.advice import Advice, Support
from eqvae.comparison.summary import ARMS, Ranks, Row, Spread, select, spread

_COLORS = dict(
    zip(
        ARMS,
        ("#808080", "#6b4226")
        + ("#86c0e6", "#5fa3d9", "#3f86c6", "#2266ab", "#6a6fd0", "#0b3c78")
        + ("#1b9e77", "#66c2a5", "#12806a", "#0b5f46", "#8ab82e")
        + ("#f6a58a", "#ef7a5a", "#dd4b39", "#f07f13", "#a50f15"),
        strict=True,
    )
)
_MARKERS = {"soft": "s", "hard": "D", "plain": "o", "augment": "o"}  # the rest: "^"
_FLOOR = 1e-7  # errors below are float noise; a logarithm needs an end
_INK, _FAINT = "#1d2430", "0.8"
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
    marker = _MARKERS.get(arm.split("_")[0], "^")
    return {"color": _COLORS.get(arm, "k"), "marker": marker, "markersize": 6}


def ink(arm: str) -> tuple[float, float, float]:
    """The arm's colour, dark enough for small letters on white."""
    return tuple(0.75 * part for part in to_rgb(style(arm)["color"]))


def gap_figure(rows: Iterable[Row], column: str = "free_energy") -> Figure | None:
    """Levels x arms: nats behind the level's best arm; 0 is the best, "~" not separable from it."""
    rows = list(rows)
    levels = summary.levels(rows)
    means = {level: summary.level_means(rows, level, column) for level in levels}
    levels = [level for level in levels if means[level]]
    arms = summary.in_order((r["arm"] for r in select(rows, finished=False)), ARMS)
    if not levels or not arms:
        return None
    table, text = np.full((len(levels), len(arms)), np.nan), {}
    for i, level in enumerate(levels):
        best = summary.best_arm(means[level], column)
        images = summary.main_budget(rows, level)
        where = {"level": level, "images": images, "match": "parameters", "weight": 1.0}
        for j, arm in enumerate(arms):
            tried = select(rows, finished=False, arm=arm, **where)
            lost = sum(r.get("status") != "finished" for r in tried)
            if arm not in means[level]:
                text[i, j] = "lost" if tried else ""
                continue
            table[i, j] = abs(means[level][arm].mean - means[level][best].mean)
            pair = summary.paired(rows, arm, best, column, level=level, images=images)
            close = arm != best and not (pair and pair.separable)
            text[i, j] = "~" * close + _short(table[i, j]) + "\u2020" * (lost > 0)
    figure = Figure(
        figsize=(max(7.0, 2.2 + 0.62 * len(arms)), 1.7 + 0.42 * len(levels)), layout="constrained"
    )
    axes = figure.add_subplot()
    top = max(np.nanmax(table), 1.0)
    shade = PowerNorm(0.5, vmin=0, vmax=top)  # small gaps are the interesting ones
    axes.imshow(table, cmap="Blues", norm=shade, aspect="auto")
    for (i, j), words in text.items():
        tone = "w" if np.isfinite(table[i, j]) and shade(table[i, j]) > 0.6 else _INK
        weight = "bold" if table[i, j] == 0 else "normal"
        axes.text(j, i, words, ha="center", va="center", fontsize=8, color=tone, weight=weight)
    axes.set_xticks(range(len(arms)), arms, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(levels)), levels)
    for tick, arm in zip(axes.get_xticklabels(), arms, strict=True):
        tick.set_color(ink(arm))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    title = "Nats behind the best arm of each level (~ not separable from it, \u2020 seeds lost)"
    axes.set_title(title, loc="left", fontsize=11)
    return figure


def data_figure(
    rows: Iterable[Row], level: str = "se2", column: str = "free_energy"
) -> Figure | None:
    """Free energy against the number of training images, band of +- 1 standard deviation."""
    rows = list(rows)
    curves = {a: summary.curve(rows, a, level, column) for a in _arms(rows, level)}
    curves = {arm: points for arm, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    figure, axes = _axes(8.2, 5.2)
    ends = {}
    for arm, points in curves.items():
        x, s = list(points), [spread(cell.values()) for cell in points.values()]
        mean = np.array([p.mean for p in s])
        std = np.array([p.std or 0.0 for p in s])
        axes.plot(x, mean, lw=1.6, **style(arm))
        axes.fill_between(x, mean - std, mean + std, color=style(arm)["color"], alpha=0.13, lw=0)
        ends[arm] = (x[-1], mean[-1])
    axes.set_xscale("log")
    _ticks(axes, sorted({x for points in curves.values() for x in points}))
    axes.set(xlabel="training images", ylabel=LABELS.get(column, column))
    axes.set_title(f"Data efficiency at {level}", loc="left")
    _label_ends(figure, axes, ends)
    return figure


def cost_figure(rows: Iterable[Row], level: str, cost: str = "seconds") -> Figure | None:
    """Free energy against a cost, both means over seeds; filled: matched parameters, open: matched MACs."""
    rows = list(rows)
    figure, axes = _axes(8.2, 5.2)
    points, front = [], []
    for match in ("parameters", "macs"):
        energy = summary.level_means(rows, level, "free_energy", match)
        price = summary.level_means(rows, level, cost, match)
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
    _log_steps(axes)
    steps = _front(front)
    axes.step(*zip(*steps, strict=True), where="post", color=_FAINT, lw=1.2, zorder=0)
    axes.set(xlabel=LABELS.get(cost, cost), ylabel=LABELS["free_energy"])
    axes.set_title(f"Free energy against cost at {level}", loc="left")
    note = "filled: matched parameters, open: matched MACs; grey: Pareto front"
    axes.text(0.99, 0.985, note, transform=axes.transAxes, ha="right", va="top", fontsize=8)
    _label_points(figure, axes, points)
    return figure


def tradeoff_figure(rows: Iterable[Row], level: str = "se2") -> Figure | None:
    """Free energy against encoder error; a soft arm's weights are a connected line, named at the largest."""
    rows = list(rows)
    energy = summary.level_means(rows, level)
    error = summary.level_means(rows, level, "encoder_error")
    figure, axes = _axes(8.2, 5.6)
    points, swept = (
        [],
        {s.arm: s for s in summary.sweeps(rows, ("encoder_error",)) if s.level == level},
    )
    for arm, sweep in swept.items():
        line = [
            (weight, max(found.mean, _FLOOR), sweep.energy[weight].mean)
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
        x, y = max(error[arm].mean, _FLOOR), energy[arm]
        axes.errorbar(x, y.mean, yerr=y.std, ls="", lw=0.9, **style(arm))
        points.append((arm, x, y.mean))
    if not points:
        return None
    axes.set_xscale("log")
    axes.set(
        xlabel=f"{LABELS['encoder_error']} (0 perfect, 1 chance)", ylabel=LABELS["free_energy"]
    )
    axes.set_title(f"Equivariance against free energy at {level}", loc="left")
    _label_points(figure, axes, points)
    return figure


def weight_figure(rows: Iterable[Row], level: str = "se2") -> Figure | None:
    """Equivariance errors against the factor on the soft weights, both logarithmic."""
    rows = list(rows)
    columns = ("encoder_error", "decoder_error")
    found = {c: [s for s in summary.sweeps(rows, (c,)) if s.level == level] for c in columns}
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
            y = np.maximum([s.mean for s in sweep.points.values()], _FLOOR)
            std = np.array([s.std or 0.0 for s in sweep.points.values()])
            low = np.minimum(std, 0.9 * y)  # a bar through 0 has no place on a logarithm
            axes.errorbar(x, y, yerr=(low, std), lw=1.5, **style(sweep.arm))
            ends[sweep.arm] = (x[-1], y[-1])
        means = summary.level_means(rows, level, column)
        for arm in ("augment", "relaxed", "hard"):
            if arm in means:
                y = max(means[arm].mean, _FLOOR)
                axes.axhline(y, color=style(arm)["color"], ls="--", lw=1.1, zorder=0)
                ends[arm] = (max(w or zero for w in weights), y)
        axes.set(xscale="log", yscale="log", xlabel="factor on the soft weights")
        _ticks(axes, [w or zero for w in weights], [f"{w:g}" for w in weights])
        axes.set_title(LABELS[column], loc="left")
        labels.append((axes, ends))
    for axes, ends in labels:
        _label_ends(figure, axes, ends)
    return figure


def rank_figure(ranks: Ranks | None) -> Figure | None:
    """Mean ranks with intervals over levels; the band is one critical difference from the best."""
    if ranks is None:
        return None
    figure, axes = _axes(7.2, 1.5 + 0.28 * len(ranks.means))
    best = min(ranks.means.values())
    axes.axvspan(best, best + ranks.critical_difference, color="0.93", lw=0, zorder=0)
    for i, (arm, mean) in enumerate(ranks.means.items()):
        if ranks.intervals:
            axes.plot(ranks.intervals[arm], [i, i], color=style(arm)["color"], lw=1.4)
        axes.plot(mean, i, **style(arm))
    axes.set_yticks(range(len(ranks.means)), list(ranks.means))
    axes.invert_yaxis()
    axes.set(xlabel=f"mean rank over {ranks.blocks} (level, seed); 1 is best")
    title = f"Ranks; grey: within {ranks.critical_difference:.1f} of the best"
    axes.set_title(title, loc="left")
    return figure


def pose_figure(rows: Iterable[Row]) -> Figure | None:
    """Median pose error per arm and level, chance at 90 degrees; levels without truth are left out."""
    rows = list(rows)
    found = {
        level: summary.level_means(rows, level, "pose_degrees") for level in summary.levels(rows)
    }
    found = {level: means for level, means in found.items() if means}
    if not found:
        return None
    arms = summary.in_order((arm for means in found.values() for arm in means), ARMS)
    across = min(3 if len(found) in (3, 5, 6) else 4, len(found))
    down = math.ceil(len(found) / across)
    figure = Figure(
        figsize=(1.6 + 2.3 * across, down * (0.9 + 0.23 * len(arms))), layout="constrained"
    )
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(found) :]:
        axes.remove()
    for axes, (level, means) in zip(panels, found.items(), strict=False):
        _pose_panel(axes, means, arms)
        axes.set_title(level, loc="left", fontsize=10)
    _log_steps(panels[0])
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


def _arms(rows: Iterable[Row], level: str) -> list[str]:
    cells = select(rows, ("budgets", "levels"), level=level)
    return summary.in_order((r["arm"] for r in cells), ARMS)


def _axes(width: float, height: float):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _ticks(axes, places: Sequence[float], names: Sequence[str] | None = None) -> None:
    axes.set_xticks(places, names or [f"{p:,}" for p in places])
    axes.minorticks_off() if axes.get_yscale() == "linear" else axes.xaxis.minorticks_off()


def _log_steps(axes) -> None:
    """A logarithmic x axis with ticks at 1, 2, 5 and their decades, written out: 500k, 1M."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_locator(NullLocator())


def _short(number: float) -> str:
    return "0" if number == 0 else f"{number:.2f}" if number < 0.995 else f"{number:.3g}"[:5]


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both cost and free energy, costs rising."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not kept or y < kept[-1][1]:
            kept.append((x, y))
    return kept


def _pixels(figure: Figure) -> float:
    """Pixels per point, after the layout has been settled and frozen."""
    FigureCanvasAgg(figure).draw()
    return figure.dpi / 72


def _label_ends(figure: Figure, axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Names at the right ends of lines, apart by at least a line's height."""
    if figure.get_layout_engine() is not None:
        _pixels(figure)
        figure.set_layout_engine("none")
    scale, gap = figure.dpi / 72, 10.5
    # room for the names: the axes give up a strip on their right
    box = axes.get_position()
    strip = 78 / 72 / figure.get_size_inches()[0]
    axes.set_position([box.x0, box.y0, box.width - strip, box.height])
    y = {a: axes.transData.transform(p)[1] / scale for a, p in ends.items()}
    names = sorted(y, key=y.get)
    inside = axes.get_window_extent()
    right = inside.x1 / scale
    places = _apart([y[a] for a in names], gap, inside.y0 / scale, inside.y1 / scale)
    for arm, place in zip(names, places, strict=True):
        start = axes.transData.transform(ends[arm])[0] / scale
        axes.annotate(
            arm,
            ends[arm],
            xytext=(right - start + 12, place - y[arm]),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=ink(arm),
            arrowprops={"arrowstyle": "-", "color": ink(arm), "lw": 0.5, "alpha": 0.6},
            annotation_clip=False,
        )


def _apart(
    places: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """Sorted places moved as little as possible (least squares) until neighbours are `gap` apart.

    They stay within [low, high] where they fit.
    """
    pools: list[list[float]] = []  # pool adjacent violators on place - index * gap
    for i, place in enumerate(places):
        pools.append([place - i * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    flat = np.array([np.mean(pool) for pool in pools for _ in pool])
    flat = np.maximum(np.minimum(flat, high - (len(flat) - 1) * gap), low)
    return [float(place + i * gap) for i, place in enumerate(flat)]


def _obstacles(axes, scale: float) -> list[Bbox]:
    """Small boxes along every line and error bar."""
    paths = [axes.transData.transform(line.get_xydata()) for line in axes.lines]
    for bars in axes.collections:
        paths += [axes.transData.transform(path.vertices) for path in bars.get_paths()]
    found = []
    for path in paths:
        for start, end in zip(path, path[1:], strict=False):
            steps = 1 + int(np.hypot(*(end - start)) / (4 * scale))
            for x, y in start + np.linspace(0, 1, steps + 1)[:, None] * (end - start):
                found.append(Bbox.from_bounds(x - scale, y - scale, 2 * scale, 2 * scale))
    return found


def _label_points(figure: Figure, axes, points: Sequence[tuple]) -> None:
    """Names beside points (name, x, y[, arm]), each at the nearest place free of names and points."""
    scale = _pixels(figure)
    figure.set_layout_engine("none")
    renderer = figure.canvas.get_renderer()
    marks = [axes.transData.transform(p[1:3]) for p in points]
    taken = [Bbox.from_bounds(x - 4 * scale, y - 4 * scale, 8 * scale, 8 * scale) for x, y in marks]
    taken += [text.get_window_extent(renderer) for text in axes.texts]
    lines = _obstacles(axes, scale)
    inside = axes.get_window_extent()
    for (x, y), point in sorted(zip(marks, points, strict=True), key=lambda m: -m[0][1]):
        color = ink(point[3] if len(point) > 3 else point[0])
        text = axes.text(0, 0, point[0], fontsize=8)
        size = text.get_window_extent(renderer)
        text.remove()
        width, height = size.width, size.height
        options = []
        for reach in (7, 12, 18, 26, 36, 48, 64, 84, 108, 136, 168, 204):
            for angle in np.deg2rad([0, 180, 90, -90, 35, -35, 145, -145, 65, -65, 115, -115]):
                dx, dy = reach * math.cos(angle) * scale, reach * math.sin(angle) * scale
                left = x + dx - (0 if math.cos(angle) > 0.2 else width)
                left = x + dx - width / 2 if abs(math.cos(angle)) < 0.2 else left
                options.append((Bbox.from_bounds(left, y + dy - height / 2, width, height), reach))
        room = [
            (box, reach)
            for box, reach in options
            if inside.x0 < box.x0
            and box.x1 < inside.x1
            and inside.y0 < box.y0
            and box.y1 < inside.y1
            and not any(box.overlaps(other) for other in taken)
        ]
        clear = (o for o in room if not any(o[0].overlaps(line) for line in lines))
        box, reach = next(clear, (room or options)[0])
        taken.append(box)
        center = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        axes.annotate(
            point[0],
            point[1:3],
            xytext=((center[0] - x) / scale, (center[1] - y) / scale),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=color,
            arrowprops=None
            if reach <= 12
            else {"arrowstyle": "-", "color": color, "lw": 0.5, "alpha": 0.6, "shrinkB": 3},
            annotation_clip=False,
        )


def advice_figure(advice: Advice, support: Sequence[Support]) -> Figure:
    """What the pilots of `scripts/advise.py` found: nats behind the best arm, and what motions cost."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    arms = list(advice.behind)[::-1]
    left.barh(
        arms, [advice.behind[a] for a in arms], xerr=[advice.error[a] for a in arms],
        color=[style(a)["color"] for a in arms],
    )  # fmt: skip
    left.set_xlabel("held-out ELBO behind the best arm (nats), bars: \u00b1 s.e.")
    left.set_title(f"Best: {advice.arm}, in {100 * advice.chance[advice.arm]:.0f} % of samples")
    names = [s.symmetry for s in support][::-1]
    right.barh(
        names,
        [s.loss for s in support][::-1],
        xerr=[2 * s.error for s in support][::-1],
        color=_FAINT,
    )
    right.axvline(0, color=_INK, linewidth=0.8)
    right.set_xlabel("nats lost, bars: \u00b1 2 s.e.")
    right.set_title("Moved images, without symmetry")
    return figure
