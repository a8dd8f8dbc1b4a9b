"""Splitting into train, val and test by seed, without tearing groups apart."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from eqvae.data.images import ImageSet


def check_fractions(split: Sequence[float]) -> None:
    """Raise a ValueError unless split is three positive fractions that sum to 1."""
    if len(split) != 3 or not all(f > 0 for f in split) or not math.isclose(sum(split), 1.0):
        raise ValueError(
            "split must be three positive fractions (train, val, test) that sum to 1; "
            f"got {list(split)}, sum {sum(split):g}."
        )


def split_rows(
    images: ImageSet, split: Sequence[float], seed: int, signals: str = "images"
) -> tuple[Tensor, ...]:
    """Rows of train, val and test.

    Groups (or single images) are shuffled by `seed` and dealt out in that order, in which the rows
    stay, so that the first images of a split are a fair sample; each split gets at least one group.
    Large groups make the fractions coarse. With the data's own test part, the rest is divided in
    the proportion train : val.

    Args:
        images: with `is_test` and `groups`, where they are known.
        split: fractions of train, val and test.
        seed: of the shuffle.
        signals: what they are called in messages, see `Domain.signals`.

    Raises:
        ValueError: if there are fewer groups (images) than splits, or a group is in and out of the
            data's own test part.
    """
    if images.is_test is None:
        return _deal(torch.arange(len(images)), images.groups, split, seed, signals)
    own_test = images.is_test.nonzero()[:, 0]
    rest = (~images.is_test).nonzero()[:, 0]
    if len(own_test) == 0:
        raise ValueError(
            f"the source marks none of the {signals} as test; leave is_test out to split by `split`."
        )
    if images.groups is not None:
        torn = set(images.groups[own_test].tolist()) & set(images.groups[rest].tolist())
        if torn:
            raise ValueError(
                "groups must not be torn apart by the data's own test part; "
                f"{sorted(torn)[:5]} are. Leave is_test out to split by group."
            )
    return (*_deal(rest, images.groups, split[:2], seed, signals), own_test)


def _deal(
    rows: Tensor, groups: Tensor | None, shares: Sequence[float], seed: int, signals: str
) -> list[Tensor]:
    groups = rows if groups is None else groups[rows]
    names, member, sizes = groups.unique(return_inverse=True, return_counts=True)
    if len(names) < len(shares):
        what = signals if len(names) == len(rows) else "groups"
        raise ValueError(
            f"splitting into {len(shares)} parts needs at least {len(shares)} {what}; "
            f"there are {len(names)}. Add data."
        )
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    ends = sizes[order].cumsum(0).double()
    cuts = [0]
    for i in range(1, len(shares)):
        wanted = sum(shares[:i]) / sum(shares) * len(rows)
        nearest = int((ends - wanted).abs().argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + 1), len(names) - len(shares) + i))
    cuts.append(len(names))
    place = torch.argsort(order)[member]  # of each row's group in the shuffled order
    dealt = place.argsort(stable=True)
    bounds = [0, *(int(ends[cut - 1]) for cut in cuts[1:])]
    return [rows[dealt[a:b]] for a, b in pairwise(bounds)]
