"""Distributions over poses as probability: mass 1, samples, marginals, calibration; and as laws that move."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from eqvae.distributions import concatenated, rows_of
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.pose import PosePosterior, draw_bins
from eqvae.distributions.posed import PosedPosterior, check_pose_latent, from_latent, to_latent
from eqvae.symmetry import (
    PlaneMotions,
    Representation,
    Similarities,
    compose,
    log_scale_of,
    motion,
    shift_of,
    with_log_scale,
)
from eqvae.symmetry.motions import retract
from tests.cases import draw
from tests.pose.scenes import wrapped

CHIRALITIES = pytest.mark.parametrize("reflections", [False, True], ids=["rotations", "mirrors"])
GROUP = {False: PlaneMotions.so2(), True: PlaneMotions.o2()}


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def posterior(
    n: int = 3, bins: int = 4, reflections: bool = False, turn: float = 0.2, seed: int = 0
) -> PosePosterior:
    """Bins anywhere within 2 px, with a full covariance: `turn` radians and about 0.5 px."""
    generator = torch.Generator().manual_seed(seed)
    where = draw(GROUP[reflections], n * bins, seed=seed, shift=2.0).unflatten(0, (n, bins))
    root = torch.eye(3) + 0.3 * torch.randn(n, 3, 3, generator=generator).tril()
    root = torch.tensor([turn, 0.5, 0.5])[:, None] * root
    weights = torch.randn(n, bins, generator=generator).log_softmax(dim=1)
    return PosePosterior(where, weights, root @ root.mT, reflections)


def single(turn: float = 0.2, angle: float = 0.0, n: int = 1) -> PosePosterior:
    bins = motion(angle, dtype=torch.float64).expand(n, 1, 4)
    covariance = torch.diag(torch.tensor([turn, 0.5, 0.5]).square()).expand(n, 3, 3)
    return PosePosterior(bins, torch.zeros(n, 1), covariance)


def uniform(n: int = 2, bins: int = 90) -> PosePosterior:
    """Windows of 0.6 of the spacing: their sum ripples by less than 1e-3."""
    angle = torch.arange(bins) * (2 * math.pi / bins)
    where = motion(angle, dtype=torch.float64).expand(n, -1, -1)
    scale = torch.tensor([0.6 * 2 * math.pi / bins, 0.5, 0.5])
    weights = torch.zeros(n, bins).log_softmax(dim=1)
    return PosePosterior(where, weights, torch.diag(scale.square()).expand(n, 3, 3))


def grid(angles: int, side: int, reach: float, chiralities: int) -> tuple[Tensor, float]:
    """Motions (P, 4) and the Haar volume of each."""
    turn = torch.arange(angles) * (2 * math.pi / angles)
    axis = torch.linspace(-reach, reach, side)
    chirality = torch.arange(chiralities, dtype=turn.dtype)
    g = torch.cartesian_prod(chirality, turn, axis, axis)
    return g, (axis[1] - axis[0]).item() ** 2 / (angles * chiralities)


def many(one: PosePosterior, g: Tensor) -> Tensor:
    """log q of one posterior at many motions, (P,)."""
    parts = []
    for part in g.split(4096):
        expanded = PosePosterior(
            one.bins.expand(len(part), -1, -1),
            one.log_weights.expand(len(part), -1),
            one.covariance.expand(len(part), 3, 3),
            one.reflections,
        )
        parts.append(expanded.log_prob(part))
    return torch.cat(parts)


@CHIRALITIES
def test_the_mass_is_one_and_the_angle_is_marginal(reflections):
    """By the trapezoid rule, which errs by e^-20 on Gaussians 3 steps wide."""
    q = posterior(1, reflections=reflections)
    g, volume = grid(90, 27, 5.2, 1 + reflections)
    density = many(q, g).exp()
    assert density.sum().item() * volume == pytest.approx(1, abs=2e-3)
    by_angle = density.reshape(1 + reflections, 90, -1).sum(dim=(0, 2)) * volume * 90
    expected = q.angle_log_density(90).exp()[0]
    assert expected.mean().item() == pytest.approx(1, abs=1e-12)
    # a bin mean against the value at its centre: h^2 / 24 of the curvature, 1 / 0.14^2 at most
    torch.testing.assert_close(by_angle, expected, atol=0.02 * expected.max().item(), rtol=0)
    assert (expected - 1).abs().max() > 0.5  # control: not uniform


@pytest.mark.parametrize("turn", [0.5, 1.0, 2.0])
def test_wide_angles_wrap(turn):
    """Mass 1 and the marginal's values, for any width that an amortised posterior can have."""
    q = single(turn, angle=0.4)
    theta = torch.arange(360) * (2 * math.pi / 360)
    g = motion(theta, dtype=torch.float64)
    at_centre = many(q, g) + math.log(2 * math.pi * 0.5**2)  # the shift's density at its mode
    assert at_centre.exp().mean().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(
        at_centre.exp(), q.angle_log_density(360)[0].exp(), atol=1e-3, rtol=0
    )


