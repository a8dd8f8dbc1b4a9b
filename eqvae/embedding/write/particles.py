"""What formats of particles share: poses in RELION's convention, and the images that they can speak of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqvae.data.posing import Upright, moved_by_padding
from eqvae.data.sources.star import to_offset
from eqvae.embedding.table import Embedding
from eqvae.embedding.write.format import Origin


@dataclass(frozen=True)
class ParticlePoses:
    """Poses as RELION and cryoSPARC draw them, see `eqvae.data.sources.star`.

    Attributes:
        psi: degrees in [-180, 180), (N,).
        offset: o in pixels of the source's images, (N, 2).
        cluster: numbers from 0, (N,), None where there are none.
    """

    psi: np.ndarray
    offset: np.ndarray
    cluster: np.ndarray | None


def check_particles(origin: Origin, kind: type, write: str, file: str) -> None:
    """Refuse images of another source, and images that are not as the file has them.

    Raises:
        ValueError: if they are.
    """
    if not isinstance(origin.source, kind):
        raise ValueError(f"write={write} needs the particles of {file}: data={write}.")
    if not isinstance(origin.posing, Upright):
        raise ValueError(
            f"write={write} needs images as the file has them, and these are moved. Add data/pose=upright."
        )
    if origin.size is None:
        raise ValueError(f"write={write} needs square images, and these are none. Leave it out.")


def in_file(shift: np.ndarray, origin: Origin) -> np.ndarray:
    """Positions (N, 2) in the source's images, pixels from their centre, of those in the posed images.

    Padding by an odd number of pixels moves them; resampling leaves the centre where it is.
    """
    canvas = origin.canvas or origin.size
    moved = moved_by_padding(canvas, origin.shown).numpy()
    return (shift - moved) * (origin.size / canvas)


def check_same(embedding: Embedding, names: Sequence[str], path: Path) -> None:
    """Refuse a file that is not the one that was embedded.

    Args:
        embedding: whose `index` numbers rows of the file.
        names: of the particles in all rows of the file.
        path: of the file.

    Raises:
        ValueError: if rows are missing, or other particles.
    """
    index = embedding.column("index").tolist()
    if max(index) >= len(names):
        raise ValueError(
            f"{path} has {len(names)} particles, and number {max(index) + 1} was embedded. Embed them again."
        )
    known = embedding.column("name") if "name" in embedding.columns else [None] * len(index)
    for i, name in zip(index, known, strict=True):
        if name is not None and name != names[i]:
            raise ValueError(
                f"{path} is not what was embedded: row {i + 1} has {names[i]}, and it was {name}. Embed it "
                "again."
            )


def particle_poses(embedding: Embedding, origin: Origin, write: str) -> ParticlePoses:
    """What the rows of an embedding say.

    Raises:
        ValueError: if they say no angles, or that objects are mirrored, which 2-D alignments can't.
    """
    angle = embedding.column("angle_degrees").astype(np.float64)
    if not np.isfinite(angle).any():
        raise ValueError(f"write={write} needs angles, and this model tells none. Leave it out.")
    mirrored = sum(value is True or value == 1 for value in _known(embedding, "reflected"))
    if mirrored:
        raise ValueError(
            f"write={write} can't say that objects are mirrored, and {mirrored} of {len(embedding)} are. Use "
            "a model without reflections."
        )
    shift = np.stack([embedding.column(f"{axis}_pixels") for axis in "xy"], axis=1)
    cluster = _known(embedding, "cluster")
    return ParticlePoses(
        (angle + 180) % 360 - 180,
        to_offset(in_file(shift.astype(np.float64), origin), origin.size),
        np.array(cluster, dtype=np.int64) if len(cluster) == len(embedding) else None,
    )


def _known(embedding: Embedding, name: str) -> list:
    """The values of a column that are not empty; none where there is no such column."""
    if name not in embedding.columns:
        return []
    return embedding.table.column(name).drop_null().to_pylist()
