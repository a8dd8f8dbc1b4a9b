"""A posterior that the truth was drawn from covers as it says; a sharpened one does not."""

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pytest
import torch

from eqvae.distributions.symmetry_order import symmetry_order
from eqvae.metrics.pose.calibration import angle_calibration, position_calibration
from eqvae.metrics.pose.symmetry_order import symmetry_order_accuracy

N = 1000


@dataclass(frozen=True)
class Angles:
    """q(theta) ~ exp(kappa cos(k theta - phase)) on a grid: k equal modes, the uniform one for kappa = 0."""

    order: int
    kappa: torch.Tensor
    phase: torch.Tensor
    points: int

    @cached_property
    def grid(self) -> torch.Tensor:
        return torch.arange(self.points, dtype=torch.float64) * (2 * math.pi / self.points)

    @cached_property
    def log_density(self) -> torch.Tensor:
        energy = self.kappa[:, None] * torch.cos(self.order * self.grid - self.phase[:, None])
        return energy - energy.logsumexp(dim=1, keepdim=True) + math.log(self.points)

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """By inverting the cumulative distribution, linear within a bin about each grid point."""
        mass = self.log_density.exp() / self.points
        held = mass.cumsum(dim=1)
        u = torch.rand(len(mass), 1, generator=generator, dtype=mass.dtype) * held[:, -1:]
        index = torch.searchsorted(held, u).clamp_max(self.points - 1)
        own = mass.gather(1, index).clamp_min(1e-30)
        within = ((u - held.gather(1, index)) / own + 1).clamp(0, 1)
        return ((index + within - 0.5) * (2 * math.pi / self.points))[:, 0] % (2 * math.pi)


@cache
def posterior(order: int, sharpen: float = 1.0, n: int = N, points: int = 256) -> Angles:
    """Posteriors of period 2 pi / k, of many widths and directions; uniform for order 0."""
    r = torch.Generator().manual_seed(order)
    phase = 2 * math.pi * torch.rand(n, generator=r, dtype=torch.float64)
    kappa = sharpen * (0.5 + 20 * torch.rand(n, generator=r, dtype=torch.float64))
    return Angles(order, kappa if order else torch.zeros_like(kappa), phase, points)


def drawn(order: int) -> torch.Tensor:
    return posterior(order).sample(torch.Generator().manual_seed(7))


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_true_posterior_covers(order):
    scores = angle_calibration(posterior(order).log_density, drawn(order), orders=order)
    for level in (50, 90, 95):
        score = scores[f"coverage_{level}"]
        assert score.ceiling == level / 100
        assert score.better == "neither"
        assert score.value == pytest.approx(level / 100, abs=3 * math.sqrt(0.25 / N))
        size = scores[f"size_{level}"]
        assert size.floor == pytest.approx(3.6 * level)
        if order == 0:
            assert size.value == pytest.approx(3.6 * level)
        else:
            assert size.value < 0.5 * size.floor
            assert score.floor < score.value - 0.2


@pytest.mark.parametrize("order", [1, 4])
def test_overconfident_posterior_is_caught(order):
    sharp = posterior(order, sharpen=4).log_density
    scores = angle_calibration(sharp, drawn(order), orders=order)
    assert scores["coverage_90"].interval[1] < 0.7
    wide = angle_calibration(posterior(order, 0.25).log_density, drawn(order), orders=order)
    assert wide["coverage_50"].interval[0] > 0.6


def test_posterior_that_misses_modes_is_caught():
    """One narrow mode for an object of order 4 holds a quarter of the truths."""
    one = posterior(1, sharpen=20)
    scores = angle_calibration(one.log_density, one.sample(), orders=4)
    assert scores["coverage_95"].value == pytest.approx(0.95 / 4, abs=0.04)


