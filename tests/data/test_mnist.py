"""The full MNIST: its own test part, and what happens without the files."""

import os
from pathlib import Path

import pytest
import torch

from eqvae.data import MNIST, ImageDataModule, Upright

ROOT = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_the_official_test_digits_are_the_test_split():
    if not (ROOT / "MNIST" / "raw").is_dir():
        if os.environ.get("CI"):
            pytest.fail("../shared/data/MNIST/raw must be there in continuous integration.")
        pytest.skip("../shared/data/MNIST/raw is not there")
    module = ImageDataModule(MNIST(str(ROOT)), Upright())
    module.setup()
    assert torch.equal(module.test.indices, torch.arange(60_000, 70_000))
    assert (len(module.train), len(module.val)) == (53_333, 6_667)
    assert module.test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert module.image_shape == (1, 28, 28)
    assert module.train.images.max() == 1


def test_missing_files_say_the_two_ways_out(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="data.source.root=../shared/data.*data.source.download=true"
    ):
        MNIST(str(tmp_path)).load()


def test_damaged_files_are_one_sentence(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    with pytest.raises(ValueError, match="are incomplete or damaged .*data.source.download=true"):
        MNIST(str(tmp_path)).load()
    for name in names:
        (raw / f"{name}-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0" * 20)
    with pytest.raises(ValueError, match="are incomplete or damaged"):
        MNIST(str(tmp_path)).load()
