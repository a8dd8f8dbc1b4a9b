"""A row for each image: content, pose and how far to trust it, cluster, log-likelihood.

    index, name, label           which image it is
    content_0, ...               what the object is, whatever its pose
    angle_degrees                mode of q(g | x), counter-clockwise, in [0, 360)
    x_pixels, y_pixels           from the image centre, y up
    reflected                    whether the object is seen as its mirror image; with reflections only
    angle_credible90_degrees     size of the smallest set of angles that holds 90 % of q: 324 says nothing
    angle_sd_degrees             standard deviation within one of the `symmetry_order` equal modes
    x_sd_pixels, y_sd_pixels     standard deviations of the position
    symmetry_order               k if q looks the same after 1/k turn, 0 for any angle
    pose_known                   false where that credible set takes 270 degrees or more
    log_likelihood               ELBO in nats, with the mean content for a draw (which makes it about half
                                 a nat for each content coordinate higher), so that it is no random number
    cluster, cluster_probability component of the content's mixture

What a model or its data can't tell is empty. Images are streamed: memory does not grow with their number,
but for what the caller keeps.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from torch import Tensor

from eqvae.distributions import rows_of
from eqvae.distributions.frame import read_content, read_pose
from eqvae.distributions.pose import PosePosterior, credible_degrees
from eqvae.distributions.posed import PosedPosterior
from eqvae.metrics.clustering.clusterers import fit_mixture, varying
from eqvae.metrics.pose.symmetry_order import symmetry_order
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import motion

PARQUET, CSV, PART = "embedding.parquet", "embedding.csv", "embedding.arrow.part"
CLUSTERS = 10
SAMPLE = 20_000  # rows of content that clusters are fitted on
_STARTS = 3  # of the fit; the likeliest is kept
_GROUP = 5_000  # rows, at least, of a row group in the file
_POINTS = 720  # of the grid of angles
_LEVEL, _UNKNOWN = 0.9, 270.0  # degrees
_BINS = (8, 32, 128)  # a posterior is evaluated with as many of its bins as hold all but 1e-7

Watch = Callable[[Iterable, str], Iterable]  # (steps, what) -> the steps, with a progress bar
Images = Tensor | np.ndarray | Iterable[Tensor | dict[str, Any]]
Probabilities = Callable[[np.ndarray], np.ndarray]  # content (N, m) -> p(cluster | content), (N, K)


@dataclass(frozen=True)
class Embedding:
    """A table with the columns that the module's docstring lists.

    Attributes:
        table: a pyarrow Table.
    """

    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def columns(self) -> list[str]:
        return self.table.column_names

    def column(self, name: str) -> np.ndarray:
        """One column, (N,); what is empty is NaN among numbers and None among others.

        Raises:
            ValueError: if there is no such column.
        """
        if name not in self.columns:
            raise ValueError(f"name must be one of {', '.join(self.columns)}; got {name!r}.")
        column = self.table.column(name)
        if pa.types.is_boolean(column.type) and column.null_count:
            return np.array(column.to_pylist(), dtype=object)
        return column.to_numpy(zero_copy_only=False)

    @property
    def content(self) -> np.ndarray:
        """(N, m)."""
        return content_of(self.table)

    @property
    def pose(self) -> Tensor:
        """Motions [reflection, angle, x, y] in radians and pixels, (N, 4), 0 where unknown."""
        return pose_of(self.table)

    def to_frame(self) -> Any:
        """The same as a pandas DataFrame."""
        return self.table.to_pandas()

    def write(self, folder: str | Path) -> Path:
        """Write embedding.parquet and embedding.csv; returns the path of the first."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return _write(iter(self.table.to_batches()), folder)

    @classmethod
    def read(cls, path: str | Path) -> "Embedding":
        """What was written, from the file or its folder."""
        path = Path(path)
        return cls(pa.parquet.read_table(path / PARQUET if path.is_dir() else path))


