"""What is measured of poses, content and states of structures where a model has none, or several alike."""

import math

import numpy as np
import pytest
import torch

from eqvae.config import build, compose, fill_data
from eqvae.distributions.gaussian import GaussianPrior
from eqvae.evaluation.held_out import HeldOut
from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.vae import (
    PlainStructureDecoder,
    PlainStructureEncoder,
    PlainStructureVAE,
    SpaceOrbitPosedPrior,
    SpaceOrbitPrior,
)
from eqvae.three.vae.states import describe
from eqvae.three.vae.suites import content, pose


def made(*choices, atoms=6):
    """A model, and data that are set up."""
    config = fill_data(compose(choices), (1, atoms, 3))
    model, data = build(config["model"]).eval(), build(config["data"])
    data.setup()
    return model, data


@pytest.fixture(scope="module")
def plain():
    own = ["data.source.num_structures=30", "data.source.num_atoms=6"]
    return made("data=chains", "model=plain_structures", *own)


@pytest.mark.parametrize("group", [SpaceRotations(), None], ids=["on orbits", "on none"])
def test_a_plain_model_has_a_pose_where_its_latents_lie_on_orbits(plain, group):
    model, data = plain
    model.prior = SpaceOrbitPrior(model.representation, group, 2)
    scores = pose(HeldOut.of(model, data)).scores
    if group is None:
        assert "on no orbits" in scores["error"].reason
    else:
        assert set(scores) == {"follows/angle", "follows/shift", "deviation/angle_median"}


def test_a_latent_without_content_has_no_change_of_it(plain):
    model, data = plain
    latent = SpaceRepresentation.parse("position + 2x1o")
    parts = (kind(model.domain, latent) for kind in (PlainStructureEncoder, PlainStructureDecoder))
    bare = PlainStructureVAE(*parts, GaussianPrior(latent), model.likelihood)
    assert "no content" in content(HeldOut.of(bare, data)).scores["change"].reason


def test_the_pose_is_compared_in_the_order_of_atoms_that_it_is_of(tmp_path):
    turn = torch.arange(6) * (math.pi / 3)
    ring = torch.stack([turn.cos(), turn.sin(), 0 * turn], dim=1) * 1.4
    noise = torch.randn(20, 6, 3, generator=torch.Generator().manual_seed(0))
    np.savez(tmp_path / "a.npz", positions=(ring + 0.05 * noise).numpy(), elements=["C"] * 6)
    model, data = made(
        *("data=structures", "model=se3", f"data.source.path={tmp_path / 'a.npz'}"),
        *("model.equivalent=[[1,2,3,4,5,0],[0,5,4,3,2,1]]", "model.likelihood.variance=0.01"),
    )
    model.start(data.train[:].image[:, 0])
    held_out = HeldOut.of(model, data)
    assert pose(held_out).scores["kabsch/angle_median"].value < 5
    q = model.encode(held_out.batch)
    assert bool((q.pose.peaks.argmax(1) > 0).any())  # the control: some are of another order


def test_the_heaviest_state_comes_first():
    own = ["data.source.num_structures=30", "data.source.num_atoms=6"]
    model, data = made("data=chains", "model=se3", *own)
    model.prior = SpaceOrbitPosedPrior(model.representation, components=2, rank=0)
    with torch.no_grad():
        model.prior.mixture.logits[1] = 2.0
    found = describe(model, data, ("test",))
    assert torch.allclose(found.state, model.prior.weights.flip(0).expand(len(found), 2))
