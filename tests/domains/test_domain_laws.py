"""The laws of a domain, over every domain there is."""

import pytest
import torch
from torch import Tensor

from eqvae.domains import Domain, HexagonalGrid, LogPolarGrid, SquareGrid

DOMAINS = [
    SquareGrid(17),
    HexagonalGrid(17),
    LogPolarGrid.covering(90, angles=80, inner=0.7),
]
EVERY_DOMAIN = pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: type(d).__name__)


def bump(points: Tensor, domain: Domain) -> Tensor:
    """A smooth signal near the middle, away from a grid's hole, (*shape, 2) -> (1, 1, *shape)."""
    centre = (6.5, -3.0) if isinstance(domain, LogPolarGrid) else (1.3, -0.6)
    away = points - torch.tensor(centre, dtype=points.dtype)
    return (-away.square().sum(dim=-1) / (2 * 1.5**2)).exp()[None, None]


def motions(domain: Domain, n: int, shift: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return domain.group.sample(n, shift=shift, generator=generator).double()


@EVERY_DOMAIN
def test_points_and_mask_have_the_shape_of_signals(domain):
    points = domain.points(dtype=torch.float64)
    assert points.shape == (*domain.shape, 2)
    inside = points.norm(dim=-1) <= 3.0
    assert torch.equal(domain.mask(3.0) > 0, inside) and inside.any() and not inside.all()
    assert domain.mask().shape == domain.shape


@EVERY_DOMAIN
def test_signals_move_as_their_points_do(domain):
    """(g x)(p) = x(g^-1 p), with the wrong direction as a control."""
    points, group, g = domain.points(dtype=torch.float64), domain.group, motions(domain, 10)
    moved = domain.act(g, bump(points, domain).expand(10, -1, -1, -1), "fourier")
    flat = points.reshape(1, -1, 2).expand(10, -1, -1)

    def seen_at(h: Tensor) -> Tensor:
        return torch.cat([bump(p.reshape(points.shape), domain) for p in group.act(h, flat)])

    torch.testing.assert_close(moved, seen_at(group.inverse(g)), rtol=0, atol=5e-3)
    assert (moved - seen_at(g)).abs().max() > 0.3


@EVERY_DOMAIN
def test_the_identity_moves_nothing_and_motions_compose(domain):
    x = bump(domain.points(dtype=torch.float64), domain).expand(10, -1, -1, -1)
    group, g, h = domain.group, motions(domain, 10), motions(domain, 10).flip(0)
    assert (
        torch.equal(domain.act(group.identity(10, dtype=torch.float64), x), x)
        or (domain.act(group.identity(10, dtype=torch.float64), x) - x).abs().max() < 1e-12
    )
    both = domain.act(g, domain.act(h, x, "fourier"), "fourier")
    once = domain.act(group.compose(g, h), x, "fourier")
    torch.testing.assert_close(both, once, rtol=0, atol=1e-2)
    assert (once - x).abs().amax(dim=(1, 2, 3)).min() > 1e-2  # control: something moved


@EVERY_DOMAIN
def test_there_and_back_leaves_a_small_error(domain):
    x = bump(domain.points(dtype=torch.float64), domain).expand(10, -1, -1, -1)
    floor = domain.resampling_error(motions(domain, 10), x)
    assert floor.shape == x.shape and floor.abs().max() < 5e-3
