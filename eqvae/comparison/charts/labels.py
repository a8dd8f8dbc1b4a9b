"""Names beside what they name in a figure, moved apart where they would meet."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eqvae.comparison.charts.style import ink

_REACHES = (
    7,
    12,
    18,
    26,
    36,
    48,
    64,
    84,
    108,
    136,
    168,
    204,
)  # from a point to its name, in points
_ANGLES = np.deg2rad([0, 180, 90, -90, 35, -35, 145, -145, 65, -65, 115, -115])


def label_ends(figure: Figure, axes, ends: Mapping[str, tuple[float, float]]) -> None:
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
    places = apart([y[a] for a in names], gap, inside.y0 / scale, inside.y1 / scale)
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


def label_points(figure: Figure, axes, points: Sequence[tuple]) -> None:
    """Names beside points (name, x, y[, arm]), each at the nearest place free of names and points."""
    scale = _pixels(figure)
    figure.set_layout_engine("none")
    renderer = figure.canvas.get_renderer()
    marks = [axes.transData.transform(p[1:3]) for p in points]
    taken = [_around(x, y, 4 * scale) for x, y in marks]
    taken += [text.get_window_extent(renderer).extents for text in axes.texts]
    lines = _obstacles(axes, scale)
    inside = axes.get_window_extent().extents
    for (x, y), point in sorted(zip(marks, points, strict=True), key=lambda m: -m[0][1]):
        text = axes.text(0, 0, point[0], fontsize=8)
        size = text.get_window_extent(renderer)
        text.remove()
        boxes, reaches = _places(x, y, size.width, size.height, scale)
        i = _first_free(boxes, inside, np.array(taken), lines)
        taken.append(boxes[i])
        center = (boxes[i, :2] + boxes[i, 2:]) / 2
        color = ink(point[3] if len(point) > 3 else point[0])
        leader = {"arrowstyle": "-", "color": color, "lw": 0.5, "alpha": 0.6, "shrinkB": 3}
        axes.annotate(
            point[0],
            point[1:3],
            xytext=((center[0] - x) / scale, (center[1] - y) / scale),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=color,
            arrowprops=leader if reaches[i] > 12 else None,
            annotation_clip=False,
        )


def _places(
    x: float, y: float, width: float, height: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) as x0, y0, x1, y1 in which a name may stand, and their reaches (K,), nearest first."""
    reach, angle = (a.ravel() for a in np.meshgrid(_REACHES, _ANGLES, indexing="ij"))
    beside = np.cos(angle)
    left = x + reach * beside * scale - np.where(beside > 0.2, 0, width)
    left = np.where(abs(beside) < 0.2, x + reach * beside * scale - width / 2, left)
    low = y + reach * np.sin(angle) * scale - height / 2
    return np.stack([left, low, left + width, low + height], axis=1), reach


def _first_free(boxes: np.ndarray, inside: np.ndarray, taken: np.ndarray, lines: np.ndarray) -> int:
    """The first box that meets no name, point or line; else no name or point; else the first."""
    free = (boxes[:, :2] > inside[:2]).all(1) & (boxes[:, 2:] < inside[2:]).all(1)
    free &= ~_meet(boxes, taken)
    clear = free & ~_meet(boxes, lines)
    return int((clear if clear.any() else free).argmax())


def _meet(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which boxes (K, 4) overlap any of the others (N, 4), (K,)."""
    a, b = boxes[:, None], others[None]
    return ((a[..., :2] <= b[..., 2:]) & (b[..., :2] <= a[..., 2:])).all(-1).any(-1)


def _around(x: float, y: float, half: float) -> np.ndarray:
    return np.array([x - half, y - half, x + half, y + half])


def apart(
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


def _obstacles(axes, scale: float) -> np.ndarray:
    """Small boxes (N, 4) along every line and error bar."""
    paths = [axes.transData.transform(line.get_xydata()) for line in axes.lines]
    for bars in axes.collections:
        paths += [axes.transData.transform(path.vertices) for path in bars.get_paths()]
    found = [np.empty((0, 2))]
    for path in paths:
        for start, end in zip(path, path[1:], strict=False):
            steps = 1 + int(np.hypot(*(end - start)) / (4 * scale))
            found.append(start + np.linspace(0, 1, steps + 1)[:, None] * (end - start))
    points = np.concatenate(found)
    return np.concatenate([points - scale, points + scale], axis=1)


def _pixels(figure: Figure) -> float:
    """Pixels per point, after the layout has been settled and frozen."""
    FigureCanvasAgg(figure).draw()
    return figure.dpi / 72
