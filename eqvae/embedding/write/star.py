"""particles.star: the STAR file that the images came from, with RELION's columns saying what the model says.

rlnAnglePsi, rlnOriginX and rlnOriginY (in Angstrom where the file has a pixel size), rlnClassNumber (the
cluster, from 1) and rlnLogLikeliContribution are written in RELION's conventions, see
`eqvae.data.sources.star`; every other column and the rest of the text stays as it is.
"""

from collections.abc import Mapping
from pathlib import Path

from eqvae.data.formats.star import StarFile
from eqvae.data.sources.star import ParticleTable, Star
from eqvae.embedding.table import Embedding
from eqvae.embedding.write.format import Origin, TableFormat, whole
from eqvae.embedding.write.particles import check_particles, check_same, particle_poses
from eqvae.files import user_path, written


class RelionStar(TableFormat):
    """RELION's table of particles, 3.0 to 5."""

    name, file = "star", "particles.star"

    def check(self, origin: Origin) -> None:
        check_particles(origin, Star, self.name, "a STAR file")

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        table = whole(embedding)
        stored = user_path(origin.source.path)
        particles = ParticleTable(StarFile.read(stored), stored)
        check_same(table, particles.table.text("rlnImageName"), stored)
        words, rows = _words(table, particles, origin), table.column("index").tolist()
        with written(path) as partial:
            text = particles.file.written(particles.block, words, rows)
            partial.write_text(text, encoding="utf-8")


def _words(
    embedding: Embedding, particles: ParticleTable, origin: Origin
) -> Mapping[str, list[str]]:
    poses = particle_poses(embedding, origin, RelionStar.name)
    unit, names = 1.0, ("rlnOriginX", "rlnOriginY")
    if particles.pixel_size is not None and not set(names) <= set(particles.table.columns):
        unit, names = particles.pixel_size, ("rlnOriginXAngst", "rlnOriginYAngst")
    words = {"rlnAnglePsi": [f"{value:.6f}" for value in poses.psi]}
    for i, name in enumerate(names):
        words[name] = [f"{value * unit:.6f}" for value in poses.offset[:, i]]
    if poses.cluster is not None:
        words["rlnClassNumber"] = [str(k + 1) for k in poses.cluster]
    likelihood = embedding.column("log_likelihood")
    words["rlnLogLikeliContribution"] = [f"{value:.6g}" for value in likelihood]
    return words
