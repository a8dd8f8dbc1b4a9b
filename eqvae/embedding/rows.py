"""What a model says of images, as rows of the table: content, pose and uncertainty."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.posterior import Posterior
from eqvae.embedding.columns import CONTENT, record
from eqvae.embedding.frames import Frames
from eqvae.embedding.trust import angle_trust
from eqvae.evaluation.encoding import encode_and_score
from eqvae.models.model import Model
from eqvae.symmetry.motions import angle_of, reflection_of, shift_of


@dataclass(frozen=True)
class Known:
    """What is known of all images, in their order, before a model sees them.

    Attributes:
        names: of the images, N.
        classes: names of the labels, by number.
        columns: further columns of the table, by name, (N,) each.
        frames: where the images were cut out of their fields.
    """

    names: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    columns: Mapping[str, np.ndarray] | None = None
    frames: Frames | None = None


@torch.no_grad()
def described(
    model: Model, batches: Iterable[Batch], known: Known = Known(), done: int = 0
) -> Iterator[pa.RecordBatch]:
    """Rows of batches, without clusters.

    Args:
        model: in eval mode.
        batches: numbered images.
        known: of all images.
        done: rows that are known already: the first batch has no rows then, but settles how all are read.

    Raises:
        ValueError: if the model is in training mode, or there are fewer names than images.
    """
    if model.training:
        raise ValueError(
            "model must be in eval mode, so that rows don't depend on each other: model.eval()."
        )
    like, settled, first = next(model.parameters()), None, 0
    for batch in batches:
        batch, n = batch.to(like), len(batch)
        posterior, score = encode_and_score(model, batch, sample=False, by_block=False)
        if settled is None:
            settled = posterior
            if done:
                first = done
                continue
        posterior = posterior.settled(settled)
        columns: dict[str, Any] = {"index": batch.index, "label": _labels(batch)}
        if known.classes is not None:
            columns["class"] = [None if i is None else known.classes[i] for i in columns["label"]]
        if known.names is not None:
            columns["name"] = _named(known.names, first, n)
        columns |= _read(posterior)
        columns["log_likelihood"] = score.elbo
        own = {name: column[first : first + n] for name, column in (known.columns or {}).items()}
        if known.frames is not None and "x_pixels" in columns:
            own |= _found(known.frames, columns, first)
        first += n
        yield record(columns, n, own)


def _found(frames: Frames, columns: Mapping[str, Any], first: int) -> dict[str, np.ndarray]:
    """Where the objects that a model finds lie in their fields."""
    position = torch.stack([columns["x_pixels"], columns["y_pixels"]], dim=1)
    x, y = frames.in_field(position, first).numpy().T
    return {"field_x_found_pixels": x, "field_y_found_pixels": y}


def _labels(batch: Batch) -> list[int | None] | None:
    if batch.label is None:
        return None
    return [value if value >= 0 else None for value in batch.label.tolist()]


def _named(names: Sequence[str], first: int, n: int) -> list[str]:
    here = list(names[first : first + n])
    if len(here) < n:
        raise ValueError(
            f"names must have one entry for each image; got {len(names)}, and image "
            f"{first + len(here)} has none."
        )
    return here


def _read(posterior: Posterior) -> dict[str, Any]:
    """Content, pose and uncertainty of images."""
    latent, content = posterior.representation, posterior.content.loc
    columns = {f"{CONTENT}{i}": content[:, i] for i in range(content.shape[1])}
    t = posterior.mode[:, latent.slices.position]
    if posterior.has_pose:
        g = posterior.pose.mode
        t = shift_of(g)
        columns |= {"angle_degrees": _degrees(angle_of(g))} | angle_trust(posterior)
        if posterior.pose.reflections:
            columns["reflected"] = reflection_of(g) > 0.5
    if latent.position:
        for i, axis in enumerate("xy"):
            columns[f"{axis}_pixels"] = t[:, i]
            columns[f"{axis}_sd_pixels"] = posterior.position_scale[:, i]
    return columns


def _degrees(angle: Tensor) -> Tensor:
    """Angles in [0, 360), float32."""
    degrees = (torch.rad2deg(angle.double()) % 360).float()
    return torch.where(degrees < 360, degrees, 0.0)