def embed(
    vae: VAE,
    images: Images,
    *,
    transfer: Tensor | None = None,
    names: Sequence[str] | None = None,
    clusters: int | None = None,
    batch: int = 250,
    seed: int = 0,
    watch: Watch = lambda steps, what: steps,
) -> Embedding:
    """Content, pose and cluster of each image, as a table in memory.

        vae = eqvae.load_vae("runs/NAME/DATE")
        table = embed(vae, images)
        table.column("angle_degrees")

    Args:
        vae: the model.
        images: (N, C, H, H) in [0, 1]; or batches of them, or of dicts as an `ImageDataModule` serves
            them, with "image" and as many of "index", "label", "transfer" and "name" as are known.
        transfer: radial transfer functions of the optics, (N, Q), for images in one tensor.
        names: of the images, N.
        clusters: how many to look for with a Gaussian mixture. None takes the components of a learned
            mixture prior, or 10 where the model has none; 0 leaves the columns empty.
        batch: most images at once.
        seed: of the clustering.
        watch: wraps the batches with a progress bar.

    Raises:
        ValueError: if images are of the wrong shape or not finite, lengths differ, or there are none.
    """
    sample, rows = _Sample(SAMPLE, seed), []
    for part in _described(vae, image_batches(images, batch, transfer, names, watch)):
        rows.append(part)
        sample.add(content_of(part))
    if not rows:
        raise ValueError("images is empty: there is nothing to embed.")
    assign = _assignment(vae, sample.rows, clusters, seed)
    return Embedding(pa.Table.from_batches([_clustered(part, assign) for part in rows]))


def write_embedding(
    vae: VAE,
    images: Images,
    folder: str | Path,
    *,
    transfer: Tensor | None = None,
    names: Sequence[str] | None = None,
    clusters: int | None = None,
    batch: int = 250,
    seed: int = 0,
    watch: Watch = lambda steps, what: steps,
) -> Path:
    """The table of `embed` as embedding.parquet and embedding.csv, with flat memory.

    Rows go to a file of their own as they come; clusters are then fitted on a sample of their content and
    assigned from file to file. When it is interrupted, the rows there are get clusters and are written.

    Args:
        folder: where to write, made if it is missing; older results are replaced at the end.
        vae, images, transfer, names, clusters, batch, seed, watch: as for `embed`.

    Returns:
        Path of embedding.parquet.

    Raises:
        OSError: if the folder can't be written.
        ValueError: as for `embed`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sample, count = _Sample(SAMPLE, seed), 0
    with pa.OSFile(str(folder / PART), "wb") as sink:
        writer = None
        try:
            for part in _described(vae, image_batches(images, batch, transfer, names, watch)):
                writer = writer or pa.ipc.new_stream(sink, part.schema)
                writer.write_batch(part)
                sample.add(content_of(part))
                count += len(part)
        finally:  # nothing that is computed is lost
            if writer is not None:
                writer.close()
                sink.flush()
                assign = _assignment(vae, sample.rows, clusters, seed)
                with pa.OSFile(str(folder / PART)) as source:
                    stored = pa.ipc.open_stream(source)
                    _write((_clustered(part, assign) for part in stored), folder)
            (folder / PART).unlink()
    if not count:
        raise ValueError("images is empty: there is nothing to embed.")
    return folder / PARQUET


def row_batches(embedding: Embedding | str | Path, size: int = 250) -> Iterator[pa.RecordBatch]:
    """Rows of an embedding in memory, or in a file or folder that is not read at once."""
    if isinstance(embedding, Embedding):
        yield from embedding.table.to_batches(size)
        return
    path = Path(embedding)
    with pa.parquet.ParquetFile(path / PARQUET if path.is_dir() else path) as file:
        yield from file.iter_batches(size)


def content_of(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Content of rows, (N, m)."""
    names = [name for name in rows.schema.names if name.startswith("content_")]
    return np.stack([rows.column(name).to_numpy(zero_copy_only=False) for name in names], axis=1)


def pose_of(rows: pa.RecordBatch | pa.Table) -> Tensor:
    """Motions [reflection, angle, x, y] of rows, radians and pixels, (N, 4), 0 where unknown."""
    reflected, angle, x, y = (
        torch.from_numpy(np.nan_to_num(_numbers(rows, name)))
        for name in ("reflected", "angle_degrees", "x_pixels", "y_pixels")
    )
    return motion(torch.deg2rad(angle), torch.stack([x, y], dim=1), reflected, dtype=torch.float64)


def image_shape(vae: VAE) -> tuple[int, int, int]:
    """(C, H, H) of the images that a model knows."""
    some = next(vae.parameters())
    with torch.no_grad():
        zero = torch.zeros(1, vae.representation.dim, device=some.device, dtype=some.dtype)
        return tuple(vae.decode(zero).shape[1:])


