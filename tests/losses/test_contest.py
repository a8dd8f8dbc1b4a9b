"""Gradients of task and penalty: their cosine, when it is looked at, and what a fight costs."""

import pytest
import torch
from torch import nn

from eqvae.claims.rows.training import fought
from eqvae.data.batch import Batch
from eqvae.losses import EncoderPenalty, Objective, Penalty, gradient_cosines
from eqvae.losses.contest import cosines_of, task_error_of_wrong_penalty
from eqvae.symmetry import FasterAction, OwnAction, Representation, compose, motion
from tests.toys import toy_vae

LATENT = Representation((3, 2, 1))
X = torch.rand(4, 1, 21, 21, generator=torch.Generator().manual_seed(0))


def test_cosines_of_planted_gradients():
    p, q = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    task = p[0] + 5 * q.sum()  # the penalties do not reach q
    asked = {
        "with": 2 * p[0],
        "against": -3 * p[0],
        "across": p[1],
        "half": p[0] + p[1],
        "none": 0 * p[0],
    }
    found = gradient_cosines(task, asked, [p, q])
    told = {"with": 1, "against": -1, "across": 0, "half": 0.5**0.5, "none": 0}
    assert {name: float(c) for name, c in found.items()} == pytest.approx(told)
    (task + asked["half"]).backward()  # the graph is still there
    assert p.grad.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("step", "every", "looks"), [(0, 10, True), (7, 10, False), (10, 10, True), (0, 0, False)]
)
def test_a_look_is_taken_at_some_steps_of_training_and_changes_nothing(step, every, looks):
    model, name = toy_vae(21, bias=0.5), "dial/grad_cosine/encoder"

    def score(objective):
        torch.manual_seed(0)
        return objective(model, Batch(X), step)

    terms = {"encoder": Penalty(EncoderPenalty(), weight=1.0)}
    loss, found = score(Objective(penalties=terms, cosine_every=every))
    assert (name in found) == looks
    assert loss.item() == score(Objective(penalties=terms, cosine_every=0))[0].item()
    assert name not in score(Objective(penalties=terms, cosine_every=every).eval())[1]
    with pytest.raises(ValueError, match="cosine_every must be a whole number of steps"):
        Objective(cosine_every=-1)


@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_what_a_wrong_penalty_costs_follows_the_formula(weight):
    wrong, right = (fought(weight, seed=3, turns=turns, orbits=2) for turns in (1, 0))
    assert wrong["task"] == pytest.approx(task_error_of_wrong_penalty(weight), rel=0.05)
    assert wrong["cosine"] < -0.99 and right["task"] < 1e-3, "control: the right representation"


def test_a_faster_action_is_a_representation_that_half_a_turn_does_not_see():
    torch.manual_seed(0)
    z = torch.randn(6, LATENT.dim, dtype=torch.float64)
    g, h = (motion(torch.rand(6) * 6, torch.randn(6, 2), dtype=torch.float64) for _ in range(2))
    faster, half = FasterAction(2), motion(torch.pi, dtype=torch.float64).expand(6, -1)
    both = faster(LATENT, g, faster(LATENT, h, z))
    assert torch.allclose(faster(LATENT, compose(g, h), z), both)
    v = LATENT.slices.vector
    assert torch.allclose(faster(LATENT, half, z)[:, v], z[:, v])
    assert not torch.allclose(OwnAction()(LATENT, half, z)[:, v], z[:, v]), "control"
    with pytest.raises(ValueError, match="times must be a whole number, at least 2; got 1"):
        FasterAction(1)


def test_cosines_are_found_among_metrics():
    assert cosines_of({"train/grad_cosine/encoder": -0.7, "val/elbo": 1.0}) == {"encoder": -0.7}
