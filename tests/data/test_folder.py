"""The user's folders: file formats, classes, and files that spoil the set."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from eqvae.data import Folder

RANDOM = np.random.default_rng(0)


def grey(size=8):
    return RANDOM.integers(0, 256, (size, size), dtype=np.uint8)


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def four(tmp_path):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        save(tmp_path / name, grey())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("x.png", grey(), 255),
        ("x.tif", grey(), 255),
        ("x.png", grey().astype(np.uint16) * 257, 65535),
        ("x.tiff", grey().astype(np.uint16) * 257, 65535),
        ("x.TIF", (grey() / 255).astype(np.float32), 1),
        ("x.png", RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8), 255),
    ],
)
def test_files_come_back_as_written(tmp_path, name, values, scale):
    save(tmp_path / name, values)
    images = Folder(str(tmp_path)).load().images[0].double()
    expected = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    assert torch.allclose(images, torch.from_numpy(expected.astype(np.float64) / scale), atol=1e-6)


def test_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    save(tmp_path / "x.JPG", smooth)
    images = Folder(str(tmp_path)).load().images
    assert images[0, 0].numpy() == pytest.approx(smooth / 255, abs=0.03)


def test_transparency_and_palettes_become_plain_colours(tmp_path):
    rgba = RANDOM.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    save(tmp_path / "a.png", rgba)
    Image.fromarray(rgba[..., :3]).quantize(64).save(tmp_path / "b.png")
    images = Folder(str(tmp_path)).load().images
    assert images.shape == (2, 3, 8, 8)
    assert torch.equal(
        images[0], torch.from_numpy(rgba[..., :3].transpose(2, 0, 1) / np.float32(255))
    )


def test_subfolders_are_classes(tmp_path):
    for name in ("round/1.png", "long/1.png", "long/deep/2.png", "loose.png"):
        save(tmp_path / name, grey())
    (tmp_path / "round" / "notes.txt").write_text("not an image")
    (tmp_path / "round" / "._1.png").write_text("hidden leftovers are no images")
    loaded = Folder(str(tmp_path)).load()
    found = dict(zip(loaded.names, loaded.labels.tolist(), strict=True))
    assert found == {"long/1.png": 0, "long/deep/2.png": 0, "loose.png": -1, "round/1.png": 1}


def test_grey_and_colour_together_need_a_word(four):
    save(four / "rgb.png", RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    with pytest.raises(
        ValueError, match="a.png has 1 channels and rgb.png has 3. .*data.source.channels=1"
    ):
        Folder(str(four)).load()
    assert Folder(str(four), channels=1).load().images.shape == (5, 1, 8, 8)
    assert Folder(str(four), channels=3).load().images.shape == (5, 3, 8, 8)
    with pytest.raises(ValueError, match="channels must be 1 .grey., 3 .RGB. or null .*got 2"):
        Folder(str(four), channels=2)


def test_unreadable_files_are_named_and_skipped_only_on_request(four):
    (four / "broken.png").write_bytes((four / "a.png").read_bytes()[:60])
    (four / "text.jpg").write_text("this is no picture")
    with pytest.raises(ValueError, match="2 of 6 images .*broken.png.*text.jpg.*skip_unreadable"):
        Folder(str(four)).load()
    with pytest.warns(UserWarning, match="left out 2 of 6 images .*broken.png.*text.jpg"):
        loaded = Folder(str(four), skip_unreadable=True).load()
    assert loaded.names == ("a.png", "b.png", "c.png", "d.png")


def test_only_unreadable_files_are_an_error_even_when_skipping(tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    with pytest.raises(ValueError, match="1 of 1 images under .* cannot be read .text.jpg"):
        Folder(str(tmp_path), skip_unreadable=True).load()


def test_constant_and_nan_images_are_named_and_skipped_only_on_request(four):
    save(four / "blank.png", np.full((8, 8), 7, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"1 of 5 images \(blank.png\) are of a single value"):
        Folder(str(four)).load()
    with pytest.warns(UserWarning, match="left out 1 of 5 images .blank.png"):
        assert len(Folder(str(four), skip_unreadable=True).load()) == 4
    for file in four.glob("*.png"):
        file.unlink()
    save(four / "a.tif", np.full((8, 8), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match=r"\(a.tif\) are NaN or infinite"):
        Folder(str(four)).load()


def test_a_stack_of_pages_is_not_one_image(four):
    pages = [Image.fromarray(grey()) for _ in range(3)]
    pages[0].save(four / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="stack.tif: 3 pages, one image expected"):
        Folder(str(four)).load()


def test_numbers_of_unknown_range_are_refused(four):
    save(four / "long.tif", grey().astype(np.int32))
    with pytest.raises(
        ValueError, match="long.tif: pixel format 'I' is not 8-bit, 16-bit or float"
    ):
        Folder(str(four)).load()


def test_sizes_must_agree(four):
    save(four / "e.png", grey(10))
    message = r"a.png has 8x8 pixels and e.png has 10x10 .1 of 5 differ.*Crop, pad or resize"
    with pytest.raises(ValueError, match=message):
        Folder(str(four), skip_unreadable=True).load()


def png_of_16_bits(path, values):
    """A PNG of colours (H, W, 3) with two bytes each, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks.items()
        )
    )


@pytest.mark.parametrize("kind", ["png", "contig.tif", "separate.tif"])
def test_colours_of_16_bits_keep_them(tmp_path, kind):
    values = RANDOM.integers(0, 65536, (4, 8, 8, 3)).astype("u2")
    for i, image in enumerate(values):
        path = tmp_path / f"{i}.{kind}"
        if kind == "png":
            png_of_16_bits(path, image)
        else:
            config = kind.removesuffix(".tif")
            stored = image if config == "contig" else image.transpose(2, 0, 1)
            tifffile.imwrite(path, stored, photometric="rgb", planarconfig=config)
    found = Folder(str(tmp_path)).load().images.numpy() * 65535
    np.testing.assert_allclose(found, values.transpose(0, 3, 1, 2), atol=0.01)
    grey = Folder(str(tmp_path), channels=1).load().images.numpy()[:, 0] * 65535
    np.testing.assert_allclose(grey, values @ np.array([0.299, 0.587, 0.114]), atol=0.6)


def test_files_beyond_what_is_kept_are_read_again_and_alike(tmp_path, monkeypatch):
    for i in range(5):
        save(tmp_path / f"{i}.png", RANDOM.integers(0, 256, (8, 8), dtype=np.uint8))
    save(tmp_path / "5.png", RANDOM.integers(0, 65536, (8, 8), dtype=np.uint16))  # mixed kinds
    monkeypatch.setattr("eqvae.data.sources.stored._FEW_BYTES", 0)
    kept = Folder(str(tmp_path)).load().images
    monkeypatch.setattr("eqvae.data.sources.folder._KEPT", 100)
    again = Folder(str(tmp_path)).load().images
    assert torch.equal(kept[:], again[:]) and again.shape == (6, 1, 8, 8)
    assert isinstance(again.stored.part.args[0], list)  # of files, not of images


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(ValueError, match="is not set. Set data.source.path=FOLDER"):
        Folder().load()
    with pytest.raises(FileNotFoundError, match="there is no folder .*gone"):
        Folder(str(tmp_path / "gone")).load()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="holds no PNG, JPEG or TIFF images .1 file"):
        Folder(str(tmp_path)).load()