def test_narrow_angles_are_bin_means():
    """A mode far narrower than a grid bin keeps its mass."""
    q = single(1e-4, angle=math.radians(30.2))
    density = q.angle_log_density(360).exp()[0]
    assert density.mean().item() == pytest.approx(1)
    assert density[30].item() == pytest.approx(360)
    assert density[29] < 1e-100


@CHIRALITIES
def test_samples_follow_the_law(reflections):
    n = 10_000
    one = posterior(1, reflections=reflections)
    q = PosePosterior(
        one.bins.expand(n, -1, -1),
        one.log_weights.expand(n, -1),
        one.covariance.expand(n, 3, 3),
        reflections,
    )
    g = q.sample(torch.Generator().manual_seed(3))
    density = one.angle_log_density(720).exp()[0]
    theta = torch.arange(720) * (2 * math.pi / 720)
    for ell in (1, 2, 3):
        for function in (torch.cos, torch.sin):
            expected = (density * function(ell * theta)).mean()
            # 4 standard errors of values in [-1, 1]
            assert (function(ell * g[:, 1]).mean() - expected).abs() < 4 / math.sqrt(n)
    w = one.log_weights.exp()[0]
    mean = (w[:, None] * one.bins[0, :, 2:]).sum(dim=0)
    scale = one.position_scale[0]
    assert ((g[:, 2:].mean(dim=0) - mean).abs() < 4 * scale / math.sqrt(n)).all()
    torch.testing.assert_close(g[:, 2:].std(dim=0), scale, rtol=0.03, atol=0)
    chirality = (w * one.bins[0, :, 0]).sum()
    assert (g[:, 0].mean() - chirality).abs() < 2 / math.sqrt(n)
    # E log q of samples: as the integral -H, by draws against the grid
    entropy = one.entropy(500, torch.Generator().manual_seed(1))
    assert (q.log_prob(g).mean() + entropy[0]).abs() < 0.25


def test_draws_are_reparameterised_within_a_bin():
    """The covariance of g_k^-1 g is S, and gradients reach it."""
    n, one = 40_000, posterior(1, bins=1)
    covariance = one.covariance.clone().requires_grad_()
    q = PosePosterior(
        one.bins.expand(n, 1, 4), one.log_weights.expand(n, 1), covariance.expand(n, 3, 3)
    )
    g = q.sample(torch.Generator().manual_seed(0))
    turn, shift = q._offsets(g)
    small = torch.cat([turn, shift[:, 0]], dim=1).detach()
    torch.testing.assert_close(small.T.cov(), one.covariance[0], rtol=0.05, atol=2e-3)
    g.square().sum().backward()
    assert covariance.grad.abs().sum() > 0


