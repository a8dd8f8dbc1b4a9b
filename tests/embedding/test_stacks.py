"""Class averages as stacks: the same numbers, and the size of a pixel, for readers of each field."""

import sys

import mrcfile
import numpy as np
import pytest
import tifffile
import torch

from eqvae.data import Cs, Npz, Particles, Stack, Star
from eqvae.data.formats import open_stack
from eqvae.data.images import ImageSet
from eqvae.embedding import ClassAverages, write_stacks
from eqvae.embedding.stacks import angstrom_of


def averages(channels=1):
    empty = np.zeros((3, 5))
    x = torch.randn(3, channels, 8, 8)
    return ClassAverages(np.arange(3), np.ones(3), x, x + 1, x, empty[0], empty, empty, [], [])


def test_both_stacks_hold_the_aligned_averages_and_the_size_of_a_pixel(tmp_path):
    made = averages()
    assert write_stacks(made, tmp_path, 1.25) == []
    expected = made.aligned[:, 0].numpy()
    with mrcfile.open(tmp_path / "averages.mrcs") as file:
        assert np.array_equal(file.data, expected) and file.is_image_stack()
        assert float(file.voxel_size.x) == 1.25
    assert mrcfile.validate(tmp_path / "averages.mrcs")
    with tifffile.TiffFile(tmp_path / "averages.tiff") as file:
        assert file.is_ome and np.array_equal(file.asarray(), expected)
        across, unit = file.pages[0].tags["XResolution"].value, file.pages[0].tags["ResolutionUnit"]
        assert (
            across[0] / across[1] == pytest.approx(1e8 / 1.25) and unit.value == 3
        )  # a centimetre
    stored = open_stack(tmp_path / "averages.tiff")
    assert np.array_equal(stored[np.arange(3)].squeeze(), expected)
    assert stored.pixel_size == pytest.approx(1.25e-4)  # micrometres


def test_colours_and_sizes_that_nobody_knows(tmp_path):
    (said,) = write_stacks(averages(3), tmp_path)
    assert said == "no averages.mrcs: MRC holds one channel, and these images have 3"
    with tifffile.TiffFile(tmp_path / "averages.tiff") as file:
        assert file.series[0].axes == "TCYX" and file.asarray().shape == (3, 3, 8, 8)
    assert open_stack(tmp_path / "averages.tiff").pixel_size is None


def test_what_is_not_installed_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mrcfile", None)
    (said,) = write_stacks(averages(), tmp_path)
    assert said == 'no averages.mrcs: it needs mrcfile: pip install "eqvae[mrc]"'
    assert [file.name for file in tmp_path.iterdir()] == ["averages.tiff"]


@pytest.mark.parametrize(
    ("source", "angstrom"),
    [
        (Star("a.star"), 2.0),
        (Cs("a.cs"), 2.0),
        (Particles(), 2.0),
        (Stack("a.mrcs"), 2.0),
        (Stack("a.ome.tif"), 2e4),
        (Stack("a.h5"), None),
        (Npz("a.npz"), None),
    ],
)
def test_units_are_those_of_the_source(source, angstrom):
    images = ImageSet(torch.zeros(2, 1, 4, 4), pixel_size=torch.tensor([2.0, 2.0]))
    assert angstrom_of(source, images) == angstrom
    assert angstrom_of(source, ImageSet(torch.zeros(2, 1, 4, 4))) is None
    mixed = ImageSet(torch.zeros(2, 1, 4, 4), pixel_size=torch.tensor([2.0, 3.0]))
    assert angstrom_of(source, mixed) is None
