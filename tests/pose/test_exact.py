"""The exact pose posterior against quadrature over every pose, planted poses, symmetries and emptiness."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.pose_prior import PosePrior
from eqvae.pose.exact import ExactPose, shift_grid
from eqvae.pose.inference import PoseQuery
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import View
from eqvae.symmetry import compose, inverse, motion
from tests.cases import move
from tests.pose.scenes import (
    SIZE,
    degree_motion,
    drawn,
    rotationally_symmetric,
    scenes,
    seen_at,
    space,
    template,
    wrapped,
)

PRIOR = PosePrior(5.0)
FLAT = PosePrior(1e4)  # nearly the same at every position


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def fixed(variance: float, nuisances: dict[str, float] | None = None) -> TemplateLikelihood:
    return TemplateLikelihood(variance, learnable=False, nuisances=nuisances).double()


def evidence(pose: ExactPose, view: View, d: Tensor, variance: float) -> Tensor:
    score = pose.score(PoseQuery(view, d, fixed(variance), PRIOR))
    return score.log_likelihood - score.kl


def images(g: Tensor, noise: float = 0.0) -> Tensor:
    x = drawn(template(scenes()), g)
    return x + noise * torch.randn_like(x)


@cache
def noisy(variance: float) -> tuple[Tensor, Tensor]:
    """Images with white noise, and log p(x | c) by the rectangle rule over 40 angles and 13^2 shifts.

    Three times as many angles and shifts of 0.3 px change it by less than 1e-4.
    """
    generator = torch.Generator().manual_seed(0)
    d = template(scenes())
    x = drawn(d, degree_motion(40, 0.4, -0.2))
    x = x + math.sqrt(variance) * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    angles, side, step = 40, 13, 0.5
    axis = (torch.arange(side, dtype=torch.float64) - side // 2) * step
    theta = torch.arange(angles, dtype=torch.float64) * (2 * math.pi / angles)
    totals = []
    for b in range(len(d)):
        values = []
        for t in torch.cartesian_prod(axis, axis):
            turned = space().turn(d[b : b + 1].expand(angles, -1), theta)
            pixels = space().synthesise(turned, t.expand(angles, 2))
            squared = (x[b] - pixels).square().sum(dim=(1, 2, 3))
            constant = SIZE**2 * math.log(2 * math.pi * variance)
            g = motion(theta, t, dtype=torch.float64)
            values.append(-0.5 * (squared / variance + constant) + PRIOR.log_prob(g))
        total = torch.cat(values).logsumexp(dim=0)
        totals.append(total + math.log(step**2 / angles))
    return x, torch.stack(totals)


def test_the_evidence_is_the_integral_over_all_poses():
    """The linearisation is all that is missing: less so in smaller bins."""
    x, expected = noisy(0.3)
    view, d = seen_at(x), template(scenes())
    errors = []
    for angles, spacing in ((16, 1.5), (32, 1.0), (128, 0.25)):
        pose = ExactPose(angles=angles, reach=3.0, spacing=spacing)
        errors.append((evidence(pose, view, d, 0.3) - expected).abs().max().item())
    assert errors[2] < 0.05, errors
    assert errors[2] < errors[1] < errors[0], errors
    other = evidence(pose, view, template(scenes()).flip(0), 0.3)  # control: the wrong template
    assert (other - expected).abs().max() > 0.5


def test_the_posterior_is_the_normalised_likelihood():
    """Ratios of q(g) at two poses are those of p(x | g) p(g), within a bin and between bins."""
    x, total = noisy(0.3)
    view, d, model = seen_at(x), template(scenes()), fixed(0.3)
    pose = ExactPose(fine_angles=128, reach=3.0, spacing=0.5, kept=10**6)
    q = pose.infer(PoseQuery(view, d, model, PRIOR))
    g = q.sample(torch.Generator().manual_seed(0))
    for _ in range(5):
        expected = model.log_prob(view, d, g) + PRIOR.log_prob(g) - total
        torch.testing.assert_close(q.log_prob(g), expected, atol=0.15, rtol=0)
        g = q.sample()


@pytest.mark.parametrize("reach", [0.0, 2.0])
def test_planted_poses_are_found(reach):
    """Of exact scenes, from a position half a pixel off, after one refinement.

    At a noise where the angle is known to 0.2 degrees: the motion within a bin leans to its centre.
    """
    pose = ExactPose(reach=reach)
    for g in (degree_motion(33.3, 1.2, -0.7), degree_motion(-117.0, -0.6, 0.9)):
        g = g.expand(3, 4)
        x = scenes().render(g[:1])
        t = g[:, 2:] + torch.tensor([0.3, -0.4])
        for _ in range(2):
            q = pose.infer(PoseQuery(seen_at(x, t), template(scenes()), fixed(1e-4), PRIOR))
            t = q.mode[:, 2:]
        assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(0.2)
        assert (q.mode[:, 2:] - g[:, 2:]).abs().max() < 0.02
        assert (q.credible_angles(0.9, points=3600) < 5).all()


@pytest.mark.parametrize("variance", [1e-4, 1e-3, 1e-2])
def test_the_mode_is_nearly_the_densest_pose(variance):
    """The centre of the best bin leans to the bin's own by at most 0.42 deviations, 0.09 nats."""
    x, d = images(degree_motion(33.3, 0.2, -0.3)), template(scenes())
    q = ExactPose(reach=1.0).infer(PoseQuery(seen_at(x), d, fixed(variance), FLAT))
    around = q.mode[:, 1:2] + torch.linspace(-0.05, 0.05, 101)
    density = []
    for angle in around.T:
        g = torch.cat([q.mode[:, :1], angle[:, None], q.mode[:, 2:]], dim=1)
        density.append(q.log_prob(g))
    assert (torch.stack(density).amax(dim=0) - q.log_prob(q.mode)).max() < 0.12


