"""particles.cs: the .cs file that the images came from, with alignments2D saying what the model says.

    alignments2D/pose             radians, as RELION's psi
    alignments2D/shift            pixels of the file's alignments2D/psize_A, else of its images
    alignments2D/class            the cluster, from 0
    alignments2D/class_posterior  its probability

Fields that the file lacks are added at its end; every other field of the rows stays byte for byte. A
passthrough file is not written again: uid still says which of its rows belong to these.
"""

from pathlib import Path

import numpy as np

from eqvae.data.formats.cs import CsFile
from eqvae.data.sources.cs import Cs, image_names, scale_of_shift
from eqvae.embedding.table import Embedding
from eqvae.embedding.write.format import Origin, TableFormat, whole
from eqvae.embedding.write.particles import check_particles, check_same, particle_poses
from eqvae.files import user_path, written

_POSE, _SHIFT, _PSIZE = (f"alignments2D/{name}" for name in ("pose", "shift", "psize_A"))
_CLASS, _POSTERIOR = (f"alignments2D/{name}" for name in ("class", "class_posterior"))


class CryosparcCs(TableFormat):
    """cryoSPARC's table of particles."""

    name, file = "cs", "particles.cs"

    def check(self, origin: Origin) -> None:
        check_particles(origin, Cs, self.name, "a .cs file")

    def write(self, embedding: Embedding | Path, origin: Origin, path: Path) -> None:
        table, source = whole(embedding), origin.source
        stored = user_path(source.path)
        particles, joined = CsFile.read(stored), source.rows()
        check_same(table, image_names(joined), stored)
        values = _values(table, joined, origin)
        with written(path) as partial, partial.open("wb") as file:
            rows = particles.changed(values, table.column("index"))
            np.save(file, rows, allow_pickle=False)


def _values(embedding: Embedding, joined: CsFile, origin: Origin) -> dict[str, np.ndarray]:
    poses, rows = particle_poses(embedding, origin, CryosparcCs.name), embedding.column("index")
    shift = poses.offset / scale_of_shift(joined)[rows, None]
    values = {
        _POSE: np.deg2rad(poses.psi).astype(np.float32),
        _SHIFT: shift.astype(np.float32),
    }
    if _PSIZE not in joined and "blob/psize_A" in joined:
        values[_PSIZE] = joined.rows["blob/psize_A"][rows]
    if poses.cluster is not None:
        values[_CLASS] = poses.cluster.astype(np.uint32)
        values[_POSTERIOR] = embedding.column("cluster_probability").astype(np.float32)
    return values
