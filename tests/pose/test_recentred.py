"""Poses told of another point of the object: there and back, and as the object moves."""

import pytest
import torch
from torch import Tensor

from eqvae.symmetry import compose, motion
from eqvae.symmetry.motions import linear_part
from tests.cases import draw
from tests.distributions.test_pose import CHIRALITIES, GROUP, posterior

N = 3


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def shifts() -> Tensor:
    return torch.randn(N, 2, generator=torch.Generator().manual_seed(0))


@CHIRALITIES
def test_there_and_back_is_the_identity(reflections):
    q, c = posterior(N, reflections=reflections), shifts()
    torch.testing.assert_close(q.recentred(-c).recentred(c).bins, q.bins)
    assert torch.equal(q.recentred(torch.zeros_like(c)).bins, q.bins)
    assert (q.recentred(c).bins - q.bins).abs().max() > 0.1  # control


@CHIRALITIES
def test_positions_move_by_what_the_object_turned_to(reflections):
    """g exp(c): t + A c, A = R(angle) or, of a mirror image, R(angle) F; nothing else changes."""
    q, c = posterior(N, reflections=reflections), shifts()
    moved = q.recentred(c)
    linear = linear_part(q.bins.flatten(0, 1)).unflatten(0, q.bins.shape[:2])
    expected = q.bins[..., 2:] + torch.einsum("bkij,bj->bki", linear, c)
    torch.testing.assert_close(moved.bins[..., 2:], expected)
    torch.testing.assert_close(moved.mode, compose(q.mode, motion(shift=c, dtype=c.dtype)))
    assert torch.equal(moved.bins[..., :2], q.bins[..., :2])
    assert torch.equal(moved.log_weights, q.log_weights)
    assert moved.reflections == reflections


@CHIRALITIES
def test_recentring_commutes_with_moving_the_object(reflections):
    q, c, h = posterior(N, reflections=reflections), shifts(), draw(GROUP[reflections], N, seed=5)
    torch.testing.assert_close(q.act(h).recentred(c).bins, q.recentred(c).act(h).bins)
    by_image = motion(shift=c, dtype=c.dtype)  # control: the same shift in the image's frame
    assert (q.act(h).act(by_image).bins - q.act(by_image).act(h).bins).abs().max() > 0.1