def test_coverage_moves_with_the_gauge_and_ignores_the_stabiliser():
    q, angle = posterior(4), drawn(4)
    scores = angle_calibration(q.log_density, angle, orders=4)
    turned = angle_calibration(q.log_density, angle + math.pi / 2, orders=4)
    assert scores["coverage_50"].value == pytest.approx(turned["coverage_50"].value, abs=0.02)
    off = angle_calibration(q.log_density, angle + 0.3, orders=4)
    assert off["coverage_90"].value < 0.5


@pytest.mark.parametrize("shape", ["(N,)", "(N, 1)", "(N, 2)"])
def test_positions(shape):
    r = np.random.default_rng(0)
    scale = r.uniform(0.2, 3, (N, 2))
    if shape != "(N, 2)":
        scale = scale[:, 0] if shape == "(N,)" else scale[:, :1]
    loc = r.normal(0, 5, (N, 2))
    truth = loc + r.normal(size=(N, 2)) * np.broadcast_to(scale.reshape(N, -1), (N, 2))
    scores = position_calibration(loc, scale, truth)
    for level in (50, 90, 95):
        assert scores[f"coverage_{level}"].value == pytest.approx(
            level / 100, abs=3 * math.sqrt(0.25 / N)
        )
    assert position_calibration(loc, scale / 3, truth)["coverage_90"].value < 0.5
    unit = position_calibration(np.zeros((3, 2)), np.ones(3), np.zeros((3, 2)))
    assert unit["size_95"].value == pytest.approx(math.pi * 5.991, rel=1e-3)


@pytest.mark.parametrize("order", range(9))
def test_symmetry_order(order):
    points = 128 if order == 3 else 256  # a grid that the order does not divide
    q = posterior(order, n=200, points=points)
    assert (symmetry_order(q.log_density) == order).mean() > 0.98
    scores = symmetry_order_accuracy(q.log_density, np.full(200, order))
    assert scores["accuracy"].value > 0.98
    assert scores["accuracy"].floor == 1  # only one order: nothing to tell apart


def test_symmetry_order_accuracy_over_classes():
    orders = np.repeat([0, 1, 4], [100, 60, 40])
    q = torch.cat([posterior(k, n=n).log_density for k, n in ((0, 100), (1, 60), (4, 40))])
    scores = symmetry_order_accuracy(q, orders)
    assert scores["accuracy"].floor == 0.5
    assert set(scores) == {"accuracy", "accuracy_order_0", "accuracy_order_1", "accuracy_order_4"}
    wrong = symmetry_order_accuracy(q, np.roll(orders, 100))
    assert wrong["accuracy"].value < 0.5


Q = posterior(1, n=3).log_density


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: angle_calibration(Q - 1, [0, 1, 2]), r"respect to d theta / 2 pi.*0.3679"),
        (lambda: angle_calibration(Q * np.nan, [0, 1, 2]), "log_density must be finite"),
        (lambda: angle_calibration(Q, [0, 1]), "one row for each sample"),
        (lambda: angle_calibration(Q, [0, 1, 2], orders=-2), "orders must be whole"),
        (lambda: angle_calibration(Q, [0, 1, 2], levels=(90,)), "between 0 and 1"),
        (lambda: position_calibration(np.ones((3, 2)), [1, 0, 1], np.ones((3, 2))), "positive"),
        (lambda: position_calibration(np.ones((3, 3)), [1, 1, 1], np.ones((3, 2))), "must be"),
        (lambda: symmetry_order_accuracy(Q, [1, 1, -1]), "true_orders must be whole numbers"),
        (lambda: symmetry_order_accuracy(Q, [1, 1, 1.5]), "got 1.5"),
        (lambda: symmetry_order_accuracy(Q, [1, 1, 6], max_order=4), "largest true order 6"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_zero_density_is_allowed():
    half = np.where(np.arange(64) < 32, math.log(2), -np.inf)[None].repeat(400, axis=0)
    scores = angle_calibration(half, np.random.default_rng(0).uniform(0, math.pi - 0.1, 400))
    assert scores["size_90"].value == pytest.approx(0.9 * 180)
    assert scores["coverage_90"].value == pytest.approx(0.9, abs=0.05)
