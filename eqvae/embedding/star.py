"""What an embedding says of particles, in the STAR file that they came from.

rlnAnglePsi, rlnOriginX and rlnOriginY (in Angstrom where the file has a pixel size), rlnClassNumber (the
cluster, from 1) and rlnLogLikeliContribution are written in RELION's conventions, see
`eqvae.data.sources.star`; every other column and the rest of the text stays as it is.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eqvae.data.formats.star import StarFile
from eqvae.data.sources.star import ParticleTable, Star, to_offset
from eqvae.embedding.table import Embedding
from eqvae.files import written


def write_star(embedding: Embedding, source: Star, size: int, path: Path) -> Path:
    """Write the rows of the embedding, with RELION's names for what it says.

    Args:
        embedding: of the images of `source`, `index` the number of each row.
        source: where the particles came from.
        size: of their images, pixels.
        path: of the new file, whole or not there.

    Raises:
        ValueError: if the embedding has no angles.
    """
    stored = Path(source.path).expanduser()
    particles = ParticleTable(StarFile.read(stored), stored)
    text = particles.file.written(
        particles.block, _words(embedding, particles, size), embedding.column("index").tolist()
    )
    with written(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def _words(embedding: Embedding, particles: ParticleTable, size: int) -> Mapping[str, list[str]]:
    angle = embedding.column("angle_degrees")
    if not np.isfinite(angle.astype(np.float64)).any():
        raise ValueError("write=star needs angles, and this model tells none. Leave it out.")
    shift = np.stack([embedding.column(f"{axis}_pixels") for axis in "xy"], axis=1)
    offset, unit, names = (
        to_offset(shift.astype(np.float64), size),
        1.0,
        ("rlnOriginX", "rlnOriginY"),
    )
    if particles.pixel_size is not None and not set(names) <= set(particles.table.columns):
        unit, names = particles.pixel_size, ("rlnOriginXAngst", "rlnOriginYAngst")
    psi = (angle.astype(np.float64) + 180) % 360 - 180
    words = {"rlnAnglePsi": [f"{value:.6f}" for value in psi]}
    for i, name in enumerate(names):
        words[name] = [f"{value * unit:.6f}" for value in offset[:, i]]
    cluster = embedding.column("cluster")
    if np.isfinite(cluster.astype(np.float64)).all():
        words["rlnClassNumber"] = [str(int(k) + 1) for k in cluster]
    likelihood = embedding.column("log_likelihood")
    words["rlnLogLikeliContribution"] = [f"{value:.6g}" for value in likelihood]
    return words