def test_the_answer_is_calibrated():
    """Planted poses lie within the stated standard deviations: z-scores of 60 noisy images."""
    variance, d = 0.05, template(scenes(3))
    pose, z = ExactPose(reach=1.0, spacing=0.5, fine_angles=128), []
    for k in range(20):
        g = degree_motion(17.0 * k, 0.3 * math.sin(k), 0.3 * math.cos(k)).expand(3, 4)
        x = drawn(d, g) + math.sqrt(variance) * torch.randn(3, 1, SIZE, SIZE)
        q = pose.infer(PoseQuery(seen_at(x), d, fixed(variance), FLAT))
        away = compose(inverse(g), q.mode)
        density = q.angle_log_density(720).exp()
        theta = torch.arange(720) * (2 * math.pi / 720)
        offset = wrapped(theta - q.mode[:, 1:2])
        scale = (density * offset.square()).mean(dim=1).sqrt()
        z += [wrapped(away[:, 1]) / scale, (away[:, 2:] / q.position_scale).flatten()]
    z = torch.cat(z)
    # 180 numbers, those of one image are nearly independent: 4 standard errors of their deviation
    assert abs(z.std().item() - 1) < 4 / math.sqrt(2 * 180)


@pytest.mark.parametrize("reach", [0.0, 1.0])
def test_the_posterior_moves_with_the_image(reach):
    """Exactly where the pixels do: quarter turns and whole-pixel shifts."""
    g0 = degree_motion(25.0, 0.3, 0.2).expand(3, 4)
    x, d = images(g0, noise=0.0), template(scenes())
    pose = ExactPose(reach=reach, kept=10**6)
    model, t = fixed(0.1), torch.tensor([0.2, 0.1]).expand(3, 2)
    q = pose.infer(PoseQuery(seen_at(x, t), d, model, FLAT))
    points = [q.sample() for _ in range(4)]
    for angle, shift in ((90, (0, 0)), (180, (2, -1)), (270, (-3, 1))):
        h = degree_motion(angle, *shift).expand(3, 4)
        centre = compose(h, torch.cat([torch.zeros(3, 2), t], dim=1))[:, 2:]
        moved = pose.infer(PoseQuery(seen_at(move(h, x), centre), d, model, FLAT))
        for g in points:
            torch.testing.assert_close(
                moved.log_prob(compose(h, g)), q.log_prob(g), atol=1e-4, rtol=1e-5
            )
        acted = q.act(h)
        torch.testing.assert_close(moved.mode[:, 2:], acted.mode[:, 2:], atol=1e-6, rtol=0)
        assert wrapped(moved.mode[:, 1] - acted.mode[:, 1]).abs().max() < 1e-6
        assert (moved.log_prob(points[0]) - q.log_prob(points[0])).abs().max() > 1  # control


