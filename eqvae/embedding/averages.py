"""Class averages: the images of each cluster, turned upright and centred by their own pose, and averaged.

The aligned average of images x_i of poses g_i is mean_i g_i^-1 x_i; if the poses are right it is sharp,
where the raw average mean_i x_i is a blur. How sharp is measured without a truth: the images are halved at
random, both halves averaged, and the two averages compared at every frequency (Fourier ring correlation),

    FRC(r) = Re sum_k A(k) B(k)* / sqrt( sum_k |A(k)|^2  sum_k |B(k)|^2 ),    k on the ring |k| = r.

It is 1 where the halves agree and about 0 +- 1 / sqrt(number of k) where they hold noise only. A blur
agrees with itself: FRC says that detail is reproduced, not that there is much of it, so that the curve
means something beside that of the raw averages. The halves are aligned by one model: where it was trained
on these very images, noise that it learned by heart agrees as well. Images held out have no such bias.

References: Saxton, Baumeister: The correlation averaging of a regularly arranged bacterial cell envelope
protein (1982), for the FRC; van Heel, Schatz: Fourier shell correlation threshold criteria (2005),
https://doi.org/10.1016/j.jsb.2005.05.009, for how it is read; Rosenthal, Henderson: Optimal determination
of particle orientation (2003), https://doi.org/10.1016/j.jmb.2003.07.013, for 0.143 between halves.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from eqvae.distributions.posed import to_latent
from eqvae.domains.grid import pixel_coordinates
from eqvae.domains.square import act_on_image
from eqvae.drawing.pictures import _INK, _PAPER, _tile
from eqvae.drawing.scores import _axes
from eqvae.embedding.table import (
    Embedding,
    Images,
    Watch,
    content_of,
    image_batches,
    pose_of,
    row_batches,
)
from eqvae.models.pose_vae import PoseVAE
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import identity, inverse

THRESHOLD = 0.143  # of the FRC between two halves
_LOW = 0.25  # cycles per pixel, half of Nyquist
_SHOWN = 30  # clusters in the sheet
_TILE, _GAP, _BLOCK, _LEFT = 96, 3, 16, 150  # pixels of the sheet
_RAW, _ALIGNED = "0.6", "#2757a8"


@dataclass(frozen=True)
class Members:
    """Some images of a cluster, aligned.

    Attributes:
        index: of each in the data.
        images: (n, C, H, H).
    """

    index: list[int]
    images: Tensor


@dataclass(frozen=True)
class ClassAverages:
    """Averages of K clusters, those of the most images first.

    Attributes:
        cluster: number of each cluster, (K,).
        count: its images, (K,).
        raw: averages of the images as they are, (K, C, H, H).
        aligned: averages of the images turned back by their poses, (K, C, H, H).
        template: what the model makes of the mean content, upright, (K, C, H, H).
        frequency: of the rings, cycles per pixel, (R,).
        raw_frc, aligned_frc: between halves, (K, R); NaN where a half has no image.
        typical: images closest to the mean content, best first.
        unusual: images of the lowest log-likelihood, lowest first.
    """

    cluster: np.ndarray
    count: np.ndarray
    raw: Tensor
    aligned: Tensor
    template: Tensor
    frequency: np.ndarray
    raw_frc: np.ndarray
    aligned_frc: np.ndarray
    typical: list[Members]
    unusual: list[Members]

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """By cluster: mean FRC up to half of Nyquist, and the resolution where it falls to 0.143."""
        named = {"raw": self.raw_frc, "aligned": self.aligned_frc}
        means = {f"{n}_frc": mean_frc(self.frequency, frc) for n, frc in named.items()}
        finest = {
            f"{n}_resolution_pixels": np.array([resolution(self.frequency, row) for row in frc])
            for n, frc in named.items()
        }
        return means | finest

    def write(self, folder: str | Path) -> None:
        """averages.npz with the arrays, averages.png, the sheet, and frc.png, the curves."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {n: getattr(self, n) for n in ("cluster", "count", "raw", "aligned", "template")}
        arrays |= {n: getattr(self, n) for n in ("frequency", "raw_frc", "aligned_frc")}
        np.savez_compressed(folder / "averages.npz", **arrays)
        averages_sheet(self).save(folder / "averages.png", optimize=True)
        frc_figure(self).savefig(folder / "frc.png", dpi=150)


