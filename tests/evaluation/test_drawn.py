"""Samples of a model held against training images: what is measured, and what is said without them."""

from dataclasses import replace

import pytest
import torch

from eqvae.config import build, compose
from eqvae.data import ImageDataModule
from eqvae.data.batch import Batch
from eqvae.evaluation.drawn import Drawn, decoded, feature_scores_of, recognition_scores
from eqvae.evaluation.held_out import TRAINING, HeldOut
from eqvae.evaluation.report import explanations
from eqvae.evaluation.suites import SUITES
from eqvae.metrics.generation import public
from eqvae.metrics.score import Score
from tests.toys import toy_vae

SIZE = 33
WITH_TRAINING = (
    *(f"fd_posed/{name}" for name in ("oracle", "reconstruction")),
    *(f"fd_posed/over_{name}" for name in ("oracle", "reconstruction")),
    *("memorisation_ratio_posed", "recognised_share"),
)


@pytest.fixture(scope="module")
def datamodule() -> ImageDataModule:
    overrides = ["experiment=smoke", "data.source.num_images=300", "data.split=[0.45,0.1,0.45]"]
    data = build(compose(overrides)["data"], path="data")
    data.setup()
    return data


def held_out_of(datamodule: ImageDataModule, **changes) -> HeldOut:
    return replace(HeldOut.of(toy_vae(SIZE), datamodule), **changes)


@pytest.fixture(scope="module")
def measured(datamodule) -> dict[str, Score]:
    """Without the public network, whose own tests are elsewhere and take longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "PACKAGES", ("no_such_package",))
        return SUITES["generation"](held_out_of(datamodule)).scores


def test_training_images_come_from_the_train_split(datamodule, monkeypatch):
    held_out = held_out_of(datamodule)
    assert set(held_out.train.index.tolist()) == set(datamodule.train.indices.tolist())
    assert not set(held_out.train.index.tolist()) & set(held_out.batch.index.tolist())
    monkeypatch.setattr("eqvae.evaluation.held_out.TRAINING", 20)
    few, other = (HeldOut.of(toy_vae(SIZE), datamodule, seed=seed).train for seed in (0, 1))
    assert len(few) == 20 < TRAINING and not torch.equal(few.index, other.index)
    assert HeldOut.of(toy_vae(SIZE), datamodule, split="train").train is None


def test_everything_is_measured_and_explained(measured):
    for name in WITH_TRAINING:
        assert measured[name].value is not None, measured[name].reason
        assert measured[name].page in explanations()
    assert measured["recogniser_accuracy"].n == 135
    assert measured["fd_posed/over_oracle"].value == pytest.approx(
        measured["fd_posed"].value / measured["fd_posed/oracle"].value
    )
    assert measured["memorisation_ratio_posed"].value > 0.5


def test_a_model_that_shows_its_training_images_is_found_out(datamodule):
    """A control: samples that are training images are copies, recognised, and as near as an oracle."""
    held_out = held_out_of(datamodule)
    drawn = Drawn(held_out, torch.zeros(135, held_out.representation.dim))
    drawn.__dict__["samples"] = held_out.train.image[:135]
    scores = recognition_scores(drawn)
    assert scores["recognised_share"].value > 0.85
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "PACKAGES", ("no_such_package",))
        assert feature_scores_of(drawn)["memorisation_ratio_posed"].value == 0


def test_the_oracle_is_what_the_posteriors_of_training_images_show(datamodule):
    held_out = held_out_of(datamodule)
    drawn = Drawn(held_out, torch.zeros(10, held_out.representation.dim))
    with torch.no_grad():
        modes = held_out.model.encode(held_out.train[:10]).mode
    exact = decoded(held_out, modes)
    assert drawn.oracle.shape == exact.shape and not torch.equal(drawn.oracle, exact)
    scale = held_out.model.encode(held_out.train[:10]).scale
    spread = decoded(
        held_out, modes + 3 * scale
    )  # a draw is nearer to the mode than three deviations
    assert (drawn.oracle - exact).norm() < (spread - exact).norm()
    again = Drawn(held_out, drawn.z).oracle
    assert torch.equal(again, drawn.oracle)


def test_without_training_images_the_rest_is_still_measured(datamodule, monkeypatch):
    monkeypatch.setattr(public, "PACKAGES", ("no_such_package",))
    scores = SUITES["generation"](held_out_of(datamodule, train=None)).scores
    for name in WITH_TRAINING:
        assert scores[name].reason == "there are no training images to compare with"
    assert scores["fd_posed"].value is not None
    assert "pip install efficientnet-lite-pytorch==0.1.0" in scores["fd_efficientnet_lite0"].reason


def test_without_labels_nothing_is_recognised(datamodule):
    known = held_out_of(datamodule)
    blind = Batch(known.train.image)
    for changes in ({"train": blind}, {"batch": Batch(known.images)}):
        drawn = Drawn(replace(known, **changes), torch.zeros(5, known.representation.dim))
        reason = recognition_scores(drawn)["recognised_share"].reason
        assert reason == "the data have no labels of two classes"


def test_few_training_images_are_said_to_be_few(datamodule, monkeypatch):
    monkeypatch.setattr(public, "PACKAGES", ("no_such_package",))
    known = held_out_of(datamodule)
    scores = SUITES["generation"](replace(known, train=known.train[:30])).scores
    assert "more images than the 96 features; got 30" in scores["fd_posed/over_oracle"].reason
    assert scores["memorisation_ratio_posed"].value is not None


@pytest.mark.skipif(bool(public.missing()), reason="the extra `features` is not installed")
def test_the_public_network_measures_the_same_things(datamodule, monkeypatch):
    monkeypatch.setattr("eqvae.evaluation.drawn._PUBLIC", {"fast": 30})
    scores = SUITES["generation"](held_out_of(datamodule)).scores
    assert scores["kd_efficientnet_lite0"].value > 0
    assert "320 features" in scores["fd_efficientnet_lite0"].reason
    assert "320 features" in scores["fd_efficientnet_lite0/over_oracle"].reason