def image_batches(
    images: Images,
    size: int,
    transfer: Tensor | None,
    names: Sequence[str] | None,
    watch: Watch,
    what: str = "embedding",
) -> Iterator[dict[str, Any]]:
    """Batches of at most `size` as dicts, with "index" where they lack it."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"batch must be a whole number of at least 1; got {size!r}.")
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images)
    whole = torch.is_tensor(images)
    if not whole and transfer is not None:
        raise ValueError(
            'transfer goes with images in one tensor; put "transfer" into each batch instead.'
        )
    for name, given in (("transfer", transfer), ("names", names)):
        if whole and given is not None and len(given) != len(images):
            raise ValueError(
                f"{name} must have one entry for each of the {len(images)} images; got {len(given)}."
            )
    if whole:
        columns = {"image": images} | ({} if transfer is None else {"transfer": transfer})
        images = _Parts(columns, size)
    first = 0
    for given in watch(images, what):
        given = given if isinstance(given, dict) else {"image": torch.as_tensor(given)}
        n = len(given["image"])
        if names is not None:
            given = given | {"name": names[first : first + n]}
        given = {"index": torch.arange(first, first + n)} | given
        first += n
        for i in range(0, n, size):
            yield {key: value[i : i + size] for key, value in given.items()}


@torch.no_grad()
def _described(vae: VAE, batches: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Rows of batches, without clusters."""
    if vae.training:
        raise ValueError(
            "vae must be in eval mode, so that rows don't depend on each other: vae.eval()."
        )
    shape, copy, first = image_shape(vae), None, 0
    some = next(vae.parameters())
    for batch in batches:
        _check(batch["image"], shape, first)
        first += len(batch["image"])
        x = batch["image"].to(some)
        known = vae.uses_optics and "transfer" in batch
        optics = {"transfer": batch["transfer"].to(some)} if known else {}
        out = vae(x, sample=False, **optics)
        if copy is None:
            copy = _frame(out.posterior)
        columns = _about(batch) | _read(out.posterior, copy) | {"log_likelihood": out.elbo}
        yield _record(columns, len(x))


