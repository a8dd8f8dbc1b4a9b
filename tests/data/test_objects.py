"""Objects of whole fields: the windows are where tables and masks say, and show one object each."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import tifffile
import torch
from PIL import Image

from eqvae.config import build, compose
from eqvae.data import Cells, Objects
from eqvae.symmetry.motions import angle_of, shift_of

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 60, 80
PLACES = np.array([[20.0, 15.0], [50.25, 30.75], [40.0, 45.0]])  # x, y


def field(places=PLACES, ground=10, bright=200):
    """Bumps of 7 pixels across on an even ground, and their label mask."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image, labels = np.full((HEIGHT, WIDTH), float(ground)), np.zeros((HEIGHT, WIDTH), np.uint16)
    for i, (cx, cy) in enumerate(places, start=1):
        image += bright * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8)
        labels[np.hypot(x - cx, y - cy) <= 3.6] = i
    return image.round().clip(0, 255).astype("u1"), labels


def table(path, **columns):
    made = pa.table(columns)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(made, path)
    else:
        tab = path.suffix == ".tsv"
        options = pyarrow.csv.WriteOptions(delimiter="\t" if tab else ",")
        pyarrow.csv.write_csv(made, path, options)
    return str(path)


@pytest.fixture
def fields(tmp_path):
    """Two fields of the same objects, one PNG and one TIFF."""
    image, labels = field()
    Image.fromarray(image).save(tmp_path / "a b.png")
    tifffile.imwrite(tmp_path / "c.tif", image)
    return tmp_path


def columns(files=("a b.png", "c.tif"), places=PLACES, **more):
    n = len(places)
    return {
        "image": [file for file in files for _ in range(n)],
        "x": [float(x) for _ in files for x, _ in places],
        "y": [float(y) for _ in files for _, y in places],
        **more,
    }


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("side", [12, 13])
def test_windows_show_what_lies_about_each_position(fields, ending, side):
    path = table(fields / f"t{ending}", **columns(label=["p", "q", "p"] * 2))
    found = Objects(path, side=side, label="label").load()
    image = field()[0] / 255
    for i, (x, y) in enumerate(np.tile(PLACES, (2, 1))):
        left, top = (int(np.floor(v - (side - 1) / 2 + 0.5)) for v in (x, y))
        expected = image[top : top + side, left : left + side]
        np.testing.assert_allclose(found.images[i, 0].numpy(), expected, atol=1e-6)
        middle = (side - 1) / 2
        assert abs(x - left - middle) <= 0.5 and abs(y - top - middle) <= 0.5
    assert found.names[0] == "a b.png#0" and found.names[5] == "c.tif#5"
    assert found.class_names == ("p", "q") and found.labels.tolist() == [0, 1, 0] * 2
    assert found.settings["side"] == side


def test_angles_and_what_rounding_left_are_the_poses(fields):
    path = table(fields / "t.csv", **columns(turn=[0.0, 90.0, -30.0] * 2))
    found = Objects(path, side=13, angle="turn", pixel_size=0.5).load()
    np.testing.assert_allclose(np.rad2deg(angle_of(found.poses))[:3], [0, 90, -30], atol=1e-4)
    # 50.25 lies a quarter right of column 50, 30.75 a quarter above row 31
    np.testing.assert_allclose(shift_of(found.poses)[1], [0.25, 0.25], atol=1e-5)
    assert float(found.pixel_size[0]) == 0.5


def test_sizes_of_objects_give_the_side(fields):
    path = table(fields / "t.csv", **columns(d=[7.0, 8.0, 6.5] * 2))
    assert Objects(path, diameter="d").load().images.shape[-1] == 12
    with pytest.raises(ValueError, match="side of the windows is not set"):
        Objects(path).load()


def test_windows_at_the_edge_are_left_out_or_filled_and_said(fields):
    places = np.array([[2.0, 30.0], [40.0, 30.0]])
    tifffile.imwrite(fields / "c.tif", field(places)[0])
    path = table(fields / "t.csv", **columns(("c.tif",), places))
    found = Objects(path, side=20).load()
    assert found.rows.tolist() == [1] and found.names == ("c.tif#1",)
    assert (
        "1 of 2 windows of 20x20 pixels reach beyond their field, and are left out" in found.said[0]
    )
    padded = Objects(path, side=20, edge="pad").load()
    assert len(padded) == 2 and "filled up" in padded.said[0]
    beyond = padded.images[0, 0, :, :7]  # the window begins 7 columns left of the field
    assert float(beyond.std()) < 1e-7 and abs(float(beyond.mean()) - 10 / 255) < 0.02
    far = table(fields / "far.csv", **columns(("c.tif",), np.array([[40.0, 30.0], [90.0, 3.0]])))
    with pytest.raises(
        ValueError, match=r"row 2 has x=90, y=3, and c.tif has 80 columns and 60 rows"
    ):
        Objects(far, side=20, edge="pad").load()


