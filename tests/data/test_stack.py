"""Files that hold many images, written by each field's own library and read again, number by number."""

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from astropy.io import fits

from eqvae.config import build, compose
from eqvae.data import Stack
from eqvae.data.formats import open_stack

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 4096, (12, 9, 9)).astype("u2")
FLOAT = RANDOM.normal(size=(12, 9, 9)).astype("f4")


def mrc(path, values):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values)
        file.set_image_stack()
        file.voxel_size = 1.5
    return path


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values
    return path


def zarr_group(path, **arrays):
    group = zarr.open_group(str(path), mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return path


def fits_cube(path, *cubes):
    units = [fits.PrimaryHDU(), *(fits.ImageHDU(c, name=f"CUBE{i}") for i, c in enumerate(cubes))]
    fits.HDUList(units).writeto(path, overwrite=True)
    return path


def tiff(path, values, **how):
    tifffile.imwrite(path, values, **how)
    return path


WRITERS = {
    "uint16.mrcs": lambda p: mrc(p, GREY),
    "uint16.tif": lambda p: tiff(p, GREY, photometric="minisblack"),
    "uint16.h5": lambda p: hdf5(p, entry__images=GREY, other=np.arange(3)),
    "uint16.zarr": lambda p: zarr_group(p, images=GREY, label=np.arange(12)),
    "uint16.fits": lambda p: fits_cube(p, GREY),
    "uint16.npy": lambda p: np.save(p, GREY) or p,
}


@pytest.mark.parametrize("name", WRITERS)
def test_numbers_are_those_that_were_written(tmp_path, name):
    path = WRITERS[name](tmp_path / name)
    stored = open_stack(path)
    assert np.array_equal(stored.all()[:, 0], GREY) and stored.all().dtype.isnative
    found = Stack(str(path)).load()
    assert found.images.shape == (12, 1, 9, 9)
    np.testing.assert_allclose(found.images[:, 0].numpy(), GREY / 4095, atol=1e-6)
    assert found.rows.tolist() == list(range(12))


def test_floats_keep_their_numbers(tmp_path):
    for path in (mrc(tmp_path / "a.mrc", FLOAT), fits_cube(tmp_path / "a.fits", FLOAT)):
        assert np.array_equal(open_stack(path).all()[:, 0], FLOAT)


def test_sizes_of_pixels(tmp_path):
    assert Stack(str(mrc(tmp_path / "a.mrcs", FLOAT))).load().pixel_size[0] == 1.5
    path = tmp_path / "a.ome.tif"
    tiff(path, GREY[:, None], metadata={"axes": "TCYX", "PhysicalSizeX": 0.25}, ome=True)
    assert Stack(str(path)).load().pixel_size[0] == 0.25
    assert Stack(str(path), pixel_size=2.0).load().pixel_size[0] == 2.0
    with pytest.raises(ValueError, match="pixel_size must be positive"):
        Stack(str(path), pixel_size=-1.0)


@pytest.mark.parametrize(("axes", "shape"), [("TCYX", (5, 2, 9, 9)), ("CTYX", (2, 5, 9, 9))])
def test_channels_of_ome_tiff_stay_channels(tmp_path, axes, shape):
    values = RANDOM.integers(0, 255, shape).astype("u1")
    path = tiff(tmp_path / "a.ome.tif", values, metadata={"axes": axes}, ome=True)
    expected = values if axes == "TCYX" else values.swapaxes(0, 1)
    assert np.array_equal(open_stack(path).all(), expected)


def test_white_is_zero_is_turned(tmp_path):
    path = tiff(tmp_path / "a.tif", GREY, photometric="miniswhite")
    assert np.array_equal(open_stack(path).all()[:, 0], 65535 - GREY)


def test_one_of_several_arrays_is_named(tmp_path):
    several = {
        hdf5(tmp_path / "a.h5", x=GREY, y=FLOAT): "y",
        zarr_group(tmp_path / "a.zarr", x=GREY, y=FLOAT): "y",
        fits_cube(tmp_path / "a.fits", GREY, FLOAT): "CUBE1",
    }
    for path, key in several.items():
        assert np.array_equal(open_stack(path, key).all()[:, 0], FLOAT)
        with pytest.raises(ValueError, match="key must name the images .*which has 2 arrays"):
            open_stack(path)
        with pytest.raises(ValueError, match="key='z' is not in .*which holds"):
            open_stack(path, "z")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("damage", ["torn", "empty", "noise"])
def test_damaged_files_are_one_sentence(tmp_path, name, damage):
    path = WRITERS[name](tmp_path / name)
    if path.is_dir():  # a folder of chunks
        for chunk in (path / "images" / "c").rglob("*"):
            if chunk.is_file():
                chunk.write_bytes(
                    {"torn": chunk.read_bytes()[:40], "empty": b""}.get(damage, b"x" * 99)
                )
    else:
        whole = path.read_bytes()
        noise = bytes(RANDOM.integers(0, 256, len(whole)).astype("u1"))
        path.write_bytes({"torn": whole[: len(whole) // 3], "empty": b""}.get(damage, noise))
    with pytest.raises(ValueError, match=r"can't be read|key must name|array") as error:
        Stack(str(path)).load()
    assert "\n" not in str(error.value)


def test_unknown_endings_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match="path of the stack is not set"):
        Stack().load()
    with pytest.raises(FileNotFoundError, match="there is no .*gone.mrcs"):
        Stack(str(tmp_path / "gone.mrcs")).load()
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(ValueError, match="ending of no format that is read: .mrc .mrcs"):
        Stack(str(tmp_path / "a.xyz")).load()


def test_a_missing_package_names_its_extra(tmp_path, monkeypatch):
    path = mrc(tmp_path / "a.mrcs", FLOAT)
    monkeypatch.setitem(__import__("sys").modules, "mrcfile", None)
    with pytest.raises(ImportError, match=r'needs mrcfile: pip install "eqvae\[mrc\]"'):
        Stack(str(path)).load()


def test_the_configuration_builds_it(tmp_path):
    path = mrc(tmp_path / "a.mrcs", FLOAT)
    data = build(compose(["data=stack", f"data.source.path={path}"])["data"], path="data")
    data.setup()
    assert data.image_shape == (1, 9, 9)
    settings = data.images.settings
    assert settings["path"] == str(path) and settings["grey"]["normalise"] == "percentile"


@pytest.mark.parametrize("kind", ["h5", "zarr", "mrcs", "npy", "fits"])
def test_files_that_declare_far_more_than_they_hold_are_refused_before_memory_is_taken(
    tmp_path, kind
):
    path, shape = tmp_path / f"a.{kind}", (10_000_000, 64, 64)
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("images", shape, "u1", chunks=(16, 64, 64))
    elif kind == "zarr":
        zarr.create_array(str(path), shape=shape, chunks=(16, 64, 64), dtype="u1")
    elif kind == "mrcs":
        mrc(path, FLOAT)
        with path.open("r+b") as file:
            file.seek(8)
            file.write(np.int32(shape[0]).tobytes())
    elif kind == "npy":
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
    else:
        fits_cube(path, FLOAT)
        text = path.read_bytes()
        assert b"NAXIS3  =                   12" in text
        path.write_bytes(
            text.replace(b"NAXIS3  =                   12", b"NAXIS3  =             10000000")
        )
    with pytest.raises(ValueError, match=r"a\.\w+' (can't be read|declares)") as error:
        Stack(str(path)).load()
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_planar_and_interleaved_colours_are_channels(tmp_path):
    values = RANDOM.integers(0, 65535, (6, 9, 7, 3)).astype("u2")
    for name, stored, how in (
        ("contig", values, {"planarconfig": "contig"}),
        ("separate", values.transpose(0, 3, 1, 2), {"planarconfig": "separate"}),
        ("packed", values, {"planarconfig": "contig", "compression": "zlib"}),
    ):
        path = tiff(tmp_path / f"{name}.tif", stored, photometric="rgb", **how)
        assert np.array_equal(open_stack(path).all(), values.transpose(0, 3, 1, 2)), name
        some = open_stack(path)[np.array([5, 0, 3])]
        assert np.array_equal(some, values[[5, 0, 3]].transpose(0, 3, 1, 2))