def test_bins_are_drawn_by_weight():
    weights = torch.tensor([0.5, 0.0, 0.3, 0.2])
    index = draw_bins(weights.log().expand(20_000, 4), torch.Generator().manual_seed(0))
    shares = torch.bincount(index, minlength=4) / len(index)
    torch.testing.assert_close(shares, weights, atol=0.015, rtol=0)
    assert shares[1] == 0


@CHIRALITIES
def test_the_law_moves_with_the_object(reflections):
    q = posterior(6, reflections=reflections)
    h, k = (draw(GROUP[reflections], 6, seed=s, shift=3.0) for s in (1, 2))
    # near a bin, so that log q is no tail of rounding
    g = retract(q.bins[:, 0], 0.3 * torch.randn(6, 3))
    torch.testing.assert_close(q.act(h).log_prob(compose(h, g)), q.log_prob(g))
    assert (q.act(h).log_prob(g) - q.log_prob(g)).abs().max() > 1  # control
    once, twice = q.act(compose(h, k)), q.act(k).act(h)
    torch.testing.assert_close(once.log_prob(compose(h, g)), twice.log_prob(compose(h, g)))
    torch.testing.assert_close(once.bins, twice.bins)
    torch.testing.assert_close(q.act(motion(dtype=torch.float64).expand(6, 4)).bins, q.bins)
    torch.testing.assert_close(compose(h, q.mode), q.act(h).mode)
    quarter = motion(math.pi / 2, dtype=torch.float64).expand(6, 4)
    turned = q.act(quarter).angle_log_density(360)
    torch.testing.assert_close(
        turned, q.angle_log_density(360).roll(90, dims=1), rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(q.act(quarter).position_scale, q.position_scale.flip(1))


def scaled(n: int = 6, bins: int = 4) -> PosePosterior:
    """As `posterior`, at scales from 0.6 to 1.6 that are known to a few percent."""
    flat, size = posterior(n, bins), draw(Similarities(), n * bins)[:, 4].unflatten(0, (n, bins))
    covariance = torch.nn.functional.pad(flat.covariance, (0, 1, 0, 1))
    covariance[:, 3, 3], covariance[:, 0, 3] = 0.03**2, 0.001
    covariance[:, 3, 0] = 0.001
    return replace(flat, bins=with_log_scale(flat.bins, size), covariance=covariance)


def test_the_law_of_scaled_poses_moves_with_the_object_and_has_mass_one():
    q = scaled()
    h = draw(Similarities(), 6, seed=1, shift=3.0)
    g = retract(q.bins[:, 0], 0.03 * torch.randn(6, 4))
    moved = q.act(h)
    area = 2 * log_scale_of(h)  # p(h g) d(h g) = p(g) dg
    torch.testing.assert_close(moved.log_prob(compose(h, g)) + area, q.log_prob(g))
    assert (moved.log_prob(g) - q.log_prob(g)).abs().max() > 1  # control
    torch.testing.assert_close(compose(h, q.mode), moved.mode)
    one = rows_of(q, slice(0, 1))
    many = one.bins.expand(20_000, -1, -1)
    weights, covariance = one.log_weights.expand(20_000, -1), one.covariance.expand(20_000, -1, -1)
    cloud = PosePosterior(many, weights, covariance)
    draws = cloud.sample(torch.Generator().manual_seed(0))
    spread = shift_of(draws).std(dim=0)
    torch.testing.assert_close(spread, one.position_scale[0], rtol=0.03, atol=0)
    # importance sampling: E_q[p / q] = 1 for a narrower p, which holds only if both have mass one
    wide = replace(cloud, covariance=0.5 * covariance)
    ratio = (wide.log_prob(draws) - cloud.log_prob(draws)).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(20_000)


def test_nudges_stand_on_the_right():
    """h (g exp u) = (h g) exp u, and exp u moves the object in its own frame."""
    g, h, u = draw(PlaneMotions.o2(), 8), draw(PlaneMotions.o2(), 8, seed=1), torch.randn(8, 3)
    torch.testing.assert_close(compose(h, retract(g, u)), retract(compose(h, g), u))
    small = torch.cat([torch.zeros(8, 1), u], dim=1)
    expected = compose(g, small)
    torch.testing.assert_close(retract(g, u), expected)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_credible_sets_hold_their_share(level):
    """Every angle of a draw has a rank of density; the set at `level` holds that share of draws."""
    n = 4000
    one = posterior(1)
    theta = one.angle_log_density(720).exp()[0]
    width = one.credible_angles(level)[0].item()
    count = int(width / 360 * 720)
    inside = torch.zeros(720, dtype=torch.bool)
    inside[theta.argsort(descending=True)[:count]] = True
    q = PosePosterior(
        one.bins.expand(n, -1, -1), one.log_weights.expand(n, -1), one.covariance.expand(n, 3, 3)
    )
    angle = q.sample(torch.Generator().manual_seed(2))[:, 1]
    index = (angle / (2 * math.pi) * 720).round().long() % 720
    share = inside[index].double().mean().item()
    assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / n) + 0.005
    assert 0 < width < 360 * level  # it is no uniform distribution


