"""Answers in RELION's own columns: read again they are what the embedding says."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from eqvae.data import Canvas, ImageSet, Star, Upright
from eqvae.data.formats.star import StarFile
from eqvae.data.posing import pose_images
from eqvae.domains.grid import pixel_coordinates
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import FORMATS, Origin
from eqvae.embedding.write.particles import in_file
from eqvae.symmetry.motions import angle_of, shift_of
from tests.data.test_star import written

RANDOM = np.random.default_rng(1)
STAR = FORMATS["star"]


def table(rows, angle=None):
    n = len(rows)
    known = {
        "index": np.array(rows),
        "angle_degrees": RANDOM.uniform(0, 360, n).astype("f4") if angle is None else angle,
        "x_pixels": RANDOM.normal(size=n).astype("f4"),
        "y_pixels": RANDOM.normal(size=n).astype("f4"),
        "cluster": np.arange(n) % 3,
        "log_likelihood": RANDOM.normal(size=n).astype("f4"),
    }
    return Embedding(pa.table(known))


@pytest.mark.parametrize("size", [24, 25])
def test_a_star_file_says_what_the_embedding_says(tmp_path, size):
    path, _, _ = written(tmp_path, size=size)
    source, rows = Star(str(path)), [0, 2, 3, 5]
    embedding = table(rows)
    out = tmp_path / "out.star"
    STAR.write(embedding, Origin(source, Upright(), size, size), out)
    found = Star(str(out), root=str(tmp_path)).load()
    degrees = np.rad2deg(angle_of(found.poses).numpy()) % 360
    np.testing.assert_allclose(degrees, embedding.column("angle_degrees"), atol=1e-3)
    for i, axis in enumerate("xy"):
        expected = embedding.column(f"{axis}_pixels")
        np.testing.assert_allclose(shift_of(found.poses)[:, i], expected, atol=1e-4)
    before, after = (StarFile.read(p).tables["particles"] for p in (path, out))
    assert after.text("rlnClassNumber") == ["1", "2", "3", "1"]
    for column in ("rlnImageName", "rlnDefocusU", "rlnMicrographName", "rlnMine"):
        assert after.text(column) == [before.text(column)[i] for i in rows]
    assert not list(tmp_path.glob(".*"))


def test_without_angles_nothing_is_written(tmp_path):
    path, _, _ = written(tmp_path)
    nothing = table([0, 1], angle=np.full(2, np.nan, "f4"))
    with pytest.raises(ValueError, match="write=star needs angles"):
        STAR.write(nothing, Origin(Star(str(path)), Upright(), 24, 24), tmp_path / "out.star")
    assert not (tmp_path / "out.star").exists()


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path, _, _ = written(tmp_path)
    out = tmp_path / "particles_out.star"
    out.write_text("old")

    def stopped(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(StarFile, "written", stopped)
    with pytest.raises(KeyboardInterrupt):
        STAR.write(table([0, 1]), Origin(Star(str(path)), Upright(), 24, 24), out)
    assert out.read_text() == "old" and not list(tmp_path.glob(".*"))


def test_mirrored_objects_are_refused(tmp_path):
    path, _, _ = written(tmp_path)
    mirrored = table([0, 1, 2])
    mirrored = Embedding(mirrored.table.append_column("reflected", [[True, False, None]]))
    with pytest.raises(ValueError, match="can't say that objects are mirrored, and 1 of 3 are"):
        STAR.write(mirrored, Origin(Star(str(path)), Upright(), 24, 24), tmp_path / "out.star")


@pytest.mark.parametrize(("size", "canvas"), [(24, None), (25, None), (24, 12), (25, 40)])
@pytest.mark.parametrize("padding", [0, 4, 7])
def test_positions_in_padded_and_resampled_images_become_those_in_the_file_s(size, canvas, padding):
    """A point stays where it is seen: by the canvas and the posing themselves."""
    x, y = 2.5, -1.25
    points = pixel_coordinates(size, size, dtype=torch.float64) - torch.tensor([x, y])
    image = torch.exp(-points.square().sum(-1) / 18)[None, None].float()
    on_canvas = Canvas(size=canvas).of(ImageSet(image))
    side = on_canvas.images.shape[-1]
    posed = pose_images(on_canvas, torch.tensor([0]), Upright(side + padding)).image[0, 0]
    seen = pixel_coordinates(*posed.shape) * posed[..., None]
    position = (seen.sum((0, 1)) / posed.sum()).numpy()[None]
    origin = Origin(Star("a.star"), Upright(), size, side + padding, side)
    np.testing.assert_allclose(in_file(position, origin), [[x, y]], atol=0.05)
