"""Class averages drawn: a sheet with a row for each cluster, and the curves of how sharp they are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from eqvae.drawing.axes import new_axes
from eqvae.drawing.tiles import INK, PAPER, tile
from eqvae.embedding.averages import ClassAverages
from eqvae.embedding.resolution import LOW, THRESHOLD
from eqvae.files import written

_SHOWN = 30  # clusters in the sheet
_TILE, _GAP, _MARGIN, _LEFT, _TOP, _CAPTION = 96, 3, 16, 150, 92, 15  # pixels
_FADED = (120, 120, 120)
_RAW, _ALIGNED = "0.6", "#2757a8"
_HEADS = ("as they are", "aligned", "template")
_GROUPS = ("closest to the cluster's mean", "least likely under the model")


def write_averages(averages: ClassAverages, folder: str | Path) -> None:
    """Write averages.npz with the arrays, averages.png, the sheet, and frc.png, the curves."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = (
        "cluster",
        "count",
        "raw",
        "aligned",
        "template",
        "frequency",
        "raw_frc",
        "aligned_frc",
    )
    with written(folder / "averages.npz") as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{name: getattr(averages, name) for name in names})
    with written(folder / "averages.png") as partial:
        averages_sheet(averages).save(partial, format="png", optimize=True)
    with written(folder / "frc.png") as partial:
        frc_figure(averages).savefig(partial, format="png", dpi=150)


def averages_sheet(averages: ClassAverages) -> Image.Image:
    """A row for each cluster: averages, template, typical and unusual images, and how sharp it is."""
    return _Sheet(averages).draw()


class _Sheet:
    """The layout of the sheet, and the picture that is drawn on."""

    def __init__(self, averages: ClassAverages):
        self.averages, self.scores = averages, averages.scores
        self.scale = max(1, round(_TILE / averages.raw.shape[-1]))
        self.tile = averages.raw.shape[-1] * self.scale
        self.step = self.tile + _GAP
        both = (*averages.typical, *averages.unusual)
        self.members = max([len(m.index) for m in both], default=0)
        self.greys = _grey_range([m.images for m in both])
        width = self.members * self.step + _MARGIN
        second = _LEFT + len(_HEADS) * self.step + _MARGIN
        self.starts = [_LEFT, second, second + width]
        self.rows = min(len(averages.cluster), _SHOWN)
        height = _TOP + self.rows * (self.step + _CAPTION) + _MARGIN
        self.picture = Image.new("RGB", (self.starts[2] + width, height), PAPER)
        self.pen = ImageDraw.Draw(self.picture)
        self.large, self.font, self.small = (ImageFont.load_default(size) for size in (17, 13, 12))

    def draw(self) -> Image.Image:
        self._heads()
        for row in range(self.rows):
            y = _TOP + row * (self.step + _CAPTION)
            self._sharpness(row, y)
            self._averages(row, y)
            for start, some in zip(
                self.starts[1:], (self.averages.typical, self.averages.unusual), strict=True
            ):
                for column, (index, image) in enumerate(
                    zip(some[row].index, some[row].images, strict=True)
                ):
                    x = start + column * self.step
                    self._paste(image, self.greys, x, y)
                    self._text(x + self.tile // 2, y + self.tile + 7, f"{index}", "mm", _FADED)
        return self.picture

    def _heads(self) -> None:
        """Title, the scores over all clusters, and what the columns show."""
        averages = self.averages
        weight = averages.count / averages.count.sum()
        overall = {
            n: float(np.nansum(weight * self.scores[f"{n}_frc"])) for n in ("raw", "aligned")
        }
        self.pen.text((_MARGIN, 24), "Class averages", INK, self.large, anchor="lm")
        words = (
            f"{averages.count.sum():,} images in {len(averages.cluster)} clusters. FRC between halves, "
            f"mean up to half of Nyquist: {overall['aligned']:.2f} aligned, {overall['raw']:.2f} as "
            "they are."
        )
        self.pen.text((_MARGIN, 47), words, INK, self.font, anchor="lm")
        heads = [
            (self.starts[0] + column * self.step + self.tile // 2, head)
            for column, head in enumerate(_HEADS)
        ]
        middle = (self.members * self.step - _GAP) // 2
        if self.members:
            heads += [(s + middle, h) for s, h in zip(self.starts[1:], _GROUPS, strict=True)]
        for x, head in heads:
            self.pen.text((x, _TOP - 14), head, INK, self.font, anchor="mm")

    def _sharpness(self, row: int, y: int) -> None:
        count, k = self.averages.count[row], self.averages.cluster[row]
        first = y + self.tile // 2 - 28
        self.pen.text((_MARGIN, first), f"cluster {k}", INK, self.font, anchor="lm")
        lines = [
            (f"{count:,} images", INK),
            (f"FRC {_two(self.scores['aligned_frc'][row])}", INK),
            (f"as they are {_two(self.scores['raw_frc'][row])}", _FADED),
        ]
        for line, (words, ink) in enumerate(lines, start=1):
            self._text(_MARGIN, first + 18 * line, words, "lm", ink)

    def _averages(self, row: int, y: int) -> None:
        """The template has a brightness of its own; raw and aligned averages are shown alike."""
        raw, aligned, template = (
            images[row]
            for images in (self.averages.raw, self.averages.aligned, self.averages.template)
        )
        pairs = ((raw, aligned), (aligned, aligned), (template, template))
        for column, (image, like) in enumerate(pairs):
            greys = _grey_range([like], 0.0)
            self._paste(image, greys, self.starts[0] + column * self.step, y)

    def _paste(self, image: Tensor, greys: tuple[float, float], x: int, y: int) -> None:
        low, high = greys
        self.picture.paste(tile((image - low) / (high - low), self.scale), (x, y))

    def _text(self, x: int, y: int, words: str, anchor: str, ink: tuple[int, int, int]) -> None:
        self.pen.text((x, y), words, ink, self.small, anchor=anchor)


def frc_figure(averages: ClassAverages) -> Figure:
    """FRC of aligned averages beside that of raw ones: each cluster thin, their weighted mean thick."""
    figure, axes = new_axes()
    f = averages.frequency
    for name, key, frc, colour in (
        ("as they are", "raw_frc", averages.raw_frc, _RAW),
        ("aligned by pose", "aligned_frc", averages.aligned_frc, _ALIGNED),
    ):
        known = np.isfinite(frc).all(axis=1)
        for row in frc[known]:
            axes.plot(f, row, color=colour, lw=0.6, alpha=0.35)
        if known.any():
            mean = np.average(frc[known], axis=0, weights=averages.count[known])
            number = np.average(averages.scores[key][known], weights=averages.count[known])
            axes.plot(f, mean, color=colour, lw=2.2, label=f"{name}: {number:.2f}")
    axes.axhline(THRESHOLD, color="k", ls=":", lw=1)
    axes.text(0.5, THRESHOLD + 0.015, "0.143", ha="right", va="bottom", fontsize=8)
    axes.axvspan(0, LOW, color="0.96", zorder=0)
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


def _grey_range(images: Iterable[Tensor], cut: float = 0.002) -> tuple[float, float]:
    values = [image.flatten() for image in images]
    values = torch.cat(values).numpy() if values else np.zeros(1)
    low, high = np.quantile(values, [cut, 1 - cut]) if len(values) else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-6))


def _two(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2f}"