@dataclass(frozen=True)
class _Parts:
    """Batches of tensors that know how many they are, for a progress bar."""

    columns: dict[str, Tensor]
    size: int

    def __len__(self) -> int:
        return -(-len(self.columns["image"]) // self.size)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for i in range(0, len(self.columns["image"]), self.size):
            yield {name: value[i : i + self.size] for name, value in self.columns.items()}


def _check(x: Tensor, shape: tuple[int, int, int], first: int) -> None:
    if x.dim() != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(
            f"images must be (N, {', '.join(map(str, shape))}), as the model was trained on; "
            f"got {tuple(x.shape)}. Crop, pad or resize them."
        )
    if not x.dtype.is_floating_point:
        raise ValueError(
            f"images must be float in [0, 1]; got {x.dtype}. Divide by the largest value."
        )
    wrong = ~x.isfinite().flatten(1).all(dim=1)
    if wrong.any():
        raise ValueError(
            f"images must be finite; image {first + int(wrong.nonzero()[0])} holds NaN or infinity. "
            "Leave it out."
        )
    if len(x) and (x.min() < -0.5 or x.max() > 1.5):  # interpolation may overshoot a little
        raise ValueError(
            f"images must lie in [0, 1]; got {float(x.min()):g} to {float(x.max()):g}. Scale them."
        )


def _about(batch: dict[str, Any]) -> dict[str, Any]:
    label = batch.get("label")
    if label is not None:
        label = [value if value >= 0 else None for value in torch.as_tensor(label).tolist()]
    return {"index": batch["index"], "name": batch.get("name"), "label": label}


def _frame(posterior: Any) -> int | None:
    """The copy of psi_1 that says most about the angle; None if there is none."""
    block = next((b for b in posterior.representation.blocks if b.name == "psi1"), None)
    if block is None or block.copies == 1:
        return None if block is None else 0
    length = posterior.mode[:, block.slice].reshape(len(posterior.mode), -1, 2).norm(dim=2)
    return int((length / posterior.scale[:, block.slice][:, ::2]).mean(dim=0).argmax())


def _read(posterior: Any, copy: int | None) -> dict[str, Any]:
    """Content, pose and uncertainty of images."""
    z, latent = posterior.mode, posterior.representation
    posed = isinstance(posterior, PosedPosterior)
    columns: dict[str, Any] = {}
    g = None
    if posed:
        content, g = posterior.content.loc, posterior.pose.mode
        if latent.sign:
            columns["reflected"] = g[:, 0] > 0.5
    elif copy is not None:
        content, g = read_content(latent, z, copy), read_pose(latent, z, copy).motion
    else:
        content = z[:, 2:] if latent.position else z
    columns |= {f"content_{i}": content[:, i] for i in range(content.shape[1])}
    if g is not None:
        degrees = torch.rad2deg(g[:, 1].double()) % 360
        columns["angle_degrees"] = torch.where(degrees.float() < 360, degrees.float(), 0.0)
        columns |= _trust(posterior, copy, posed)
    if latent.position:
        spread = posterior.position_scale
        t = z[:, :2] if g is None else g[:, 2:]
        for i, axis in enumerate("xy"):
            columns |= {f"{axis}_pixels": t[:, i], f"{axis}_sd_pixels": spread[:, i]}
    return columns


def _trust(posterior: Any, copy: int, posed: bool) -> dict[str, np.ndarray]:
    """How well the angle is known. A Gaussian latent has one mode, so it shows no symmetry order."""
    density = (
        _angle_log_density(posterior.pose) if posed else posterior.angle_log_density(copy, _POINTS)
    )
    log_q = density.cpu().numpy()
    order = symmetry_order(log_q) if posed else np.ones(len(log_q), dtype=int)
    credible = credible_degrees(density, _LEVEL).cpu().numpy()
    mass = np.exp(log_q) / _POINTS
    mass /= mass.sum(axis=1, keepdims=True)
    # circular standard deviation of k theta, divided by k
    wave = np.fft.rfft(mass, axis=1)[np.arange(len(mass)), np.maximum(order, 1)]
    spread = np.sqrt(-2 * np.log(np.clip(np.abs(wave), 1e-12, 1))) / np.maximum(order, 1)
    known = credible < _UNKNOWN
    columns = {
        "angle_credible90_degrees": credible,
        "angle_sd_degrees": np.ma.masked_array(np.rad2deg(spread), mask=~known | (order == 0)),
        "pose_known": known,
    }
    return columns | ({"symmetry_order": order} if posed else {})


def _angle_log_density(pose: PosePosterior) -> Tensor:
    """As `PosePosterior.angle_log_density`, from the likeliest bins alone, which is many times faster."""
    log_weights, order = pose.log_weights.sort(dim=1, descending=True)
    needed = (log_weights.double().exp().cumsum(dim=1) < 1 - 1e-7).sum(dim=1) + 1
    density = torch.empty(len(pose), _POINTS, dtype=torch.float64, device=log_weights.device)
    below = 0
    for most in (*_BINS, log_weights.shape[1] + 1):
        here = ((needed > below) & (needed <= most)).nonzero()[:, 0]
        below = most
        if len(here):
            kept = order[here, :most]
            bins = pose.bins[here].gather(1, kept[:, :, None].expand(-1, -1, 4))
            weights = log_weights[here, :most].log_softmax(dim=1)
            some = replace(rows_of(pose, here), bins=bins, log_weights=weights)
            density[here] = some.angle_log_density(_POINTS)
    return density


def _schema(content: int) -> pa.Schema:
    real, whole = pa.float32(), pa.int64()
    kinds = {"index": whole, "name": pa.string(), "label": whole}
    kinds |= {f"content_{i}": real for i in range(content)}
    kinds |= dict.fromkeys(("angle_degrees", "x_pixels", "y_pixels"), real)
    kinds |= {"reflected": pa.bool_()}
    trust = ("angle_credible90_degrees", "angle_sd_degrees", "x_sd_pixels", "y_sd_pixels")
    kinds |= dict.fromkeys(trust, real)
    kinds |= {"symmetry_order": whole, "pose_known": pa.bool_(), "log_likelihood": real}
    kinds |= {"cluster": whole, "cluster_probability": real}
    return pa.schema(kinds)


def _record(columns: dict[str, Any], n: int) -> pa.RecordBatch:
    schema = _schema(sum(name.startswith("content_") for name in columns))
    return pa.record_batch([_array(columns.get(f.name), f.type, n) for f in schema], schema=schema)


def _array(values: Any, kind: pa.DataType, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, kind)
    if torch.is_tensor(values):
        values = values.cpu().numpy()
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values)).cast(kind)
    return (
        pa.array(values, kind) if isinstance(values, list | tuple) else pa.array(values).cast(kind)
    )


