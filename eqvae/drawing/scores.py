"""Scores drawn: one figure for each question of an evaluation."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eqvae.drawing.axes import SQUARE, new_axes
from eqvae.metrics.score import Score

_BLUE, _GREY = "#2757a8", "0.65"


def kl_figure(scores: Mapping[str, Score]) -> Figure:
    """KL by irrep block, with intervals: which blocks carry information."""
    figure, axes = new_axes()
    names = list(scores)
    values = [float(scores[name]) for name in names]
    axes.bar(names, values, color=_BLUE, width=0.6)
    _whiskers(axes, scores.values())
    axes.set(ylabel="KL (nats)", title="Information in each irrep block")
    return figure


def angle_error_figure(degrees: np.ndarray, floor: float) -> Figure:
    """Distribution of angle errors, and their median beside the chance floor."""
    figure, axes = new_axes()
    edges = np.arange(0, 181, 5)
    axes.hist(degrees, bins=edges, color=_BLUE, weights=np.full(len(degrees), 100 / len(degrees)))
    median = float(np.median(degrees))
    axes.axvline(median, color="k", lw=1.2, label=f"median {median:.1f}\u00b0")
    axes.axvline(floor, color=_GREY, ls="--", label=f"chance {floor:.0f}\u00b0")
    axes.set(
        xlabel="angle error, one gauge per class (degrees)",
        ylabel="images (%)",
        xlim=(0, 180),
        title="Pose against the truth",
    )
    axes.legend(frameon=False)
    return figure


def coverage_figure(scores: Mapping[str, tuple[float, Score]]) -> Figure:
    """Coverage of credible sets against their nominal level; on the diagonal is honest.

    Args:
        scores: {"angle 50 %": (0.5, score), ...}: nominal level and measured coverage.
    """
    figure, axes = new_axes(*SQUARE)
    axes.plot([0, 1], [0, 1], color=_GREY, ls="--", label="honest")
    kinds: dict[str, list[tuple[float, Score]]] = {}
    for name, point in scores.items():
        kinds.setdefault(name.split()[0], []).append(point)
    for kind, points in kinds.items():
        points = sorted((p for p in points if p[1].value is not None), key=lambda p: p[0])
        axes.plot([p[0] for p in points], [p[1].value for p in points], "o-", label=kind)
    axes.set(
        xlabel="nominal level", ylabel="truth inside the set", title="Credible sets of the pose"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    return figure


def leak_figure(scores: Mapping[str, Score]) -> Figure:
    """R^2 of pose predicted from content by each probe, beside the shuffled control."""
    figure, axes = new_axes()
    names = [name for name, score in scores.items() if score.value is not None]
    values = [scores[name].value for name in names]
    rows = np.arange(len(names))
    axes.barh(rows, values, color=_BLUE, height=0.55, label="measured")
    floors = [scores[name].floor or 0.0 for name in names]
    axes.scatter(floors, rows, marker="|", s=160, color="k", label="shuffled poses", zorder=3)
    axes.set_yticks(rows, [name.replace("/", ", ") for name in names])
    axes.invert_yaxis()
    axes.set(xlabel="held-out R\u00b2 (0: nothing leaks)", title="Pose predicted from content")
    axes.set_xlim(min([-0.05, *values, *floors]), max([1.0, *values]))
    axes.legend(frameon=False)
    return figure


def content_map(content: np.ndarray, labels: np.ndarray | None, seed: int = 0) -> Figure:
    """The two leading principal components of content, coloured by class where there are classes."""
    from sklearn.decomposition import PCA

    figure, axes = new_axes()
    rows = np.random.default_rng(seed).permutation(len(content))[:3000]
    if content.shape[1] == 1:
        plane = np.column_stack([content[rows], np.zeros(len(rows))])
    else:
        plane = PCA(2, random_state=seed).fit_transform(content[rows])
    if labels is None:
        axes.scatter(*plane.T, s=5, alpha=0.6, color=_BLUE, linewidths=0)
    else:
        for value in np.unique(labels):
            here = labels[rows] == value
            axes.scatter(*plane[here].T, s=5, alpha=0.7, linewidths=0, label=str(value))
        if len(np.unique(labels)) <= 20:
            axes.legend(
                frameon=False, markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8
            )
    axes.set(title="Content, two principal components", xticks=[], yticks=[])
    return figure


def confusion_figure(clusters: np.ndarray, labels: np.ndarray) -> Figure:
    """Classes against clusters, clusters in the order of their best match, per cent of each class."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(labels, clusters).astype(float)
    table *= 100 / table.sum(axis=1, keepdims=True)
    _, matched = linear_sum_assignment(table, maximize=True)
    rest = [c for c in range(table.shape[1]) if c not in matched]
    table = table[:, [*matched, *rest]]
    figure, axes = new_axes(*SQUARE)
    axes.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if table.size <= 225:
        for (i, j), value in np.ndenumerate(table):
            if value >= 0.5:
                ink = "w" if value > 55 else "k"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_yticks(range(len(table)), [str(v) for v in np.unique(labels)])
    axes.set_xticks([])
    axes.set(
        xlabel="clusters, matched",
        ylabel="class",
        title="Classes in one clustering of the content (%)",
    )
    axes.spines[:].set_visible(False)
    return figure


def _whiskers(axes: Axes, scores: Iterable[Score]) -> None:
    for i, score in enumerate(scores):
        if score.interval:
            axes.plot([i, i], score.interval, color="k", lw=1.2)
