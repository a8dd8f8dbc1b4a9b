"""Answers in cryoSPARC's own fields: read again they are what the embedding says, the rest byte for byte."""

import numpy as np
import pytest

from eqvae.data import Cs, Rotated, Star, Upright
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import FORMATS, Origin, checked_formats
from eqvae.symmetry.motions import angle_of, shift_of
from tests.data.test_cs import ALIGNED, BLOB, CTF, written
from tests.embedding.write.test_star import table

FORM = FORMATS["cs"]
POSTERIOR = [("alignments2D/class_posterior", "<f4")]
FILLED = {f"alignments2D/{name}" for name in ("pose", "shift", "class", "class_posterior")}


def embedding_of(rows):
    made = table(rows).table
    probability = np.linspace(0.5, 1, len(rows)).astype("f4")
    return Embedding(made.append_column("cluster_probability", [probability]))


@pytest.mark.parametrize("fields", [(*BLOB, *ALIGNED, *POSTERIOR, *CTF), (*BLOB, *CTF)])
@pytest.mark.parametrize("size", [24, 25])
def test_a_cs_file_says_what_the_embedding_says(tmp_path, size, fields):
    path, _, _ = written(tmp_path, size=size, fields=fields)
    rows, source, out = [5, 0, 2, 3], Cs(str(path)), tmp_path / "J5" / "out.cs"
    embedding = embedding_of(rows)
    FORM.write(embedding, Origin(source, Upright(), size, size), out)
    before, after = np.load(path), np.load(out)
    assert set(before.dtype.names) | FILLED <= set(after.dtype.names)
    for name in set(before.dtype.names) - FILLED:
        assert after.dtype[name] == before.dtype[name]
        assert after[name].tobytes() == before[name][rows].tobytes()
    assert after["alignments2D/class"].tolist() == [0, 1, 2, 0]
    np.testing.assert_allclose(
        after["alignments2D/class_posterior"], embedding.column("cluster_probability")
    )
    found = Cs(str(out)).load()
    degrees = np.rad2deg(angle_of(found.poses).numpy()) % 360
    np.testing.assert_allclose(degrees, embedding.column("angle_degrees"), atol=1e-3)
    for i, axis in enumerate("xy"):
        expected = embedding.column(f"{axis}_pixels")
        np.testing.assert_allclose(shift_of(found.poses)[:, i], expected, atol=1e-5)
    assert found.names[0] == "000006@J3/extract/a_particles.mrc"


def test_what_was_read_is_what_is_written(tmp_path):
    """Poses of the file through our convention and back: the same fields."""
    path, _, _ = written(tmp_path)
    poses = Cs(str(path)).load().poses
    known = table(list(range(6)), angle=np.rad2deg(angle_of(poses).numpy())).table
    for i, axis in enumerate("xy"):
        place = known.column_names.index(f"{axis}_pixels")
        known = known.set_column(place, f"{axis}_pixels", [shift_of(poses)[:, i].numpy()])
    known = known.append_column("cluster_probability", [np.ones(6, "f4")])
    FORM.write(Embedding(known), Origin(Cs(str(path)), Upright(), 24, 24), tmp_path / "out.cs")
    before, after = np.load(path), np.load(tmp_path / "out.cs")
    for name in ("alignments2D/pose", "alignments2D/shift"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)


def test_other_sources_and_moved_images_are_refused_before_the_work():
    with pytest.raises(ValueError, match="write=cs needs the particles of a .cs file: data=cs"):
        checked_formats(["cs"], Origin(Star("a.star"), Upright(), 24, 24))
    with pytest.raises(
        ValueError, match="write=cs needs images as the file has them.*pose=upright"
    ):
        checked_formats(["cs"], Origin(Cs("a.cs"), Rotated(), 24, 24))


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path, _, _ = written(tmp_path)

    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eqvae.files.os.fsync", full)
    old, origin = path.read_bytes(), Origin(Cs(str(path)), Upright(), 24, 24)
    with pytest.raises(OSError, match="No space left"):
        FORM.write(embedding_of([0, 1]), origin, path)
    assert path.read_bytes() == old and [f.name for f in path.parent.iterdir()] == [path.name]
