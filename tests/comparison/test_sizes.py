"""Counts against closed forms, and widths that meet them."""

import pytest
import torch
from torch import nn

from eqvae.comparison.sizes import (
    COUNTS,
    TOLERANCE,
    count_macs,
    fit_widths,
    num_macs,
    num_parameters,
    with_values,
)
from eqvae.config import build, compose

SHAPE = (1, 33, 33)
KEYS = ("model.encoder.width", "model.decoder.width")


def test_counts_of_a_known_network():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 81, 7))
    assert num_parameters(net) == 4 * 9 + 4 + 4 * 81 * 7 + 7
    assert count_macs(net, net, (1, 9, 9)) == 81 * 9 * 4 + 4 * 81 * 7
    net[0].weight.requires_grad = False
    assert num_parameters(net) == 4 + 4 * 81 * 7 + 7


@pytest.mark.parametrize("by", COUNTS)
def test_fitted_widths_meet_the_target(by):
    config = compose(["arm=plain", "latent=small"], image_shape=SHAPE)
    wanted = with_values(config, dict(zip(KEYS, (13, 9), strict=True)))
    target = COUNTS[by](build(wanted["model"]), SHAPE)
    widths = fit_widths(config, KEYS, target, by)
    found = COUNTS[by](build(with_values(config, widths)["model"]), SHAPE)
    assert abs(found / target - 1) <= TOLERANCE[by]
    default = COUNTS[by](build(config["model"]), SHAPE)
    assert abs(default / target - 1) > TOLERANCE[by], "control: the default width does not meet it"


def test_a_match_that_is_impossible_says_so():
    config = compose(["arm=plain", "latent=small"], image_shape=SHAPE)
    with pytest.raises(ValueError, match="can't be chosen to have 50 parameters: the nearest"):
        fit_widths(config, KEYS, 50, "parameters")


def test_values_are_set_in_a_copy():
    config = {"a": {"b": 1, "c": 2}}
    assert with_values(config, {"a.b": 5, "d.e": 6}) == {"a": {"b": 5, "c": 2}, "d": {"e": 6}}
    assert config == {"a": {"b": 1, "c": 2}}


def test_counting_leaves_the_random_numbers_alone():
    vae = build(compose(["arm=plain", "latent=small"], image_shape=SHAPE)["model"])
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    num_macs(vae, SHAPE)
    assert torch.rand(1) == before


def test_escnn_networks_can_be_counted():
    config = compose(["arm=hard_c4", "latent.multiplicities=[2,2]"], image_shape=(1, 29, 29))
    assert num_macs(build(config["model"]), (1, 29, 29)) > 1e5