def test_credible_sets_of_known_laws():
    assert uniform().credible_angles(0.9).tolist() == pytest.approx([324, 324], abs=1)
    scale = math.radians(3)
    expected = math.degrees(2 * 1.6449 * scale)  # 90 % of a normal distribution
    assert single(scale).credible_angles(0.9).item() == pytest.approx(expected, abs=0.3)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, such as 0.9; got 90"):
        single().credible_angles(90)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_the_symmetry_of_a_posterior(order):
    angle = 0.3 + torch.arange(order) * (2 * math.pi / order)
    bins = motion(angle, dtype=torch.float64)[None]
    covariance = torch.diag(torch.tensor([0.05, 0.5, 0.5]).square())[None]
    q = PosePosterior(bins, torch.zeros(1, order).log_softmax(dim=1), covariance)
    assert q.symmetry_order().tolist() == [order]
    assert uniform().symmetry_order().tolist() == [0, 0]


def test_the_entropy_of_one_gaussian_is_closed():
    q = posterior(3, bins=1, turn=0.05)
    closed = 1.5 * math.log(2 * math.pi * math.e) + 0.5 * q.covariance.logdet()
    closed = closed - math.log(2 * math.pi)  # with respect to d theta / 2 pi
    entropy = q.entropy(800, torch.Generator().manual_seed(0))
    # log q has standard deviation sqrt(3 / 2): 4 standard errors
    assert (entropy - closed).abs().max() < 4 * math.sqrt(1.5 / 800)
    both = PosePosterior(q.bins, q.log_weights, q.covariance, reflections=True)
    chirality = both.entropy(200, torch.Generator().manual_seed(0))
    less = q.entropy(200, torch.Generator().manual_seed(0)) - chirality
    torch.testing.assert_close(
        less, torch.full((3,), math.log(2))
    )  # one chirality of mass 1/2 for sure


def test_the_mode_is_the_likeliest_bin():
    q = posterior(5)
    best = q.log_weights.argmax(dim=1)
    assert torch.equal(q.mode, q.bins[torch.arange(5), best])


@CHIRALITIES
def test_batches_join_and_part(reflections):
    representation = Representation((3, 1), sign=int(reflections))
    content = ContentPosterior(torch.randn(5, 3), torch.randn(5, 3))
    q = PosedPosterior(representation, content, posterior(5, reflections=reflections))
    z = q.rsample()
    again = concatenated([rows_of(q, slice(0, 2)), rows_of(q, [2]), rows_of(q, slice(3, 5))])
    assert again.representation == representation and again.pose.reflections == reflections
    assert torch.equal(again.pose.bins, q.pose.bins) and len(again.pose) == 5
    torch.testing.assert_close(again.log_prob(z), q.log_prob(z))
    mask = torch.tensor([True, False, True, False, False])
    torch.testing.assert_close(rows_of(q, mask).log_prob(z[mask]), q.log_prob(z)[mask])


