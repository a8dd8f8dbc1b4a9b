"""The loss: beta, named penalties, weights and schedules add up as written."""

import pytest
import torch

from eqvae.config import build
from eqvae.data.batch import Batch
from eqvae.losses import EncoderPenalty, Objective, Penalty, RoundTripPenalty, WarmUp
from tests.toys import toy_vae

X = torch.rand(4, 1, 21, 21, generator=torch.Generator().manual_seed(0))


def score(objective: Objective, step: int = 0) -> dict[str, float]:
    torch.manual_seed(0)
    loss, terms = objective(toy_vae(21, bias=0.5), Batch(X), step)
    assert loss is terms["loss"]
    return {name: value.item() for name, value in terms.items()}


def test_the_elbo_is_the_loss_at_beta_1():
    terms = score(Objective())
    assert terms["loss"] == pytest.approx(-terms["elbo"])
    assert not any(name.startswith("penalty/") for name in terms)


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (5, 0.5), (50, 1.0)])
def test_beta_follows_its_schedule(step, factor):
    terms = score(Objective(beta=2.0, beta_schedule=WarmUp(10)), step)
    assert terms["loss"] == pytest.approx(-terms["log_likelihood"] + 2 * factor * terms["kl"])
    assert terms["elbo"] == pytest.approx(terms["log_likelihood"] - terms["kl"])  # beta or not


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (5, 0.5), (50, 1.0)])
def test_penalties_add_by_weight_and_schedule(step, factor):
    penalties = {
        "encoder": Penalty(EncoderPenalty(), weight=3.0),
        "trip": Penalty(RoundTripPenalty(), weight=0.5, schedule=WarmUp(10)),
    }
    terms = score(Objective(penalties=penalties), step)
    a, b = terms["penalty/encoder"], terms["penalty/trip"]
    assert a > 0 and b > 0
    assert terms["loss"] == pytest.approx(-terms["elbo"] + 3 * a + 0.5 * factor * b)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="beta must be >= 0; got -1"):
        Objective(beta=-1)
    with pytest.raises(ValueError, match="weight of a penalty must be >= 0; got -2"):
        Penalty(EncoderPenalty(), weight=-2)


def test_schedules_can_be_configured():
    objective = build(
        {
            "_target_": "eqvae.losses.Objective",
            "beta_schedule": {"_target_": "eqvae.losses.Cyclic", "period": 8},
            "penalties": {
                "posterior": {
                    "_target_": "eqvae.losses.Penalty",
                    "weight": 1.0,
                    "term": {"_target_": "eqvae.losses.PosteriorPenalty", "shift": 2.0},
                    "schedule": {"_target_": "eqvae.losses.WarmUp", "steps": 4},
                }
            },
        }
    )
    assert objective.beta_schedule(2) == objective.penalties["posterior"].schedule(2) == 0.5
    assert "penalty/posterior" in score(objective)
