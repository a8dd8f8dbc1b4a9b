"""Every arm, from plain to hard, composes, builds, and learns from a batch; all share one size of latent."""

import math
from functools import cache
from typing import Any

import pytest
import torch

from eqvae.comparison.arms import arms
from eqvae.comparison.sizes import with_values
from eqvae.config import CONFIG_DIR, build, compose
from eqvae.data.batch import Batch
from eqvae.losses import AugmentedObjective, Objective
from eqvae.models.model import Model
from eqvae.testing import GaussianScenes

ARMS = sorted(file.stem for file in (CONFIG_DIR / "arm").glob("*.yaml"))
SIZE = 40


@cache
def composed(arm: str) -> dict[str, Any]:
    return compose([f"arm={arm}"], image_shape=(1, SIZE, SIZE))


def made(arm: str) -> tuple[Model, Objective]:
    """A small model of an arm, and its objective."""
    groups = ([key] if isinstance(key, str) else key for key in arms()[arm].widths)
    widths = {key: 8 for group in groups for key in group}
    if arm.startswith("hard_"):
        widths = {f"model.{p}.{n}": 4 for p in ("encoder", "decoder") for n in ("maps", "hidden")}
    torch.manual_seed(0)
    model = build(with_values(composed(arm), widths)["model"], path="model")
    return model, build(composed(arm)["objective"], path="objective")


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_learns_from_a_batch(arm):
    model, objective = made(arm)
    objective.check(model)
    assert model.representation.dim == 54
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer, x = torch.optim.Adam(model.parameters()), GaussianScenes(4, size=SIZE).render()
    # twice: a residual that starts at zero gives its other factor no gradient at first
    for step in range(2):
        loss, terms = objective(model, Batch(x), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert math.isfinite(loss.item()) and all(value.isfinite() for value in terms.values())
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert len(changed) > 0.9 * len(before)
    soft = arms()[arm].kind in ("soft", "relaxed")
    assert any(name.startswith("penalty/") for name in terms) == soft


def test_the_shifts_of_all_losses_are_the_same():
    for arm in ARMS:
        objective = build(composed(arm)["objective"])
        shifts = [getattr(p.term, "shift", 2.0) for p in objective.penalties.values()]
        if isinstance(objective, AugmentedObjective):
            shifts.append(objective.shift)
        assert all(shift == 2.0 for shift in shifts), arm


def test_latents_are_the_default_but_for_quarter_turns():
    default = compose(["latent=default"])["latent"]
    for arm in ARMS:
        latent = composed(arm)["latent"]
        assert (latent == default) == (arm != "hard_c4"), arm


def test_every_arm_says_in_one_line_what_it_is():
    for arm in ARMS:
        first, second, third = (CONFIG_DIR / "arm" / f"{arm}.yaml").read_text().split("\n")[:3]
        assert first == "# @package _global_" and second.startswith("# ") and third == "defaults:"
