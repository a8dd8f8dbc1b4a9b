"""Splits are disjoint, complete, fixed by the seed, and never tear a group apart."""

import pytest
import torch

from eqvae.data import ImageSet
from eqvae.data.splitting import check_fractions, split_rows

FRACTIONS = (0.8, 0.1, 0.1)


def images(n, **known):
    return ImageSet(torch.rand(n, 1, 4, 4), **known)


def is_partition(parts, n):
    return torch.equal(torch.cat(parts).sort().values, torch.arange(n))


@pytest.mark.parametrize("n", [3, 10, 101])
def test_splits_are_a_partition_of_the_asked_sizes(n):
    parts = split_rows(images(n), FRACTIONS, seed=0)
    assert is_partition(parts, n)
    for part, fraction in zip(parts, FRACTIONS, strict=True):
        assert abs(len(part) - fraction * n) <= 1.5


def test_seed_decides():
    a, b, c = (split_rows(images(50), FRACTIONS, seed) for seed in (0, 0, 1))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[2], c[2])


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_not_torn_apart(seed):
    groups = torch.randint(40, (500,), generator=torch.Generator().manual_seed(seed)) * 7
    parts = split_rows(images(500, groups=groups), FRACTIONS, seed)
    assert is_partition(parts, 500)
    members = [set(groups[part].tolist()) for part in parts]
    assert not (members[0] & members[1] or members[0] & members[2] or members[1] & members[2])
    for part, fraction in zip(parts, FRACTIONS, strict=True):
        assert abs(len(part) - fraction * 500) < 30, "to about one group"
    torn = split_rows(images(500), FRACTIONS, seed)  # control: without the groups
    assert set(groups[torn[0]].tolist()) & set(groups[torn[2]].tolist())


def test_one_dominant_group_leaves_something_for_every_split():
    groups = torch.tensor([0] * 97 + [1, 2, 3])
    for seed in range(6):
        parts = split_rows(images(100, groups=groups), FRACTIONS, seed)
        assert is_partition(parts, 100) and min(map(len, parts)) >= 1


def test_the_data_s_own_test_part_stays():
    is_test = torch.arange(90) >= 60
    train, val, test = split_rows(images(90, is_test=is_test), FRACTIONS, seed=0)
    assert torch.equal(test, torch.arange(60, 90))
    assert is_partition((train, val), 60)
    assert len(val) == pytest.approx(60 / 9, abs=1), "train : val stays 8 : 1"


def test_a_group_in_and_out_of_the_own_test_part_is_an_error():
    is_test = torch.arange(9) >= 6
    assert split_rows(images(9, is_test=is_test, groups=torch.arange(9) // 3), FRACTIONS, 0)
    with pytest.raises(ValueError, match=r"own test part; \[1\] are. Leave is_test out"):
        split_rows(images(9, is_test=is_test, groups=torch.arange(9) // 4), FRACTIONS, 0)


@pytest.mark.parametrize(
    ("known", "n", "message"),
    [
        ({}, 2, "needs at least 3 images; there are 2"),
        ({"groups": torch.zeros(20).long()}, 20, "needs at least 3 groups; there are 1"),
        ({"is_test": torch.tensor([False, True, True])}, 3, "needs at least 2 images"),
        ({"is_test": torch.zeros(5).bool()}, 5, "marks none of the images as test"),
    ],
)
def test_too_few_images_are_an_error(known, n, message):
    with pytest.raises(ValueError, match=message):
        split_rows(images(n, **known), FRACTIONS, seed=0)


@pytest.mark.parametrize("split", [(0.8, 0.1), (0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_fractions_must_sum_to_one(split):
    with pytest.raises(ValueError, match="split must be three positive fractions"):
        check_fractions(split)