def fourier_ring_correlation(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of two images at each frequency, see the formula above.

    Args:
        a, b: images (..., H, H).

    Returns:
        Frequencies in cycles per pixel, 0 to 0.5, (R,), and correlations in [-1, 1], (..., R), float64;
        higher is better, 1 for equal images, 0 where one of them has no power.

    Raises:
        ValueError: if the images differ in shape or are not square.
    """
    if a.shape != b.shape or a.dim() < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"a and b must be square images of one shape; got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    size = a.shape[-1]
    fa, fb = torch.fft.fft2(a.double()), torch.fft.fft2(b.double())
    axis = torch.fft.fftfreq(size, dtype=torch.float64) * size
    ring = (axis[:, None].square() + axis.square()).sqrt().round().long().flatten()
    count = size // 2 + 1
    inside = (ring < count).nonzero()[:, 0]

    def over_rings(values: Tensor) -> Tensor:
        sums = values.new_zeros(*values.shape[:-2], count)
        return sums.index_add(-1, ring[inside], values.flatten(-2)[..., inside])

    cross = over_rings((fa * fb.conj()).real)
    power = (over_rings(fa.abs().square()) * over_rings(fb.abs().square())).sqrt()
    least = 1e-24 * power.amax(dim=-1, keepdim=True)  # rounding is no signal
    frc = torch.where(power > least, cross / power.clamp_min(1e-300), 0.0)
    return torch.arange(count, dtype=torch.float64) / size, frc.clamp(-1, 1)


def mean_frc(frequency: np.ndarray, frc: np.ndarray) -> np.ndarray:
    """Mean FRC (..., R) over the frequencies up to half of Nyquist, without 0."""
    return frc[..., (frequency > 0) & (frequency <= _LOW)].mean(axis=-1)


def resolution(frequency: np.ndarray, frc: np.ndarray, threshold: float = THRESHOLD) -> float:
    """The finest detail that is reproduced: 1 / the frequency where FRC (R,) first falls below; pixels.

    2, Nyquist's limit, if it never does; NaN if there is no FRC.
    """
    if not np.isfinite(frc).all():
        return float("nan")
    below = np.flatnonzero(frc[1:] < threshold) + 1
    if len(below) == 0:
        return float(1 / frequency[-1])
    i = below[0]
    if i == 1:
        return float(1 / frequency[1])
    part = (frc[i - 1] - threshold) / (frc[i - 1] - frc[i])
    return float(1 / (frequency[i - 1] + part * (frequency[i] - frequency[i - 1])))


def class_averages(
    vae: VAE,
    images: Images,
    embedding: Embedding | str | Path,
    *,
    transfer: Tensor | None = None,
    shown: int = 4,
    batch: int = 250,
    seed: int = 0,
    watch: Watch = lambda steps, what: steps,
) -> ClassAverages:
    """Averages of every cluster of an embedding, in one pass over its images, with flat memory.

    What lies beyond an image's border is taken to be as its border is. Where optics are known, the signs
    of their transfer functions are undone first.

    Args:
        vae: the model, for the templates.
        images: those that were embedded, in the same order, see `embed`.
        embedding: in memory, or the file or folder that `write_embedding` wrote.
        transfer: as for `embed`.
        shown: how many typical and unusual images of each cluster are kept.
        batch: most images at once.
        seed: of the halves.
        watch: wraps the batches with a progress bar.

    Raises:
        ValueError: if the embedding has no clusters, or not one row for each image.
    """
    found = _Content()
    for rows in row_batches(embedding):
        found.add(*_clusters_of(rows))
    clusters = found.by_size()
    place = {int(k): i for i, k in enumerate(clusters)}
    sums = typical = unusual = None
    draw = np.random.default_rng(seed)
    tie = itertools.count()
    table = _Rows(row_batches(embedding))
    for part in image_batches(images, batch, transfer, None, watch, "averaging"):
        x = torch.as_tensor(part["image"]).float()
        rows = table.take(len(x))
        content, cluster = _clusters_of(rows)
        k = torch.tensor([place[int(c)] for c in cluster])
        if "transfer" in part:
            x = _signs_undone(x, part["transfer"])
        border = _border(x)
        still = act_on_image(inverse(pose_of(rows)).to(x), x - border, "bicubic")
        if sums is None:
            sums = _Sums(len(clusters), tuple(x.shape[1:]))
            typical, unusual = ([[] for _ in clusters] for _ in range(2))
        half = torch.from_numpy(draw.integers(2, size=len(x)))
        sums.add(k, half, x - border, still, border)
        closeness = -found.distance(content, cluster)
        likelihood = rows.column("log_likelihood").to_numpy(zero_copy_only=False)
        index = rows.column("index").to_pylist()
        for i, j in enumerate(k.tolist()):
            for heap, score in ((typical[j], closeness[i]), (unusual[j], -likelihood[i])):
                if shown and (len(heap) < shown or score > heap[0][0]):
                    entry = (score, next(tie), index[i], (still[i] + border[i]).clone())
                    (heapq.heappush if len(heap) < shown else heapq.heapreplace)(heap, entry)
    if table.left():
        raise ValueError(
            "embedding has more rows than there are images. Give the images it was made of."
        )
    raw, aligned = sums.averages()
    frequency, raw_frc, aligned_frc = sums.correlations()
    return ClassAverages(
        cluster=clusters,
        count=sums.count.sum(dim=1).long().numpy(),
        raw=raw,
        aligned=aligned,
        template=_templates(vae, np.stack([found.mean(k) for k in clusters])),
        frequency=frequency,
        raw_frc=raw_frc,
        aligned_frc=aligned_frc,
        typical=[_members(heap, raw.shape[1:]) for heap in typical],
        unusual=[_members(heap, raw.shape[1:]) for heap in unusual],
    )


def averages_sheet(averages: ClassAverages) -> Image.Image:
    """A row for each cluster: averages, template, typical and unusual images, and how sharp it is."""
    kept = min(len(averages.cluster), _SHOWN)
    size = averages.raw.shape[-1]
    scale = max(1, round(_TILE / size))
    tile = size * scale
    scores = averages.scores
    groups = [
        [
            ("as they are", averages.raw),
            ("aligned", averages.aligned),
            ("template", averages.template),
        ],
        [("closest to the cluster's mean", averages.typical)],
        [("least likely under the model", averages.unusual)],
    ]
    members = max([len(m.index) for m in (*averages.typical, *averages.unusual)], default=0)
    step = tile + _GAP
    starts = [_LEFT, _LEFT + 3 * step + _BLOCK, _LEFT + (3 + members) * step + 2 * _BLOCK]
    caption, top = 15, 92
    width = starts[2] + members * step + _BLOCK
    picture = Image.new("RGB", (width, top + kept * (step + caption) + _BLOCK), _PAPER)
    draw = ImageDraw.Draw(picture)
    large, font, small = (ImageFont.load_default(points) for points in (17, 13, 12))
    grey = (120, 120, 120)
    weight = averages.count / averages.count.sum()
    overall = {n: float(np.nansum(weight * scores[f"{n}_frc"])) for n in ("raw", "aligned")}
    draw.text((_BLOCK, 24), "Class averages", _INK, large, anchor="lm")
    words = (
        f"{averages.count.sum():,} images in {len(averages.cluster)} clusters. FRC between halves, mean up "
        f"to half of Nyquist: {overall['aligned']:.2f} aligned, {overall['raw']:.2f} as they are."
    )
    draw.text((_BLOCK, 47), words, _INK, font, anchor="lm")
    for start, group in zip(starts, groups, strict=True):
        if len(group) == 1 and members:
            middle = start + (members * step - _GAP) // 2
            draw.text((middle, top - 14), group[0][0], _INK, font, anchor="mm")
        elif len(group) > 1:
            for column, (head, _) in enumerate(group):
                draw.text(
                    (start + column * step + tile // 2, top - 14), head, _INK, font, anchor="mm"
                )
    low, high = _grey_range([m.images for m in (*averages.typical, *averages.unusual)])
    for row in range(kept):
        y = top + row * (step + caption)
        text = [
            (f"cluster {averages.cluster[row]}", _INK, font),
            (f"{averages.count[row]:,} images", _INK, small),
            (f"FRC {_two(scores['aligned_frc'][row])}", _INK, small),
            (f"as they are {_two(scores['raw_frc'][row])}", grey, small),
        ]
        lines = y + tile // 2 - 28
        for line, (words, ink, size_) in enumerate(text):
            draw.text((_BLOCK, lines + 18 * line), words, ink, size_, anchor="lm")
        # the template has a brightness of its own; raw and aligned averages are shown alike
        like = (averages.aligned, averages.aligned, averages.template)
        for column, ((_, shown), scale_of) in enumerate(zip(groups[0], like, strict=True)):
            least, most = _grey_range([scale_of[row]], 0.0)
            picture.paste(
                _tile((shown[row] - least) / (most - least), scale), (starts[0] + column * step, y)
            )
        for start, ((_, chosen),) in zip(starts[1:], groups[1:], strict=True):
            some = chosen[row]
            for column, (index, image) in enumerate(zip(some.index, some.images, strict=True)):
                x = start + column * step
                picture.paste(_tile((image - low) / (high - low), scale), (x, y))
                draw.text((x + tile // 2, y + tile + 7), f"{index}", grey, small, anchor="mm")
    return picture


def frc_figure(averages: ClassAverages) -> Figure:
    """FRC of aligned averages beside that of raw ones: each cluster thin, their weighted mean thick."""
    figure, axes = _axes()
    f = averages.frequency
    scores = averages.scores
    for name, frc, colour in (
        ("as they are", averages.raw_frc, _RAW),
        ("aligned by pose", averages.aligned_frc, _ALIGNED),
    ):
        known = np.isfinite(frc).all(axis=1)
        for row in frc[known]:
            axes.plot(f, row, color=colour, lw=0.6, alpha=0.35)
        if known.any():
            mean = np.average(frc[known], axis=0, weights=averages.count[known])
            key = "raw_frc" if name == "as they are" else "aligned_frc"
            number = np.average(scores[key][known], weights=averages.count[known])
            axes.plot(f, mean, color=colour, lw=2.2, label=f"{name}: {number:.2f}")
    axes.axhline(THRESHOLD, color="k", ls=":", lw=1)
    axes.text(0.5, THRESHOLD + 0.015, "0.143", ha="right", va="bottom", fontsize=8)
    axes.axvspan(0, _LOW, color="0.96", zorder=0)
    axes.set(
        xlabel="frequency (cycles per pixel)",
        ylabel="correlation of two halves",
        title="Fourier ring correlation of class averages",
        xlim=(0, 0.5),
        ylim=(min(-0.1, float(np.nanmin(averages.aligned_frc, initial=0.0))), 1.02),
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, title="mean over the shaded range", title_fontsize=8)
    return figure


class _Content:
    """Means and variances of the content of each cluster, from rows as they come."""

    def __init__(self) -> None:
        self.sums: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}

    def add(self, content: np.ndarray, cluster: np.ndarray) -> None:
        content = content.astype(np.float64)
        for k in np.unique(cluster):
            rows = content[cluster == k]
            count, first, second = self.sums.get(int(k), (0, 0.0, 0.0))
            new = count + len(rows), first + rows.sum(axis=0), second + np.square(rows).sum(axis=0)
            self.sums[int(k)] = new

    def by_size(self) -> np.ndarray:
        return np.array(sorted(self.sums, key=lambda k: (-self.sums[k][0], k)), dtype=int)

    def mean(self, k: int) -> np.ndarray:
        count, first, _ = self.sums[int(k)]
        return first / count

    def distance(self, content: np.ndarray, cluster: np.ndarray) -> np.ndarray:
        """Squared distances to the cluster's mean, in its standard deviations, (N,)."""
        distance = np.zeros(len(content))
        for k in np.unique(cluster):
            count, _, second = self.sums[int(k)]
            mean, rows = self.mean(k), cluster == k
            variance = np.maximum(second / count - mean**2, 1e-6)
            distance[rows] = (np.square(content[rows] - mean) / variance).sum(axis=1)
        return distance


class _Sums:
    """Sums of images by cluster and half."""

    def __init__(self, clusters: int, shape: tuple[int, ...]):
        self.shape = shape
        self.count = torch.zeros(clusters, 2, dtype=torch.float64)
        self.raw = torch.zeros(clusters, 2, *shape, dtype=torch.float64)
        self.aligned = torch.zeros_like(self.raw)
        self.border = torch.zeros(clusters, shape[0], 1, 1, dtype=torch.float64)

    def add(self, k: Tensor, half: Tensor, x: Tensor, still: Tensor, border: Tensor) -> None:
        cell = 2 * k + half
        self.count.view(-1).index_add_(0, cell, torch.ones(len(k), dtype=torch.float64))
        for sums, values in ((self.raw, x), (self.aligned, still)):
            sums.view(-1, *self.shape).index_add_(0, cell, values.double())
        self.border.index_add_(0, k, border.double())

    def averages(self) -> tuple[Tensor, Tensor]:
        count = self.count.sum(dim=1)[:, None, None, None]
        ground = self.border / count
        return tuple((s.sum(dim=1) / count + ground).float() for s in (self.raw, self.aligned))

    def correlations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frequencies, FRC of the raw and of the aligned averages, inside a soft disc."""
        window = _soft_disc(self.shape[-1])
        curves = []
        for sums in (self.raw, self.aligned):
            halves = sums.mean(dim=2) / self.count.clamp_min(1)[..., None, None]
            frequency, frc = fourier_ring_correlation(halves[:, 0] * window, halves[:, 1] * window)
            frc[(self.count == 0).any(dim=1)] = torch.nan
            curves.append(frc.numpy())
        return frequency.numpy(), *curves


class _Rows:
    """Rows taken from a stream, as many as are asked for."""

    def __init__(self, parts: Iterator[pa.RecordBatch]):
        self.parts, self.waiting = parts, None

    def take(self, n: int) -> pa.Table:
        taken, missing = [], n
        while missing:
            part = self._next()
            if part is None:
                raise ValueError(
                    "images are more than the embedding has rows. Give the images it was made of."
                )
            taken.append(part.slice(0, missing))
            self.waiting = part.slice(missing) if len(part) > missing else None
            missing -= len(taken[-1])
        return pa.Table.from_batches(taken)

    def left(self) -> bool:
        self.waiting = self._next()
        return self.waiting is not None

    def _next(self) -> pa.RecordBatch | None:
        if self.waiting is not None:
            return self.waiting
        return next((part for part in self.parts if len(part)), None)


def _clusters_of(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    if rows.column("cluster").null_count:
        raise ValueError(
            "embedding must have clusters to average; embed the images with clusters=10."
        )
    return content_of(rows), rows.column("cluster").to_numpy(zero_copy_only=False)


def _border(x: Tensor) -> Tensor:
    """Mean of the outermost pixels, (B, C, 1, 1)."""
    rim = torch.ones(x.shape[-2:], dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    return x[..., rim].mean(dim=-1)[..., None, None]


def _signs_undone(x: Tensor, transfer: Tensor) -> Tensor:
    """Images with the phases turned back where the optics' transfer function is negative."""
    size, last = x.shape[-1], transfer.shape[1] - 1
    axis = 2 * torch.fft.fftfreq(size, dtype=x.dtype)
    place = (axis[:, None].square() + axis.square()).sqrt().clamp(max=1) * last  # (H, H)
    below = place.floor().long().clamp(max=last - 1)
    part = place - below
    h = transfer[:, below] * (1 - part) + transfer[:, below + 1] * part
    sign = torch.where(h < 0, -1.0, 1.0)[:, None]
    return torch.fft.ifft2(torch.fft.fft2(x) * sign).real


def _soft_disc(size: int) -> Tensor:
    """1 within the inscribed disc, falling to 0 at its border over a tenth of its radius, (H, H)."""
    radius = pixel_coordinates(size, size).double().norm(dim=-1)
    edge, width = size / 2, max(size / 20, 1.0)
    along = ((edge - radius) / width).clamp(0, 1)
    return (1 - (np.pi * along).cos()) / 2


def _templates(vae: VAE, content: np.ndarray) -> Tensor:
    """What the model makes of contents (K, m) in the middle, upright."""
    some, latent = next(vae.parameters()), vae.representation
    c = torch.from_numpy(content).to(some)
    if isinstance(vae, PoseVAE):
        z = to_latent(latent, c, identity(len(c), dtype=c.dtype).to(c))
    else:
        z = torch.cat([torch.zeros(len(c), 2).to(c), c], dim=1) if latent.position else c
    with torch.no_grad():
        return vae.decode(z).float().cpu()


def _members(heap: list[tuple], shape: tuple[int, ...]) -> Members:
    best = sorted(heap, key=lambda entry: (-entry[0], entry[1]))
    images = torch.stack([e[3] for e in best]) if best else torch.zeros(0, *shape)
    return Members([e[2] for e in best], images)


def _grey_range(images: Iterable[Tensor], cut: float = 0.002) -> tuple[float, float]:
    values = [image.flatten() for image in images]
    values = torch.cat(values).numpy() if values else np.zeros(1)
    low, high = np.quantile(values, [cut, 1 - cut]) if len(values) else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-6))


def _two(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2f}"
