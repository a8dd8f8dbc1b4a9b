"""Images that come twice never come into two splits, whatever they are stored in."""

import numpy as np
import pytest
import torch

from eqvae.data import ImageDataModule, Npz, Stack, Upright
from eqvae.data.formats import Stored
from eqvae.data.sources.stored import grouped, survey

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 255, (60, 8, 8)).astype("u1")
TWICE = IMAGES[np.r_[0:60, 0:20]]  # the first twenty come again at the end


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_equal_images_stay_in_one_split(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    np.save(path, TWICE) if kind == "npy" else np.savez(path, images=TWICE)
    source = Stack(str(path)) if kind == "npy" else Npz(str(path))
    data = ImageDataModule(source, Upright(), split=(0.5, 0.25, 0.25))
    data.setup()
    assert any("20 images equal another" in line for line in data.images.said)
    where = {}
    for name in ("train", "val", "test"):
        for row in getattr(data, name).indices.tolist():
            where.setdefault(row % 60, set()).add(name)
    assert all(len(splits) == 1 for splits in where.values())
    control = torch.randperm(80, generator=torch.Generator().manual_seed(0))[:40]
    apart = sum((row in control) != (row + 60 in control) for row in range(20))
    assert apart > 3  # without groups they would be torn apart


def test_groups_that_share_an_image_become_one():
    groups = (
        torch.arange(80) // 10
    )  # image 60 is image 0: the seventh group joins the first, and so on
    joined, said = grouped(survey(Stored.array(TWICE)), groups)
    assert torch.equal(joined[:20], joined[60:]) and len(joined.unique()) == 6
    assert torch.equal(joined[0:10].unique(), joined[[5, 65]].unique()) and said
    for group in range(8):
        assert len(joined[groups == group].unique()) == 1


def test_without_twins_nothing_changes():
    groups = torch.arange(60) // 7
    assert grouped(survey(Stored.array(IMAGES))) == (None, [])
    assert grouped(survey(Stored.array(IMAGES)), groups)[0] is groups