@CHIRALITIES
def test_latents_and_poses_are_inverse(reflections):
    representation = Representation((3, 1), sign=int(reflections))
    c, h = torch.randn(8, 3), draw(GROUP[reflections], 8)
    z = to_latent(representation, c, h)
    assert z.shape == (8, representation.dim)
    content, g = from_latent(representation, z)
    torch.testing.assert_close(content, c)
    torch.testing.assert_close(g[:, [0, 2, 3]], h[:, [0, 2, 3]])
    torch.testing.assert_close(wrapped(g[:, 1] - h[:, 1]), torch.zeros(8), atol=1e-12, rtol=0)
    again = to_latent(representation, content, g)
    torch.testing.assert_close(again, z)


@CHIRALITIES
def test_latents_move_as_their_poses(reflections):
    representation = Representation((3, 1), sign=int(reflections))
    c = torch.randn(8, 3)
    g, h = (draw(GROUP[reflections], 8, seed=s) for s in (0, 1))
    moved = representation.act(g, to_latent(representation, c, h))
    torch.testing.assert_close(moved, to_latent(representation, c, compose(g, h)))
    wrong = to_latent(representation, c, compose(h, g))
    assert (moved - wrong).abs().max() > 0.1  # control


@CHIRALITIES
def test_posteriors_of_latents_move_as_latents(reflections):
    representation = Representation((3, 1), sign=int(reflections))
    content = ContentPosterior(torch.randn(5, 3), torch.zeros(5, 3))
    q = PosedPosterior(representation, content, posterior(5, reflections=reflections))
    g = draw(GROUP[reflections], 5, seed=1)
    torch.testing.assert_close(q.act(g).mode, representation.act(g, q.mode))
    z = q.rsample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(q.act(g).log_prob(representation.act(g, z)), q.log_prob(z))
    torch.testing.assert_close(q.position_scale, q.pose.position_scale)
    torch.testing.assert_close(q.angle_log_density(points=90), q.pose.angle_log_density(90))


def test_content_posteriors_are_normal_laws():
    q = ContentPosterior(torch.randn(4, 3), torch.randn(4, 3))
    normal = torch.distributions.Normal(q.loc, q.log_scale.exp())
    c = q.rsample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(q.log_prob(c), normal.log_prob(c).sum(dim=1))


@pytest.mark.parametrize(
    ("latent", "reflections", "message"),
    [
        (Representation((3, 2)), False, r"got multiplicities=\[3, 2\]"),
        (Representation((3,)), False, r"\[m, 1\]"),
        (Representation((0, 1)), False, "Choose latent=pose"),
        (Representation((3, 1, 1)), False, "one frame"),
        (Representation((3, 1), position=False), False, "position=False"),
        (Representation((3, 1)), True, "set latent.sign=1"),
        (Representation((3, 1), sign=1), False, "sign=0; got .* sign=1"),
    ],
)
def test_other_latents_are_refused(latent, reflections, message):
    with pytest.raises(ValueError, match=message):
        check_pose_latent(latent, reflections)


def test_latents_of_one_pose_are_accepted():
    check_pose_latent(Representation((3, 1)), False)
    check_pose_latent(Representation((1, 1), sign=1), True)


def test_a_widened_angle_has_both_variances_and_nothing_else_changes():
    q = single(0.2)
    wide = q.widened(torch.tensor(0.15))
    torch.testing.assert_close(wide.angle_scale, torch.tensor([0.25]))
    assert torch.equal(wide.mode, q.mode) and torch.equal(wide.position_scale, q.position_scale)
    assert torch.equal(q.widened(torch.tensor(0.0)).covariance, q.covariance)
    assert wide.credible_angles() > q.credible_angles()
