"""A penalty that can't judge a model says so before training, for every model there is."""

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.losses import (
    ClusterPenalty,
    DecoderPenalty,
    EncoderPenalty,
    FixedPrecision,
    LiePenalty,
    Objective,
    Penalty,
    PenaltyTerm,
    PosteriorPenalty,
    ResidualPenalty,
    RoundTripPenalty,
)
from eqvae.nn.relaxed import RelaxedFibreLinear
from eqvae.symmetry import PlaneMotions
from eqvae.training.module import TrainingModule
from tests.models.test_pose_vae import made as pose_vae
from tests.toys import toy_vae

SOFT = [EncoderPenalty, PosteriorPenalty, DecoderPenalty, RoundTripPenalty, LiePenalty]


def objective(**terms: PenaltyTerm) -> Objective:
    return Objective(penalties={name: Penalty(term, 1.0) for name, term in terms.items()})


def module(model: torch.nn.Module, loss: Objective) -> TrainingModule:
    return TrainingModule(model, loss, torch.optim.Adam)


@pytest.mark.parametrize("kind", SOFT)
def test_soft_penalties_refuse_a_pose_model_before_training(kind):
    message = rf"objective.penalties.soft: {kind.__name__} needs a model with a Gaussian posterior"
    with pytest.raises(ValueError, match=message):
        module(pose_vae(), objective(soft=kind()))
    module(toy_vae(21), objective(soft=kind()))  # control: a Gaussian one is taken


@pytest.mark.parametrize("term", [ResidualPenalty(1), ClusterPenalty()])
def test_a_model_without_what_is_priced_is_refused(term):
    with pytest.raises(ValueError, match="objective.penalties.own: .*Penalty needs"):
        module(toy_vae(21), objective(own=term))


def soft() -> torch.nn.Module:
    vae = toy_vae(21)
    vae.decoder.soft = RelaxedFibreLinear(2, 2, 1, PlaneMotions.so2())
    return vae


def test_soft_layers_must_be_priced():
    with pytest.raises(ValueError, match=r"must price the residuals of .* 1 soft layers, such as"):
        module(soft(), objective(encoder=EncoderPenalty()))
    module(soft(), objective(residual=ResidualPenalty(100, FixedPrecision())))


def test_a_term_of_ones_own_says_whom_it_takes():
    class Bright(PenaltyTerm):
        def check(self, model):
            if model.image_shape[-1] > 20:
                raise ValueError("Bright needs images of at most 20 px. Crop them.")

        def forward(self, model, batch, elbo):
            return batch.image.mean()

    with pytest.raises(ValueError, match="objective.penalties.bright: Bright needs images"):
        module(toy_vae(21), objective(bright=Bright()))
    x = torch.rand(2, 1, 19, 19)
    _, terms = objective(bright=Bright())(toy_vae(19), Batch(x), 0)
    torch.testing.assert_close(terms["penalty/bright"], x.mean())
