"""Where objects lie in their fields: tables say it as the input does, and where the model finds them."""

import numpy as np
import pytest
import tifffile
import torch

from eqvae.cli.embed import main
from eqvae.data import Canvas, ImageDataModule, ImageSet, Objects, RotatedShifted
from eqvae.embedding import Embedding, embed
from eqvae.embedding.dataset import InOrder
from eqvae.symmetry.motions import shift_of
from tests.data.test_objects import columns, field, table

HEIGHT, WIDTH = 60, 80
PLACES = np.array([[20.0, 25.0], [50.25, 30.75], [40.0, 40.0], [59.5, 21.125]])


@pytest.fixture
def fields(tmp_path):
    image, labels = field(PLACES)
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
        tifffile.imwrite(tmp_path / f"{name}_mask.tif", labels)
    return tmp_path


def test_tables_of_all_formats_name_field_and_place(_trained_run, fields, tmp_path):
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    from astropy.table import Table

    given = table(fields / "t.csv", **columns(("b.tif", "a.tif", "c.tif"), PLACES))
    own = ["data=objects", f"data.source.path={given}", "data.source.side=33"]
    out = tmp_path / "out"
    how = ["write=[csv,h5ad,fits]", "averages=false", "clusters=2", "data.source.edge=pad"]
    main([f"ckpt={_trained_run}", *own, *how, f"out={out}"])
    x, y = np.tile(PLACES, (3, 1)).T
    anns = anndata.read_h5ad(out / "embedding.h5ad")
    fits = Table.read(out / "embedding.fits", character_as_bytes=False)
    read = [pandas.read_csv(out / "embedding.csv"), pandas.read_parquet(out / "embedding.parquet")]
    for found in (*read, anns.obs, fits):
        np.testing.assert_array_equal(found["field_x_pixels"], x)
        np.testing.assert_array_equal(found["field_y_pixels"], y)
        assert [str(name) for name in found["field"]] == ["b.tif"] * 4 + ["a.tif"] * 4 + [
            "c.tif"
        ] * 4
        # windows of odd side begin at a whole pixel: their middles are the places, rounded
        middle = np.floor(np.stack([x, y]) + 0.5)
        seen = middle + np.stack([found["x_pixels"], -1 * found["y_pixels"]])
        np.testing.assert_allclose(found["field_x_found_pixels"], seen[0], atol=1e-4)
        np.testing.assert_allclose(found["field_y_found_pixels"], seen[1], atol=1e-4)
    np.testing.assert_array_equal(anns.obsm["spatial"], np.stack([x, y], axis=1))
    assert fits["field_x_pixels"].unit == "pix" and str(anns.obs["field"].dtype) == "category"


def test_cells_are_numbered_as_their_mask_numbers_them(_trained_run, fields, tmp_path):
    own = ["data=cells", f"data.source.path={fields}", f"data.source.masks={fields}"]
    how = ["data.source.side=33", "split=val", "averages=false", "clusters=0", "write=none"]
    main([f"ckpt={_trained_run}", *own, *how, f"out={tmp_path / 'out'}"])
    found = Embedding.read(tmp_path / "out")
    assert found.column("name").tolist() == [
        f"{name}#{number}"
        for name, number in zip(found.column("field"), found.column("mask_label"), strict=True)
    ]
    for name, number, *place in zip(
        *map(found.column, ("field", "mask_label", "field_x_pixels", "field_y_pixels")), strict=True
    ):
        inside = np.argwhere(tifffile.imread(fields / name.replace(".", "_mask.")) == number)
        np.testing.assert_allclose(place, inside.mean(0)[::-1])


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("size", [None, 30, 33])
@pytest.mark.parametrize("shown", [None, 41])
def test_the_true_position_of_moved_images_is_the_place_in_the_field(fields, side, size, shown):
    """Turned, shifted, resampled and padded: the way back ends at the number in the table."""
    given = table(fields / "t.csv", **columns(("a.tif",), PLACES, turn=[0.0, 90.0, 20.0, 300.0]))
    source = Objects(given, side=side, angle="turn", edge="pad")
    pose = RotatedShifted(size=shown, shift_scale=2.0, max_shift=3.0)
    data = ImageDataModule(source, pose, canvas=Canvas(size=size), split=(0.5, 0.25, 0.25))
    data.setup()
    images = InOrder(data, "all", 4)
    batch = next(iter(images))
    found = images.frames.in_field(shift_of(batch.pose), 0)
    np.testing.assert_allclose(found, PLACES, atol=2e-5)


def test_a_source_may_add_columns_of_its_own_and_no_model_overwrites_them(_trained_run):
    from eqvae import load_vae

    with pytest.raises(
        ValueError, match="hour must have one entry for each of the 3 images; got 2"
    ):
        ImageSet(torch.rand(3, 1, 33, 33), columns={"hour": np.arange(2)})
    model = load_vae(_trained_run)
    known = {"plate": np.array(["p1", "p2", "p1"]), "hour": np.array([1, 2, 3])}
    images = ImageSet(torch.rand(3, 1, 33, 33), columns=known)
    assert list(images[torch.tensor([2, 1])].columns["hour"]) == [3, 2]
    found = embed(model, images.images, columns=known, clusters=0)
    assert found.columns[4:6] == ["plate", "hour"] and found.column("hour").tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="'cluster' is one of its own"):
        embed(model, images.images, columns={"cluster": np.arange(3)})
