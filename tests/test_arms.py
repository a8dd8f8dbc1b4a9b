"""Every arm, from plain to hard, composes, builds, and learns from a batch; all share one size of latent."""

import math

import pytest
import torch

from eqvae.config import CONFIG_DIR, build, compose
from eqvae.losses import AugmentedObjective, Objective
from eqvae.models.vae import VAE
from eqvae.testing import GaussianScenes

ARMS = sorted(file.stem for file in (CONFIG_DIR / "arm").glob("*.yaml"))
SIZE = 40
PLAIN = ["model.encoder.width=8", "model.decoder.width=8"]
FIBRE = ["model.encoder.encoder.hidden=8", "model.decoder.decoder.hidden=8"]
TINY = {
    "canonicalised": ["model.encoder.encoder.width=8", "model.decoder.decoder.width=8"],
    "hard": ["model.encoder.hidden=8", "model.decoder.hidden=8"],
    "projected": FIBRE,
    "relaxed": FIBRE + ["model.encoder.free.width=8", "model.decoder.free.width=8"],
    "relaxed_bias": FIBRE,
    "relaxed_layers": FIBRE,
}
STEERABLE = [f"++model.{p}.{n}=4" for p in ("encoder", "decoder") for n in ("maps", "hidden")]


def made(arm: str) -> tuple[VAE, Objective]:
    small = STEERABLE if arm.startswith("hard_") else PLAIN
    config = compose([f"arm={arm}", *TINY.get(arm, small)], image_shape=(1, SIZE, SIZE))
    torch.manual_seed(0)
    return build(config["model"], path="model"), build(config["objective"], path="objective")


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_learns_from_a_batch(arm):
    vae, objective = made(arm)
    assert vae.representation.dim == 54
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    optimizer, x = torch.optim.Adam(vae.parameters()), GaussianScenes(4, size=SIZE).render()
    for step in range(
        2
    ):  # a residual that starts at zero gives its other factor no gradient at first
        loss, terms = objective(vae, x, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert math.isfinite(loss.item()) and all(value.isfinite() for value in terms.values())
    changed = [name for name, p in vae.named_parameters() if not torch.equal(p, before[name])]
    assert len(changed) > 0.9 * len(before)
    soft = arm.startswith(("soft", "relaxed", "projected"))
    assert any(name.startswith("penalty/") for name in terms) == soft


def test_the_shifts_of_all_losses_are_the_same():
    for arm in ARMS:
        objective = build(compose([f"arm={arm}"])["objective"])
        shifts = [getattr(p.term, "shift", 2.0) for p in objective.penalties.values()]
        if isinstance(objective, AugmentedObjective):
            shifts.append(objective.shift)
        assert all(shift == 2.0 for shift in shifts), arm


def test_latents_are_the_default_but_for_quarter_turns():
    default = compose()["latent"]
    for arm in ARMS:
        latent = compose([f"arm={arm}"])["latent"]
        assert (latent == default) == (arm != "hard_c4"), arm


def test_every_arm_says_in_one_line_what_it_is():
    for arm in ARMS:
        first, second, third = (CONFIG_DIR / "arm" / f"{arm}.yaml").read_text().split("\n")[:3]
        assert first == "# @package _global_" and second.startswith("# ") and third == "defaults:"
