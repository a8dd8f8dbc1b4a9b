"""Components that explain the same latents are one kind."""

import pytest
import torch

from eqvae.distributions.orbit import OrbitFit
from eqvae.distributions.orbit.groups import group_components
from tests.distributions.orbit.planted import LATENT, SO2, known, planted, seeded


def overlap() -> torch.Tensor:
    """Of components 0, 2, 4 and 1, 3, 5, which share much with each other and little with the rest."""
    of = torch.arange(6) % 2
    return torch.where(of[:, None] == of, 1.0, 0.01).fill_diagonal_(0.0)


def test_components_that_overlap_are_one_group():
    weights = torch.tensor([0.1, 0.3, 0.1, 0.3, 0.1, 0.1])
    found = group_components(overlap(), weights, 2)
    assert found.tolist() == [1, 0, 1, 0, 1, 0]  # the heaviest group comes first
    assert torch.equal(group_components(overlap(), weights, 2, seed=5), found)
    assert group_components(overlap(), weights, 1).tolist() == [0] * 6
    assert sorted(group_components(overlap(), weights, 6).tolist()) == list(range(6))


@pytest.mark.parametrize("groups", [0, 7])
def test_no_more_groups_than_components(groups):
    with pytest.raises(ValueError, match=f"from 1 to the 6 components of the prior; got {groups}"):
        group_components(overlap(), torch.ones(6), groups)


def test_components_without_any_overlap_can_be_grouped():
    assert len(group_components(torch.zeros(5, 5), torch.ones(5) / 5, 2)) == 5


def test_planted_kinds_are_found_by_more_components_than_kinds():
    truth = planted(components=3, distance=4, scale=0.4)
    k = torch.arange(900) % 3
    latents = known(truth.sample(900, seeded(), component=k))
    mixture = OrbitFit(9, 0)(latents, latents[:300], [SO2])
    share = mixture.kinds(latents.loc, 3)
    torch.testing.assert_close(share.sum(1), torch.ones(900, dtype=torch.float64))
    table = torch.zeros(3, 3).index_put_((k, share.argmax(1)), torch.ones(900), accumulate=True)
    assert table.amax(0).sum() / 900 > 0.95
    assert mixture.kinds(latents.loc).shape == (900, 9)
    g = SO2.sample(900, generator=seeded(3)).double()  # a turn is no other kind
    turned = mixture.kinds(LATENT.act(g, latents.loc), 3)
    assert (turned.argmax(1) == share.argmax(1)).double().mean() > 0.99
