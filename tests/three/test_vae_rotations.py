"""The matrix Fisher distribution and the posterior of a pose: against quadrature, scipy and symmetry."""

import math

import pytest
import torch
from scipy import integrate, special
from torch.overrides import TorchFunctionMode

from eqvae.symmetry.space import SpaceRotations, rotation_part
from eqvae.symmetry.space_motions import SpaceMotions, pose_distance, translation_of
from eqvae.three.vae.matrix_fisher import (
    Concentration,
    log_normaliser,
    log_scaled_normaliser,
    mean_axes,
    proper_svd,
    sample,
)
from eqvae.three.vae.orders import all_orders
from eqvae.three.vae.pose import SpacePosePosterior
from eqvae.three.vae.rigid import RigidLikelihood

SINGULAR = [
    (0.0, 0.0, 0.0),
    (3.0, 2.0, -1.0),
    (1e5, 1e5, 1e5),
    (1e6, 2e3, -1.999e3),  # nearly a whole circle of modes
    (5e5, 4e5, -4e5),  # the whole circle
    (1e5, 0.0, 0.0),  # a rod
]


@pytest.fixture(scope="module")
def everywhere():
    return rotation_part(SpaceRotations().grid(20_000))


@pytest.mark.parametrize("s", SINGULAR)
def test_the_normaliser_is_scipy_s_integral_at_any_concentration(s):
    a, b, c = s

    def integrand(w):
        held = special.i0e((a - b) * w / 2) * special.i0e((a + b) * (2 - w) / 2)
        return 0.5 * held * math.exp(-(b + c) * w)

    ends = [0, *(10.0**-k for k in range(9, 0, -1)), *(2 - 10.0**-k for k in range(1, 10)), 2]
    parts = [
        integrate.quad(integrand, x, y, epsabs=0, epsrel=1e-11, limit=200)[0]
        for x, y in zip(ends[:-1], ends[1:], strict=True)
    ]
    found = log_scaled_normaliser(torch.tensor(s, dtype=torch.float64))
    assert float(found) == pytest.approx(math.log(sum(parts)), abs=1e-9)


def test_the_normaliser_is_the_mean_over_rotations_and_its_gradient_that_of_it(everywhere):
    torch.manual_seed(0)
    f = 2 * torch.randn(4, 3, 3, dtype=torch.float64)
    f[1, :, 2] = f[1, :, 1]  # a plane
    f[2] = torch.diag(torch.tensor([2.0, 2.0, -2.0]))  # equal singular values, inside out
    brute = torch.einsum("fij,rij->fr", f, everywhere).logsumexp(1) - math.log(len(everywhere))
    assert torch.allclose(log_normaliser(f), brute, atol=1e-3)
    mean = (torch.einsum("fij,rij->fr", f, everywhere).softmax(1)) @ everywhere.flatten(1)
    svd = proper_svd(f)
    expected = (svd.u * (1 + mean_axes(svd.s))[:, None]) @ svd.v.mT
    assert torch.allclose(expected.flatten(1), mean, atol=1e-3)
    smooth = f[[0, 1, 3]].requires_grad_()
    assert torch.autograd.gradcheck(lambda f: Concentration.of(f).log_width, (smooth,))


def test_concentrated_it_is_gaussian():
    s = torch.tensor([3e6, 2e6, 1e6], dtype=torch.float64)
    sums = (s[0] + s[1]) * (s[1] + s[2]) * (s[0] + s[2])
    assert float(log_scaled_normaliser(s)) == pytest.approx(
        -0.5 * math.log(8 * math.pi * sums), abs=1e-5
    )


def test_draws_have_its_mean():
    f = torch.diag(torch.tensor([6.0, 4.0, -3.5], dtype=torch.float64))
    draws = sample(f.expand(20_000, 3, 3), torch.Generator().manual_seed(0))
    expected = 1 + mean_axes(torch.tensor([6.0, 4.0, -3.5]))
    assert torch.allclose(torch.linalg.det(draws), torch.ones(len(draws)).double())
    assert torch.allclose(draws.mean(0), torch.diag(expected), atol=0.02)


def test_the_pose_is_summed_out_exactly(everywhere):
    """Against rotations of a grid and shifts on a line, with atoms that can't be told apart."""
    torch.manual_seed(0)
    model, tau = RigidLikelihood(0.4).double(), 1.5
    d = torch.randn(2, 4, 3, dtype=torch.float64)
    d = d - d.mean(1, keepdim=True)
    x = torch.randn(2, 4, 3, dtype=torch.float64)[:, all_orders([[1, 0, 2, 3]], 4)]
    line = torch.linspace(-9, 9, 181, dtype=torch.float64)
    turns = everywhere[::10]
    for row in range(2):
        made = torch.einsum("rij,nj->rni", turns, d[row])
        away = (x[row][:, None, :, :, None] - made[None, ..., None] - line).square().sum(2)
        log_p = -away / (2 * 0.4) - line**2 / (2 * tau**2)
        log_p = (log_p.logsumexp(-1) + math.log(0.1)).sum(-1)
        log_p = log_p.logsumexp((0, 1)) - math.log(2 * len(turns))
        log_p = log_p - 6 * math.log(2 * math.pi * 0.4) - 1.5 * math.log(2 * math.pi * tau**2)
        found = model.marginal(x, d, tau).log_prob[row]
        assert found.item() == pytest.approx(log_p.item(), abs=0.02)


