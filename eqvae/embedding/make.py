"""Make the table of images: in memory, or from file to file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.embedding.clusters import Sample, clustered, clusters_of
from eqvae.embedding.columns import check_own
from eqvae.embedding.files import PART, write_files
from eqvae.embedding.frames import Frames
from eqvae.embedding.images import Images, image_batches
from eqvae.embedding.kept import KeptRows
from eqvae.embedding.rows import Known, described
from eqvae.embedding.table import Embedding, content_of
from eqvae.models.model import Model
from eqvae.watch import Watch, unwatched

_EMPTY = "images is empty: there is nothing to embed."


def embed(
    model: Model,
    images: Images,
    *,
    transfer: Tensor | None = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    frames: Frames | None = None,
    clusters: int | None = None,
    batch: int = 250,
    seed: int = 0,
    watch: Watch = unwatched,
) -> Embedding:
    """Content, pose and cluster of each image, as a table in memory.

        model = eqvae.load_vae("runs/NAME/DATE")
        table = embed(model, images)
        table.column("angle_degrees")

    Args:
        model: in eval mode.
        images: (N, C, H, H) in [0, 1], or a `Batch` of them; or an iterable of either, such as a loader
            of an `ImageDataModule`.
        transfer: radial transfer functions of the optics, (N, Q), for images in one tensor.
        names: of the images, N.
        classes: names of the labels, by number.
        columns: further columns of the table, by name, (N,) each.
        frames: where the images were cut out of whole fields; the table then says where in the field
            lies what the model finds.
        clusters: how many to look for with a Gaussian mixture. None takes the components of a learned
            mixture prior, or 10 where the model has none; 0 leaves the columns empty.
        batch: most images at once.
        seed: of the clustering.
        watch: wraps the batches with a progress bar.

    Raises:
        ValueError: if images are of the wrong shape or not finite, lengths differ, or there are none.
    """
    sample, rows = Sample(seed), []
    for part in _rows(
        model, images, transfer, Known(names, classes, columns, frames), batch, watch
    ):
        rows.append(part)
        sample.add(content_of(part))
    if not rows:
        raise ValueError(_EMPTY)
    assign = clusters_of(model, sample.rows, clusters, seed)
    return Embedding(pa.Table.from_batches([clustered(part, assign) for part in rows]))


def write_embedding(
    model: Model,
    images: Images,
    folder: str | Path,
    *,
    transfer: Tensor | None = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    frames: Frames | None = None,
    clusters: int | None = None,
    batch: int = 250,
    seed: int = 0,
    csv: bool = True,
    key: str | None = None,
    about: Mapping[str, Any] | None = None,
    watch: Watch = unwatched,
) -> Path:
    """The table of `embed` as embedding.parquet and, with `csv`, embedding.csv, with flat memory.

    Rows go to a file of their own as they come, embedding.arrow.part; clusters are then fitted on a sample of
    their content and assigned from file to file. When it is stopped, in whatever way, an older table stays as
    it is, and so do the rows of the new one: the next call with their key goes on behind them.

    Args:
        folder: where to write, made if it is missing; older results are replaced at the end.
        key: what tells these images, model and batch size from others, of an `InOrder`; None starts anew.
        about: what the rows are of, a plain configuration; it goes into the table and to config.yaml.
        csv: whether to write embedding.csv, too; the others are as for `embed`.

    Returns:
        Path of embedding.parquet.

    Raises:
        OSError: if the folder can't be written.
        ValueError: as for `embed`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sample, kept, count = Sample(seed), KeptRows(folder / PART, key), 0
    for part in kept.taken_up():
        sample.add(content_of(part))
        count += len(part)
    if count:
        images = images.after(count)
    known = Known(names, classes, columns, frames)
    try:
        for part in _rows(model, images, transfer, known, batch, watch, count):
            kept.add(part)
            sample.add(content_of(part))
            count += len(part)
        if not count:
            raise ValueError(_EMPTY)
        assign = clusters_of(model, sample.rows, clusters, seed)
        rows = (clustered(part, assign) for part in kept.rows())
        path = write_files(rows, folder, csv=csv, about=about)
    finally:
        kept.close()
    kept.remove()
    return path


def _rows(
    model: Model,
    images: Images,
    transfer: Tensor | None,
    known: Known,
    size: int,
    watch: Watch,
    done: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Rows of images beyond the first `done`, without clusters."""
    check_own(known.columns or ())
    whole = isinstance(images, Tensor | np.ndarray | Batch)
    if whole and known.names is not None and len(known.names) != len(images):
        raise ValueError(
            f"names must have one entry for each of the {len(images)} images; got {len(known.names)}."
        )
    batches = image_batches(model, images, size, transfer, watch)
    yield from described(model, batches, known, done)
