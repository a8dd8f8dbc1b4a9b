"""Orders of images: every image once, whatever the number of processes."""

import pytest
import torch

from eqvae.data.order import BlockOrder, WholeOrder

BLOCK = torch.arange(53) % 7


def made(kind, **how):
    if kind == "whole":
        return WholeOrder(len(BLOCK), **how)
    return BlockOrder(BLOCK, 3, **how)


@pytest.mark.parametrize("kind", ["whole", "block"])
@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
def test_in_training_no_image_comes_twice_and_every_process_gets_as_many(kind, replicas):
    rested = set()
    for epoch in range(40):
        parts = []
        for rank in range(replicas):
            order = made(kind, shuffle=True, replicas=replicas, rank=rank, seed=3)
            order.set_epoch(epoch)
            parts.append(list(order))
            assert len(parts[-1]) == len(order) == len(BLOCK) // replicas
        seen = sum(parts, [])
        assert len(seen) == len(set(seen))
        rested |= set(range(len(BLOCK))) - set(seen)
    assert len(rested) == 0 if replicas == 1 else len(rested) > 20  # not always the same


@pytest.mark.parametrize("kind", ["whole", "block"])
@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
def test_in_a_test_every_image_comes_once(kind, replicas):
    orders = [made(kind, shuffle=False, replicas=replicas, rank=r) for r in range(replicas)]
    parts = [list(order) for order in orders]
    assert sorted(sum(parts, [])) == list(range(len(BLOCK)))
    assert [len(order) for order in orders] == [len(part) for part in parts]


@pytest.mark.parametrize("kind", ["whole", "block"])
def test_an_order_is_a_function_of_seed_and_epoch(kind):
    def epoch(number, seed):
        order = made(kind, shuffle=True, seed=seed)
        order.set_epoch(number)
        return list(order)

    assert epoch(1, 0) == epoch(1, 0)
    assert len({tuple(epoch(e, s)) for e in (0, 1) for s in (0, 5)}) == 4