def _numbers(rows: pa.RecordBatch | pa.Table, name: str) -> np.ndarray:
    column = rows.column(name).cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)


class _Sample:
    """A random sample of rows that come one by one, the same whatever batches they come in."""

    def __init__(self, size: int, seed: int):
        self.size, self.draw = size, np.random.default_rng(seed)
        self._keys, self._rows = np.empty(0), None

    def add(self, rows: np.ndarray) -> None:
        keys = np.concatenate([self._keys, self.draw.random(len(rows))])
        rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        if len(rows) > self.size:  # the smallest keys stay, in the order of their rows
            kept = np.sort(np.argpartition(keys, self.size)[: self.size])
            keys, rows = keys[kept], rows[kept]
        self._keys, self._rows = keys, rows

    @property
    def rows(self) -> np.ndarray:
        return self._rows


def _assignment(
    vae: VAE, content: np.ndarray, clusters: int | None, seed: int
) -> Probabilities | None:
    """How content is assigned to clusters; None if it is not to be."""
    if clusters is not None and (isinstance(clusters, bool) or not isinstance(clusters, int)):
        raise ValueError(f"clusters must be a whole number, or None; got {clusters!r}.")
    if clusters is not None and clusters < 0:
        raise ValueError(f"clusters must be 0, for none, or more; got {clusters}.")
    if clusters == 0:
        return None
    prior = getattr(vae.prior, "content", None)
    some = next(vae.parameters())
    if clusters is None and prior is not None:
        with torch.no_grad():
            learned = prior.responsibilities(torch.from_numpy(content[:1]).to(some)) is not None
        if learned:
            return lambda c: _responsibilities(prior, torch.from_numpy(c).to(some))
    return _fitted(content, CLUSTERS if clusters is None else clusters, seed)


@torch.no_grad()
def _responsibilities(prior: Any, content: Tensor) -> np.ndarray:
    return prior.responsibilities(content).cpu().numpy()


def _fitted(content: np.ndarray, clusters: int, seed: int) -> Probabilities:
    """A Gaussian mixture, the likeliest of a few starts, its largest component first."""
    content = content.astype(np.float64)
    live = varying(content)
    most = min(clusters, len(np.unique(content, axis=0)))
    if most < 2 or not live.any():
        return lambda c: np.ones((len(c), 1))
    centre, scale = content[:, live].mean(axis=0), np.sqrt(content[:, live].var(axis=0).mean())
    codes = (content[:, live] - centre) / scale
    starts = [fit_mixture(codes, most, seed + start) for start in range(_STARTS)]
    mixture = max(starts, key=lambda fit: fit.lower_bound_)
    order = np.argsort(-mixture.weights_, kind="stable")
    return lambda c: mixture.predict_proba((c[:, live].astype(np.float64) - centre) / scale)[
        :, order
    ]


def _clustered(rows: pa.RecordBatch, assign: Probabilities | None) -> pa.RecordBatch:
    if assign is None:
        return rows
    probabilities = assign(content_of(rows))
    found = {
        "cluster": probabilities.argmax(axis=1),
        "cluster_probability": probabilities.max(axis=1),
    }
    for name, values in found.items():
        field = rows.schema.field(name)
        position = rows.schema.get_field_index(name)
        rows = rows.set_column(position, field, pa.array(values).cast(field.type))
    return rows


def _write(parts: Iterator[pa.RecordBatch], folder: Path) -> Path:
    """Both files under other names first: older results stay until new ones are whole."""
    paths = {name: folder / f"{name}.part" for name in (PARQUET, CSV)}
    first = next(parts)
    with (
        pa.parquet.ParquetWriter(paths[PARQUET], first.schema) as parquet,
        pa.csv.CSVWriter(paths[CSV], first.schema) as csv,
    ):
        waiting, count = [first], len(first)
        for part in parts:
            waiting.append(part)
            count += len(part)
            if count >= _GROUP:
                parquet.write_table(pa.Table.from_batches(waiting).combine_chunks())
                csv.write_table(pa.Table.from_batches(waiting))
                waiting, count = [], 0
        if waiting:
            parquet.write_table(pa.Table.from_batches(waiting).combine_chunks())
            csv.write_table(pa.Table.from_batches(waiting))
    for name, path in paths.items():
        path.replace(folder / name)
    return folder / PARQUET