def test_any_turn_of_the_coordinates_turns_the_posterior():
    """By multiples of the spacing of angles to rounding, by others to the linearisation."""
    d, t = template(scenes()), torch.zeros(3, 2)
    pose, model = ExactPose(angles=64, fine_angles=64, kept=10**6), fixed(0.1)
    still = seen_at(images(degree_motion(25.0, 0.3, 0.2)), t)
    q = pose.infer(PoseQuery(still, d, model, FLAT))
    g = q.sample()
    for angle, tolerance in ((2 * math.pi * 5 / 64, 1e-6), (0.777, 0.05)):
        turn = torch.full((3,), angle)
        view = View(
            still.space, still.image, t, space().turn(still.coordinates, turn), still.energy
        )
        moved = pose.infer(PoseQuery(view, d, model, FLAT))
        h = motion(turn, dtype=torch.float64)
        torch.testing.assert_close(
            moved.log_prob(compose(h, g)), q.log_prob(g), atol=tolerance, rtol=0
        )


@pytest.mark.parametrize("order", [2, 3, 4])
def test_symmetric_objects_have_equal_modes(order):
    d = rotationally_symmetric(order)
    x = drawn(d, degree_motion(20.0, 0.5, -0.5))
    q = ExactPose(reach=1.0, fine_angles=240).infer(PoseQuery(seen_at(x), d, fixed(0.02), PRIOR))
    assert q.symmetry_order().tolist() == [order] * len(d)
    density = q.angle_log_density(360)
    assert density.amax(dim=1).min() > 0.5
    peaks = torch.stack([density.roll(k * 360 // order, dims=1) for k in range(order)], dim=1)
    at = density.argmax(dim=1)
    values = peaks[torch.arange(len(d)), :, at]
    torch.testing.assert_close(values, values[:, :1].expand_as(values), atol=0.05, rtol=0)
    plain = template(scenes(2))  # control
    x = drawn(plain, degree_motion(20.0, 0.5, -0.5))
    once = ExactPose(reach=1.0).infer(PoseQuery(seen_at(x), plain, fixed(0.02), PRIOR))
    assert once.symmetry_order().tolist() == [1, 1]


def test_isotropic_objects_have_no_angle():
    d = rotationally_symmetric(0)
    x = drawn(d, degree_motion(20.0, 0.3, -0.2))
    q = ExactPose(reach=1.0, kept=10**6).infer(PoseQuery(seen_at(x), d, fixed(0.01), PRIOR))
    assert q.symmetry_order().tolist() == [0, 0]
    assert (q.credible_angles() > 323).all()
    mean = (q.log_weights.exp()[..., None] * q.bins[..., 2:]).sum(dim=1)
    torch.testing.assert_close(mean, torch.tensor([[0.3, -0.2]] * 2), atol=0.02, rtol=0)


@pytest.mark.parametrize(("reach", "kept"), [(0.0, 512), (1.5, 512), (1.5, 10**6)])
@pytest.mark.parametrize("grey", [0.0, 0.5])
def test_where_nothing_is_nothing_is_known(grey, reach, kept):
    """A flat image says nothing about the angle, with and without a background in the model."""
    x = torch.full((3, 1, SIZE, SIZE), grey)
    for nuisances in ({}, {"background": 0.5, "intensity": 0.5}):
        pose = ExactPose(reach=reach, kept=kept, fine_angles=128)
        q = pose.infer(PoseQuery(seen_at(x), template(scenes()), fixed(0.05, nuisances), PRIOR))
        assert all(v.isfinite().all() for v in (q.bins, q.covariance, q.log_prob(q.mode)))
        assert (q.credible_angles() > 0.85 * 360).all()
        assert q.symmetry_order().tolist() == [0] * 3
        assert q.angle_log_density().abs().max() < 0.1
        score = pose.score(PoseQuery(seen_at(x), template(scenes()), fixed(0.05, nuisances), PRIOR))
        assert score.log_likelihood.isfinite().all() and score.kl.isfinite().all()


def test_a_template_of_nothing_knows_nothing():
    q = ExactPose(reach=1.0, kept=10**6).infer(
        PoseQuery(
            seen_at(images(degree_motion(10.0))), torch.zeros(3, space().dim), fixed(0.05), PRIOR
        )
    )
    assert q.angle_log_density().abs().max() < 1e-2 and q.bins.isfinite().all()


def test_reach_finds_what_the_localiser_missed():
    g = degree_motion(70.0, 2.4, -1.1).expand(3, 4)
    view, d = seen_at(images(g)), template(scenes())
    errors = {}
    for reach in (0.0, 4.0):
        q = ExactPose(reach=reach).infer(PoseQuery(view, d, fixed(1e-2), PRIOR))
        errors[reach] = (q.mode[:, 2:] - g[:, 2:]).norm(dim=1)
        if reach:
            assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(1)
    assert errors[4.0].max() < 0.05
    assert errors[0.0].max() > 0.3  # control


def test_mirrored_objects_are_found():
    g = degree_motion(50.0, 0.5, 0.2, reflection=1.0).expand(3, 4)
    x, d = scenes().render(g[:1]), template(scenes())
    pose = ExactPose(reach=1.0, reflections=True)
    q = pose.infer(PoseQuery(seen_at(x), d, fixed(1e-3), PRIOR))
    q = pose.infer(PoseQuery(seen_at(x, q.mode[:, 2:]), d, fixed(1e-3), PRIOR))
    assert q.mode[:, 0].tolist() == [1, 1, 1]
    assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(0.5)
    torch.testing.assert_close(q.mode[:, 2:], g[:, 2:], atol=0.03, rtol=0)
    upright = ExactPose(reach=1.0, reflections=True).infer(
        PoseQuery(seen_at(images(degree_motion(50.0, 0.5, 0.2))), d, fixed(1e-3), PRIOR)
    )
    assert upright.mode[:, 0].tolist() == [0, 0, 0]
    # an object that is its own mirror image: half the mass for each chirality
    both = d + space().mirror(d)
    x = drawn(both, degree_motion(50.0))
    q = ExactPose(reflections=True, kept=10**6).infer(
        PoseQuery(seen_at(x), both, fixed(1e-2), PRIOR)
    )
    chirality = (q.log_weights.exp() * q.bins[..., 0]).sum(dim=1)
    torch.testing.assert_close(chirality, torch.full((3,), 0.5), atol=1e-6, rtol=0)


def test_mirrors_cost_one_bit():
    """Two chiralities, one of them right: the evidence falls by log 2."""
    x, d = images(degree_motion(50.0, 0.2, 0.1)), template(scenes())
    one, two = (
        evidence(ExactPose(reach=1.0, reflections=r), seen_at(x), d, 1e-3) for r in (False, True)
    )
    torch.testing.assert_close(one - two, torch.full((3,), math.log(2)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("variance", [1e-3, 0.1, 2.0])
@pytest.mark.parametrize("reach", [0.0, 2.0])
def test_the_score_is_a_bound(reach, variance):
    """KL >= 0, and an average over poses is no more than the best of them."""
    pose = ExactPose(reach=reach, angles=128, fine_angles=128)
    view, d = seen_at(images(degree_motion(40.0, 0.2, 0.1), noise=0.05)), template(scenes())
    score = pose.score(PoseQuery(view, d, fixed(variance), PRIOR))
    best = fixed(variance).log_prob(
        view, d, pose.infer(PoseQuery(view, d, fixed(variance), PRIOR)).mode
    )
    assert (score.kl >= 0).all()
    assert (score.log_likelihood - score.kl <= best + 0.02).all()
    assert (score.log_likelihood <= best + 0.02).all()


def test_gradients_are_those_of_the_evidence():
    """By finite differences, to the template and to sigma^2."""
    view, d = seen_at(images(degree_motion(40.0, 0.2, 0.1), noise=0.2)), template(scenes())
    model = TemplateLikelihood(0.1).double()
    pose, way, h = ExactPose(angles=16, reach=1.0), 0.1 * torch.randn_like(d), 1e-5

    def value(d: Tensor) -> Tensor:
        score = pose.score(PoseQuery(view, d, model, PRIOR))
        return (score.log_likelihood - score.kl).sum()

    free = d.clone().requires_grad_()
    value(free).backward()
    numeric = (value(d + h * way) - value(d - h * way)).item() / (2 * h)
    assert (free.grad * way).sum().item() == pytest.approx(numeric, rel=1e-4)
    slope = model.log_variance.grad.item()
    with torch.no_grad():
        sides = []
        for s in (1, -1):
            model.log_variance += s * h
            sides.append(value(d).item())
            model.log_variance -= s * h
    assert slope == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-4)


def test_nuisances_are_integrated_beside_the_pose():
    """A brighter object on a grey ground is as well placed as a plain one, and better explained."""
    g, t = degree_motion(33.0, 0.6, -0.3).expand(3, 4), torch.zeros(3, 2)
    d = template(scenes())
    x = 1.4 * drawn(d, g) + 0.2
    free, pose = fixed(1e-3, {"intensity": 0.5, "background": 0.3}), ExactPose(reach=1.0)
    for _ in range(2):
        q = pose.infer(PoseQuery(seen_at(x, t), d, free, PRIOR))
        t = q.mode[:, 2:]
    assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(0.5)
    assert q.covariance.shape == (3, 3, 3)
    rich, poor = (pose.score(PoseQuery(seen_at(x), d, m, PRIOR)) for m in (free, fixed(1e-3)))
    assert ((rich.log_likelihood - rich.kl) > (poor.log_likelihood - poor.kl) + 100).all()
    assert (t - g[:, 2:]).abs().max() < 0.02


@pytest.mark.parametrize("brightness", [0.6, 1.4, 2.0])
def test_brightness_does_not_move_an_object(brightness):
    """The image of a brighter object changes by more when it moves: no overshoot, as often as asked."""
    g, t = degree_motion(33.0, 0.4, -0.3).expand(3, 4), torch.zeros(3, 2)
    x, d = brightness * drawn(template(scenes()), g), template(scenes())
    for _ in range(3):
        q = ExactPose().infer(PoseQuery(seen_at(x, t), d, fixed(1e-3, {"intensity": 0.5}), PRIOR))
        t = q.mode[:, 2:]
    assert (t - g[:, 2:]).abs().max() < 0.02


def test_the_grid_of_shifts():
    torch.testing.assert_close(shift_grid(0.0, 1.0), torch.zeros(1, 2))
    grid = shift_grid(2.0, 1.0)
    assert len(grid) == 13 and grid[0].tolist() == [0, 0]
    assert grid.norm(dim=1).max() <= 2
    turned = grid @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    assert {tuple(p) for p in turned.tolist()} == {tuple(p) for p in grid.tolist()}
    assert len(shift_grid(1.0, 0.1)) == 317  # steps of 0.1 up to 1 itself
    assert torch.equal(shift_grid(2, 1), grid)  # whole numbers, as a configuration gives them


def test_few_bins_are_kept():
    view, d = seen_at(images(degree_motion(40.0))), template(scenes())
    q = ExactPose(reach=2.0, kept=7).infer(PoseQuery(view, d, fixed(0.01), PRIOR))
    assert q.bins.shape == (3, 7, 4)
    torch.testing.assert_close(q.log_weights.logsumexp(dim=1), torch.zeros(3))
    assert isinstance(q, PosePosterior) and not list(ExactPose().state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"angles": 4}, "angles must be at least 8; got 4"),
        ({"fine_angles": 1}, "fine_angles must be at least 8; got 1"),
        ({"reach": -1.0}, r"reach must be >= 0 and spacing > 0 \(pixels\), kept >= 1; got -1.0"),
        ({"spacing": 0.0}, "spacing > 0 .* got 0.0, 0.0"),
        ({"kept": 0}, "kept >= 1; got 0.0, 1.0, 0"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ExactPose(**settings)


def test_a_prior_of_positions_has_a_width():
    with pytest.raises(ValueError, match=r"position_scale must be positive \(pixels\); got 0"):
        PosePrior(0.0)