def test_what_is_wrong_with_a_table_is_said(fields):
    good = columns()
    cases = [
        ({**good, "x": [None, *good["x"][1:]]}, "nothing in row 1"),
        ({**good, "x": ["left"] * 6}, "x must be numbers; .* has string, such as 'left'"),
        ({**good, "image": ["gone.png"] * 6}, "there is no image .*gone.png"),
        ({"image": good["image"], "x": good["x"]}, "'y' is no column of .* it has image, x"),
    ]
    for i, (content, message) in enumerate(cases):
        path = table(fields / f"bad{i}.csv", **content)
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            Objects(path, side=12).load()
    (fields / "empty.csv").write_text("image,x,y\n")
    (fields / "noise.parquet").write_bytes(b"x" * 99)
    for name, message in (
        ("empty.csv", "has no rows"),
        ("noise.parquet", "can't be read as a table"),
    ):
        with pytest.raises(ValueError, match=message):
            Objects(str(fields / name), side=12).load()
    with pytest.raises(FileNotFoundError, match="there is no file .*none.csv"):
        Objects(str(fields / "none.csv")).load()
    with pytest.raises(ValueError, match="edge must be one of drop, pad; got 'cut'"):
        Objects(edge="cut")
    with pytest.raises(ValueError, match="side must be a number of pixels, at least 4"):
        Objects(side=2)


def test_fields_differ_in_channels(fields):
    Image.fromarray(np.repeat(field()[0][..., None], 3, axis=2)).save(fields / "c.png")
    path = table(fields / "t.csv", **columns(("a b.png", "c.png")))
    with pytest.raises(ValueError, match="as many channels each; a b.png has 1 and c.png has 3"):
        Objects(path, side=12).load()


CLOSE = np.array([[20.0, 20.0], [27.5, 20.0], [50.0, 40.0], [1.0, 50.0]])


@pytest.mark.parametrize("ome", [False, True])
def test_a_label_mask_gives_a_window_for_each_object_without_its_neighbours(tmp_path, ome):
    image, labels = field(CLOSE)
    tifffile.imwrite(tmp_path / "cells.ome.tif" if ome else tmp_path / "cells.tif", image, ome=ome)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    path = next(tmp_path.glob("cells*"))
    found = Cells(str(path), str(tmp_path / "labels.tif")).load()
    assert found.names == tuple(
        f"{path.name}#{k}" for k in (1, 2, 3)
    )  # the fourth touches the border
    assert "1 objects touch the border" in found.said[0]
    side = found.images.shape[-1]
    assert side == 12  # 1.5 times the 8 pixels across
    for i, (x, y) in enumerate(CLOSE[:3]):
        left, top = (int(np.floor(v - (side - 1) / 2 + 0.5)) for v in (x, y))
        near = labels[top : top + side, left : left + side]
        seen, own = found.images[i, 0].numpy() * 255, image[top : top + side, left : left + side]
        mine = (near == i + 1) | (near == 0)
        np.testing.assert_allclose(seen[mine], own[mine], atol=1e-3)
        assert mine.all() or seen[~mine].std() < 1e-4
    assert (
        (image[15:27, 15:27] > 50) & (labels[15:27, 15:27] == 2)
    ).any()  # the control: it was there


def test_fields_and_masks_are_paired_by_name(tmp_path):
    image, labels = field()
    for name in ("a", "b", "c"):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        Image.fromarray(labels).save(tmp_path / f"{name}_cp_masks.png")
    found = Cells(str(tmp_path), str(tmp_path)).load()
    assert len(found) == 9 and found.groups.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    (tmp_path / "c_cp_masks.png").unlink()
    with pytest.raises(FileNotFoundError, match="c.png has 0 in"):
        Cells(str(tmp_path), str(tmp_path)).load()


def test_masks_that_do_not_fit_are_refused(tmp_path):
    image, labels = field()
    tifffile.imwrite(tmp_path / "a.tif", image)
    cases = {
        "size": (labels[:-1], "size of its image; size.tif has .1, 59, 80. and a.tif .1, 60, 80."),
        "float": (
            labels.astype("f4"),
            "whole numbers, one for each object; float.tif holds float32",
        ),
        "none": (0 * labels, "mark no objects that can be used"),
        "small": ((labels == 1) & (np.arange(WIDTH) > 22), "no objects .*fewer than 20 pixels"),
    }
    for name, (mask, message) in cases.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", mask)
        with pytest.raises(ValueError, match=message):
            Cells(str(tmp_path / "a.tif"), str(tmp_path / f"{name}.tif")).load()
    with pytest.raises(FileNotFoundError, match="masks must be a file or folder"):
        Cells(str(tmp_path / "a.tif"), str(tmp_path / "gone.tif")).load()
    with pytest.raises(
        ValueError, match="path of the fields and masks of their objects must be set"
    ):
        Cells(str(tmp_path / "a.tif")).load()


def test_configurations_build_both(fields):
    path = table(fields / "t.csv", **columns())
    own = ["data=objects", f"data.source.path={path}", "data.source.side=12"]
    data = build(compose(own)["data"], path="data")
    data.setup()
    assert data.image_shape == (1, 12, 12)
    tifffile.imwrite(fields / "labels.tif", field()[1])
    own = ["data=cells", f"data.source.path={fields / 'c.tif'}"]
    data = build(compose([*own, f"data.source.masks={fields / 'labels.tif'}"])["data"], path="data")
    data.setup()
    assert data.image_shape == (1, 13, 13) and torch.is_tensor(data.train.images)
