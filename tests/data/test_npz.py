"""The user's .npz archives: layouts, number formats, keys and what is wrong with them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from eqvae.data import ImageDataModule, Npz, Upright
from eqvae.data.sources.archive import opened

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 9, 9), dtype=np.uint8)


@pytest.fixture
def write(tmp_path):
    def write(**arrays):
        path = tmp_path / "images.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (GREY, 255),
        (GREY.astype(np.uint16) * 257, 65535),
        (GREY / 255.0, 1),
        ((GREY / 255.0).astype(np.float32), 1),
        (GREY > 100, 1),
    ],
    ids=["uint8", "uint16", "float64", "float32", "bool"],
)
def test_grey_values_come_into_the_unit_interval(write, values, scale):
    images = Npz(write(images=values)).load().images
    assert images.dtype == torch.float32 and images.shape == (12, 1, 9, 9)
    expected = torch.from_numpy(values[:, None].astype(np.float64) / scale)
    assert torch.allclose(images.double(), expected, atol=1e-6)


def test_channels_may_come_first_or_last(write):
    rgb = RANDOM.random((5, 3, 8, 8))
    first = Npz(write(images=rgb)).load().images
    last = Npz(write(images=rgb.transpose(0, 2, 3, 1))).load().images
    assert first.shape == (5, 3, 8, 8) and torch.equal(first, last)


def test_the_only_image_like_array_is_found(write):
    assert len(Npz(write(cells=GREY, area=np.arange(12))).load()) == 12
    with pytest.raises(
        ValueError, match=r"has 2 arrays of 3 or 4 .*\['a', 'b'\].*data.source.image=KEY"
    ):
        Npz(write(a=GREY, b=GREY)).load()
    assert len(Npz(write(a=GREY, b=GREY[:5]), image="b").load()) == 5
    with pytest.raises(ValueError, match="has 0 arrays of 3 or 4"):
        Npz(write(a=np.arange(3))).load()


def test_labels_and_groups(write):
    names = np.array(["b", "a", "c"] * 4)
    source = Npz(
        write(images=GREY, kind=names, field=np.arange(12) // 3), label="kind", group="field"
    )
    loaded = source.load()
    assert loaded.labels.tolist() == [1, 0, 2] * 4
    assert loaded.groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_without_labels_the_batch_says_unknown(write):
    module = ImageDataModule(Npz(write(images=GREY)), Upright())
    module.setup()
    assert (module.train.labels == -1).all()
    assert module.train.poses.isnan().all()


def test_the_split_follows_the_group_key(write):
    field = np.arange(12) // 2
    source = Npz(write(images=GREY, field=field), group="field")
    module = ImageDataModule(source, Upright(), split=(0.5, 0.25, 0.25))
    module.setup()
    members = [set(field[p.indices]) for p in (module.train, module.val, module.test)]
    assert sum(map(len, members)) == len(set.union(*members)) == 6


OBJECT = np.zeros((12, 9, 9), dtype=bool)
OBJECT[:, 3:5, 2:6] = True


@pytest.mark.parametrize(
    "mask",
    [OBJECT, OBJECT.astype(np.uint8), np.packbits(OBJECT.reshape(12, -1), axis=1)],
    ids=["bool", "uint8", "packed"],
)
@pytest.mark.parametrize("margin", [0, 1, 2])
def test_what_is_far_from_the_mask_disappears(write, mask, margin):
    path = write(cells=GREY, nuclei=mask)
    loaded = Npz(path, mask="nuclei", mask_margin=margin).load()
    images = loaded.images[:, 0]
    near = distance_transform_edt(~OBJECT[0]) <= margin
    whole = torch.from_numpy(GREY.astype(np.float32) / 255)
    assert torch.equal(images[:, near], whole[:, near])
    assert (images[:, ~near] == 0).all() and (whole[:, ~near] > 0).any()
    assert torch.equal(loaded.masks[:, 0], torch.from_numpy(OBJECT)), "without the margin"


def test_masks_cover_every_channel_and_what_is_not_finite(write):
    rgb = RANDOM.random((12, 9, 9, 3))
    rgb[:, 0, 0] = np.nan
    images = Npz(write(images=rgb, m=OBJECT), mask="m").load().images
    assert ((images != 0).sum(dim=1) == 3).sum() == (images != 0).any(dim=1).sum()
    assert (images[:, :, 0, 0] == 0).all()


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        (OBJECT, {"mask": "n"}, "mask='n' is not in .*its keys are"),
        (OBJECT[:5], {}, r"mask='m' must be bool or uint8 of shape \(12, 9, 9\), or packed .*5, 9"),
        (OBJECT * 1.0, {}, "mask='m' must be bool or uint8 .*got float64"),
        (OBJECT.astype(np.uint8) * 3, {}, "mask='m' must be 1 on the object and 0 .*reaches to 3"),
        (OBJECT, {"mask_margin": -1}, "mask_margin must be a whole number .*got -1"),
        (OBJECT, {"mask_margin": 1.5}, "mask_margin must be a whole number .*got 1.5"),
    ],
)
def test_what_is_wrong_with_a_mask_is_said(write, mask, options, message):
    path = write(images=GREY, m=mask)
    with pytest.raises(ValueError, match=message):
        Npz(path, **{"mask": "m", **options}).load()


def test_skipping_leaves_out_and_says_so(write):
    values = GREY / 255.0
    values[2], values[7, 0, 0] = 0.3, np.nan
    path = write(images=values, label=np.arange(12))
    with pytest.raises(ValueError, match=r"1 of 12 images \(number 7\) are NaN.*skip_unreadable=t"):
        Npz(path).load()
    with pytest.warns(match="number 7"), pytest.warns(match="number 2"):
        loaded = Npz(path, label="label", skip_unreadable=True).load()
    assert loaded.labels.tolist() == [0, 1, 3, 4, 5, 6, 8, 9, 10, 11]


def test_nothing_left_is_an_error(write):
    path = write(images=np.zeros((5, 8, 8)))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of the 5 images can be"):
        Npz(path, skip_unreadable=True).load()


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"images": GREY * 1j}, {}, "must be whole numbers or floats; got complex128"),
        ({"images": GREY[:0]}, {}, "images is empty"),
        ({"images": GREY[0]}, {}, r"must be an array .*got shape \(9, 9\)"),
        ({"images": GREY}, {"image": "x"}, r"image='x' is not in .*its keys are \['images'\]"),
        ({"images": GREY}, {"group": "source"}, "group='source' is not in"),
        ({"images": GREY, "s": np.arange(5)}, {"group": "s"}, "groups must have one entry .*got 5"),
        ({"images": GREY, "s": np.arange(5)}, {"label": "s"}, "labels must have one entry .*got 5"),
        ({"images": GREY, "s": np.ones(12)}, {"label": "s"}, "label='s' must be one whole number"),
        ({"images": np.array([{}, 1])}, {}, "array of Python objects, which are not read"),
    ],
)
def test_what_is_wrong_is_said(write, arrays, options, message):
    with pytest.raises(ValueError, match=message):
        Npz(write(**arrays), **options).load()


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ValueError, match="is not set. Set data.source.path=images.npz"):
        Npz().load()
    with pytest.raises(FileNotFoundError, match="there is no file .*gone.npz"):
        Npz(str(tmp_path / "gone.npz")).load()
    np.savez(tmp_path / "whole.npz", images=GREY)
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "torn.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "single.npy", GREY)
    assert len(Npz(str(tmp_path / "single.npy")).load()) == len(GREY)
    (tmp_path / "notes.npy").write_bytes(b"not an array")
    with pytest.raises(ValueError, match="notes.npy' can't be read"):
        Npz(str(tmp_path / "notes.npy")).load()
    for name in ("torn.npz", "empty.npz"):
        with pytest.raises(ValueError, match=f"{name}' cannot be read as an .npz archive"):
            Npz(str(tmp_path / name)).load()


def test_numbers_stay_in_the_archive_and_are_the_same_however_it_is_packed(tmp_path):
    """Not packed, an archive is read where it lies; the control, packed, is held in its own numbers."""
    images = np.random.default_rng(0).integers(0, 255, (20, 6, 6), dtype=np.uint8)
    for name, save in (("flat", np.savez), ("packed", np.savez_compressed)):
        save(tmp_path / f"{name}.npz", first=np.arange(3), images=images, big=images.astype(">u2"))
        save(tmp_path / f"{name}_columns.npz", images=np.asfortranarray(images))
    for file in tmp_path.glob("*.npz"):
        with opened(file) as arrays:
            stored = arrays.stored("images")
            in_file = stored.part.func.__name__ == "_bytes"
            assert in_file == (file.stem == "flat")
            assert np.array_equal(stored.all()[:, 0], images)
            if "columns" not in file.stem:
                assert np.array_equal(arrays.stored("big").all()[:, 0], images)


def test_a_flipped_bit_is_noticed_though_numbers_stay_in_the_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 255, (20, 6, 6), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[400] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="Bad CRC"):
        Npz(path).load()
