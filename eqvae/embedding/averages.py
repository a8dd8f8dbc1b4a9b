"""Class averages: the images of each cluster, turned upright and centred by their own pose, and averaged.

The aligned average of images x_i of poses g_i is mean_i g_i^-1 x_i; if the poses are right it is sharp,
where the raw average mean_i x_i is a blur. How sharp is measured without a truth: the images are halved at
random, both halves averaged, and the two averages compared, see `eqvae.embedding.resolution`; the curve of
the raw averages says how much of that a blur has already. The halves are aligned by one model: where it was
trained on these very images, noise that it learned by heart agrees as well. Images held out have no such
bias.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.domains import Domain, HexagonalGrid, SquareGrid
from eqvae.embedding.images import Images, image_batches
from eqvae.embedding.latents import upright_latents
from eqvae.embedding.resolution import mean_frc, resolution
from eqvae.embedding.sums import ContentMoments, Highest, ImageSums, Members
from eqvae.embedding.table import Embedding, RowStream, content_of, pose_of, row_batches
from eqvae.embedding.upright import upright
from eqvae.models.model import Model
from eqvae.watch import Watch, unwatched


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


def class_averages(
    model: Model,
    images: Images,
    embedding: Embedding | str | Path,
    *,
    transfer: Tensor | None = None,
    shown: int = 4,
    batch: int = 250,
    seed: int = 0,
    watch: Watch = unwatched,
) -> ClassAverages:
    """Averages of every cluster of an embedding, in one pass over its images, with flat memory.

    What lies beyond an image's border is taken to be as its border is. Where optics are known, the signs
    of their transfer functions are undone first.

    Args:
        model: for the templates.
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
    moments = ContentMoments()
    for rows in row_batches(embedding):
        moments.add(content_of(rows), _clusters_of(rows))
    domain, shape = model.domain, model.image_shape
    if isinstance(domain, HexagonalGrid):  # averages are square, as the eye sees them
        side = round(2 * domain.radius)
        domain, shape = SquareGrid(side, domain.ground), (shape[0], side, side)
    collected = _Collected(moments, shape, domain, shown, seed)
    table = RowStream(row_batches(embedding))
    for part in image_batches(model, images, batch, transfer, watch, "averaging"):
        part = part.replace(image=model.domain.to_pixels(part.image.float()))
        collected.add(part, table.take(len(part)))
    if table.left():
        raise ValueError(
            "embedding has more rows than there are images. Give the images it was made of."
        )
    return collected.averages(model)


class _Collected:
    """All that is kept of the images while they pass."""

    def __init__(
        self,
        moments: ContentMoments,
        shape: tuple[int, int, int],
        domain: Domain,
        shown: int,
        seed: int,
    ):
        self.moments, self.domain = moments, domain
        self.clusters = moments.by_size()
        self.place = {int(k): i for i, k in enumerate(self.clusters)}
        self.sums = ImageSums(len(self.clusters), shape)
        self.typical, self.unusual = (Highest(len(self.clusters), shown, shape) for _ in range(2))
        self.draw = np.random.default_rng(seed)

    def add(self, batch: Batch, rows: pa.Table) -> None:
        content, cluster = content_of(rows), _clusters_of(rows)
        k = torch.tensor([self.place[int(c)] for c in cluster], dtype=torch.int64)
        raw, aligned, grey = upright(batch, pose_of(rows), self.domain)
        self.sums.add(k, torch.from_numpy(self.draw.integers(2, size=len(k))), raw, aligned, grey)
        closeness = -self.moments.distance(content, cluster)
        likelihood = rows.column("log_likelihood").to_numpy(zero_copy_only=False)
        index = rows.column("index").to_pylist()
        shown = aligned + grey
        for i, j in enumerate(k.tolist()):
            self.typical.offer(j, closeness[i], index[i], shown[i])
            self.unusual.offer(j, -likelihood[i], index[i], shown[i])

    def averages(self, model: Model) -> ClassAverages:
        raw, aligned = self.sums.averages()
        frequency, raw_frc, aligned_frc = self.sums.correlations()
        content = np.stack([self.moments.mean(k) for k in self.clusters])
        return ClassAverages(
            cluster=self.clusters,
            count=self.sums.count.sum(dim=1).long().numpy(),
            raw=raw,
            aligned=aligned,
            template=_templates(model, content),
            frequency=frequency,
            raw_frc=raw_frc,
            aligned_frc=aligned_frc,
            typical=self.typical.members(),
            unusual=self.unusual.members(),
        )


def _clusters_of(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    if rows.column("cluster").null_count:
        raise ValueError(
            "embedding must have clusters to average; embed the images with clusters=10."
        )
    return rows.column("cluster").to_numpy(zero_copy_only=False)


@torch.no_grad()
def _templates(model: Model, content: np.ndarray) -> Tensor:
    """What the model makes of contents (K, m) in the middle, upright."""
    c = torch.from_numpy(content).to(next(model.parameters()))
    z = upright_latents(model.representation, c)
    return model.domain.to_pixels(model.decode(z).float().cpu())