def test_the_posterior_integrates_to_one_and_kl_is_that_of_its_draws(everywhere):
    torch.manual_seed(1)
    d = torch.randn(1, 5, 3, dtype=torch.float64)
    d = d - d.mean(1, keepdim=True)
    x = (d + 0.6 * torch.randn(1, 5, 3, dtype=torch.float64))[:, None]
    model = RigidLikelihood(1.0).double()
    found = model.marginal(x, d, 2.0)
    total = found.pose.rotation_log_density(everywhere).logsumexp(1) - math.log(len(everywhere))
    assert float(total) == pytest.approx(0, abs=1e-3)
    many = model.marginal(x.expand(1000, -1, -1, -1), d.expand(1000, -1, -1), 2.0).pose
    g = many.sample(torch.Generator().manual_seed(0))
    prior = -translation_of(g).square().sum(1) / 8 - 1.5 * math.log(2 * math.pi * 4)
    gap = many.log_prob(g) - prior
    assert found.pose_kl.item() == pytest.approx(gap.mean().item(), abs=5 * gap.std().item() / 31)
    bayes = model.log_prob(
        x.expand(1000, -1, -1, -1), SpaceMotions().act(g, d.expand(1000, -1, -1))[:, None]
    )
    assert torch.allclose(bayes + prior - many.log_prob(g), found.log_prob.expand(1000), atol=1e-8)


def test_a_symmetric_molecule_has_as_many_modes_as_equal_poses():
    turn = torch.arange(6) * (math.pi / 3)
    ring = torch.stack([turn.cos(), turn.sin(), 0 * turn], dim=1).double()[None] * 1.4
    orders = all_orders([[1, 2, 3, 4, 5, 0], [0, 5, 4, 3, 2, 1]], 6)
    assert len(orders) == 12
    model = RigidLikelihood(0.01).double()
    pose = model.marginal(ring[:, orders], ring, 2.0).pose
    g, height = pose.modes(16)
    assert int(height.isfinite().sum()) == 12
    assert torch.allclose(height[0, :12], height[0, :1].expand(12), atol=1e-6)
    between = pose_distance(g[0, :12, None], g[0, None, :12]).degrees + 360 * torch.eye(12)
    assert float(between.min()) == pytest.approx(60, abs=1e-6)
    alone = model.marginal(ring[:, None], ring, 2.0).pose
    assert (
        int(alone.modes(16)[1].isfinite().sum()) == 1
    )  # the control: atoms with names have one pose


def test_a_rod_turns_freely_about_itself():
    rod = torch.tensor([[-1.0, 0, 0], [0.0, 0, 0], [1.0, 0, 0]], dtype=torch.float64)[None]
    pose = RigidLikelihood(0.01).double().marginal(rod[:, None], rod, 2.0).pose
    g, height = pose.modes(6, separation=20.0)
    assert bool((height > height[0, 0] - 1e-3).all())
    ends = SpaceMotions().act(g[0], rod.expand(6, -1, -1))
    assert torch.allclose(ends, rod.expand(6, -1, -1), atol=1e-2)


def test_a_broad_peak_is_one_mode():
    turn = rotation_part(SpaceRotations().sample(1, generator=torch.Generator().manual_seed(1)))
    f = turn.double() @ torch.diag(torch.tensor([140.0, 4, 3], dtype=torch.float64))
    zero = torch.zeros(1, 3, dtype=torch.float64)
    pose = SpacePosePosterior(f[:, None], zero[:, :1], zero, zero[:, 0] + 1)
    assert float(pose.freedom[0, 0]) > 0.3  # far more than modes must lie apart
    assert pose.modes(6)[1].isfinite().sum() == 1


class Placed(TorchFunctionMode):
    """Random numbers are asked for with the device that they shall be on."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand):
            assert kwargs.get("device") is not None, f"{func.__name__} without a device"
        return func(*args, **kwargs)


def test_draws_are_made_where_the_posterior_is():
    """A generator of an accelerator draws nothing on the CPU."""
    x = torch.randn(3, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    pose = RigidLikelihood().marginal(x, x[:, 0], 2.0).pose
    with Placed():
        assert pose.sample(torch.Generator(x.device)).shape == (3, 8)
        with pytest.raises(AssertionError, match="randn without a device"):
            torch.randn(3).to(x)


def test_what_is_no_number_stays_none():
    f = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    wanted = log_normaliser(f)
    f[1, 0, 2] = math.nan
    found = log_normaliser(f)
    assert found.isnan().tolist() == [False, True, False]
    assert torch.equal(found[[0, 2]], wanted[[0, 2]])


def test_orders_that_are_none_are_named():
    with pytest.raises(ValueError, match="equivalent must be lists that hold each of the atoms"):
        all_orders([[0, 0, 1]], 3)
    with pytest.raises(ValueError, match="at most 1000 orders"):
        all_orders([[1, 0, *range(2, 8)], [*range(1, 8), 0]], 8)
