"""Augmentation: every image in a new pose in training, as it is in validation."""

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.losses import AugmentedObjective, Objective
from eqvae.symmetry import PlaneMotions
from eqvae.testing import GaussianScenes
from tests.cases import move
from tests.toys import toy_vae

SIZE = 33


def score(objective: Objective, x: torch.Tensor) -> dict[str, float]:
    torch.manual_seed(0)
    return {name: value.item() for name, value in objective(toy_vae(SIZE), Batch(x), 0)[1].items()}


def images() -> torch.Tensor:
    return GaussianScenes(4, size=SIZE).render().clamp(0, 1)


def test_validation_is_the_plain_objective():
    assert score(AugmentedObjective().eval(), images()) == score(Objective(), images())


def test_training_scores_moved_images_in_the_unit_range():
    seen = []

    def spy(self, args):
        seen.append(args[0])

    vae, x = toy_vae(SIZE), images()
    vae.encoder.register_forward_pre_hook(spy)
    torch.manual_seed(0)
    AugmentedObjective(PlaneMotions.so2(), shift=2.0)(vae, Batch(x), 0)
    torch.manual_seed(0)
    g = PlaneMotions.so2().sample(4, shift=2.0)
    torch.testing.assert_close(seen[0], move(g, x).clamp(0, 1))
    assert seen[0].min() >= 0 and seen[0].max() <= 1
    assert (seen[0] - x).abs().max() > 0.1


def test_a_group_of_one_moves_nothing():
    still = AugmentedObjective(PlaneMotions.trivial(), shift=0.0)
    assert score(still, images())["kl"] == score(Objective(), images())["kl"]


def test_the_kl_of_an_invariant_model_does_not_change():
    """But for pixels: the toy's is that of the image under every rotation; shifts move t and change it."""
    plain = score(Objective(), images())["kl"]
    turned = score(AugmentedObjective(shift=0.0), images())["kl"]
    assert turned != plain
    assert turned == pytest.approx(plain, rel=1e-3)
    assert score(AugmentedObjective(), images())["kl"] != pytest.approx(plain, rel=1e-3)
