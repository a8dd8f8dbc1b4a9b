"""The exact pose search with the log-scale as one more axis, against rendering at every pose."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.distributions.pose import PosePosterior
from eqvae.distributions.pose_prior import PosePrior
from eqvae.pose.exact import ExactPose
from eqvae.pose.inference import PoseQuery
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.sizes import ScaleBins
from eqvae.pose.space import TemplateSpace, View
from eqvae.symmetry import PlaneMotions, Similarities, compose, log_scale_of, motion, shift_of
from tests.cases import basis
from tests.pose.scenes import drawn, scenes, smooth, space, template, wrapped

SIDE = 21
SMALL = TemplateSpace(basis(SIDE, degree=8))
SIM2 = Similarities(scales=(0.7, 1.4))
PRIORS = {"uniform": PosePrior(5.0, scales=(0.75, 1.35)), "normal": PosePrior(5.0, 0.3)}


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def fixed(variance: float, **nuisances: float) -> TemplateLikelihood:
    return TemplateLikelihood(variance, learnable=False, nuisances=nuisances).double()


def rendered(where: TemplateSpace, d: Tensor, g: Tensor) -> Tensor:
    """Images of coordinates (B, dim) at motions (B, 5)."""
    return where.synthesise(where.turn(d, g[:, 1], g[:, 0]), shift_of(g), log_scale_of(g))


@cache
def noisy(variance: float) -> tuple[Tensor, Tensor]:
    """A template (1, dim) and an image of it at a scale of 1.15, with white noise."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        d = 0.8 * smooth(SMALL, 1, spare=3)
        g = motion(0.7, (0.3, -0.2), log_scale=math.log(1.15), dtype=torch.float64)
        x = rendered(SMALL, d, g)
        return d, x + math.sqrt(variance) * torch.randn_like(x)


@cache
def likelihoods(variance: float) -> tuple[Tensor, Tensor, float]:
    """Motions (S, P, 5), log p(x | c, g) at all of them, and the log-volume of each, 37,000 poses."""
    d, x = noisy(variance)
    angles, step, size_step, joint, poses = 36, 0.375, 0.06, [], []
    axis = torch.arange(-4, 5, dtype=torch.float64) * step
    theta = torch.arange(angles, dtype=torch.float64) * (2 * math.pi / angles)
    for k in range(-4, 9):
        a, u, v = torch.cartesian_prod(theta, axis, axis).T
        shift = torch.stack([u + 0.3, v - 0.2], dim=1)
        g = motion(a, shift, log_scale=k * size_step, dtype=torch.float64)
        squared = (x - rendered(SMALL, d.expand(len(g), -1), g)).square().sum(dim=(1, 2, 3))
        constant = SIDE**2 * math.log(2 * math.pi * variance)
        joint.append(-0.5 * (squared / variance + constant))
        poses.append(g)
    return torch.stack(poses), torch.stack(joint), math.log(step**2 * size_step / angles)


def by_rendering(variance: float, prior: str) -> tuple[float, Tensor]:
    """log p(x | c), and mean and deviation of the log-scale, by the rectangle rule."""
    g, likelihood, volume = likelihoods(variance)
    by_size = (likelihood + PRIORS[prior].log_prob(g)).logsumexp(dim=1)
    weight, s = by_size.softmax(dim=0), log_scale_of(g)[:, 0]
    mean = (weight * s).sum()
    spread = (weight * (s - mean).square()).sum().sqrt()
    return (by_size.logsumexp(dim=0) + volume).item(), torch.stack([mean, spread])


def seen(x: Tensor, log_scale: float = 0.0, t: tuple[float, float] = (0.0, 0.0)) -> View:
    n = len(x)
    return SMALL.look(x, torch.tensor(t).expand(n, 2), log_scale=torch.full((n,), log_scale))


def search(angles: int = 96, spacing: float = 0.3, scale_spacing: float = 0.06) -> ExactPose:
    bins = {"angles": angles, "fine_angles": angles, "spacing": spacing, "reach": 1.8}
    return ExactPose(
        **bins, symmetry=SIM2, kept=10**6, scale_reach=0.24, scale_spacing=scale_spacing
    )


@pytest.mark.parametrize("prior", PRIORS)
def test_the_evidence_is_the_integral_over_all_poses_and_scales(prior, monkeypatch):
    d, x = noisy(0.5)
    expected, size = by_rendering(0.5, prior)

    def evidence(pose: ExactPose, template: Tensor) -> float:
        score = pose.score(PoseQuery(seen(x, 0.15), template, fixed(0.5), PRIORS[prior]))
        return (score.log_likelihood - score.kl).item()

    errors = [abs(evidence(pose, d) - expected) for pose in (search(64, 0.5, 0.08), search())]
    assert errors[1] < 0.08 and errors[1] < errors[0] / 3, (
        errors
    )  # the linearisation is what is missing
    query = PoseQuery(seen(x, 0.15), d, fixed(0.5), PRIORS[prior])
    torch.testing.assert_close(log_size(search().infer(query)), size, atol=0.002, rtol=0.02)
    assert abs(evidence(search(64, 0.5, 0.08), -d) - expected) > 1  # control: the wrong template
    monkeypatch.setattr(TemplateSpace, "stretch", lambda self, d, s: d)
    assert abs(evidence(search(), d) - expected) > 0.2  # control: a norm that does not grow
    assert (log_size(search().infer(query)) - size).abs().min() > 0.004


def log_size(q: PosePosterior) -> Tensor:
    """Mean and standard deviation of the log-scale of one posterior, (2,)."""
    weight, s = q.log_weights.exp(), log_scale_of(q.bins)
    mean = (weight * s).sum()
    return torch.stack(
        [mean, ((weight * (s - mean).square()).sum() + q.covariance[0, 3, 3]).sqrt()]
    )


def test_the_posterior_is_the_normalised_likelihood():
    """Also away from the bins, at draws of angle, position and log-scale."""
    d, x = noisy(0.5)
    total, _ = by_rendering(0.5, "normal")
    prior, model, view = PRIORS["normal"], fixed(0.5), seen(x, 0.15)
    q = search().infer(PoseQuery(view, d, model, prior))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        g = q.sample(generator)
        assert g.shape == (1, 5)
        expected = model.log_prob(view, d, g) + prior.log_prob(g) - total
        torch.testing.assert_close(q.log_prob(g), expected, atol=0.1, rtol=0)


@pytest.mark.parametrize(("reach", "first"), [(0.0, 0.06), (0.5, -0.2)])
def test_planted_scales_are_found(reach, first):
    """Of exact scenes, from a log-scale and a position that are off, after one refinement."""
    d, pose = template(scenes()), ExactPose(symmetry=SIM2, scale_reach=reach)
    for scale in (0.8, 1.3):
        g = motion(0.6, (1.2, -0.7), log_scale=math.log(scale)).expand(3, 5)
        x = scenes().render(g[:1])
        t, s = shift_of(g) + torch.tensor([0.3, -0.4]), log_scale_of(g) + first
        for _ in range(2):
            query = PoseQuery(space().look(x, t, log_scale=s), d, fixed(1e-4), PosePrior())
            q = pose.infer(query)
            t, s = shift_of(q.mode), log_scale_of(q.mode)
        assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(0.2)
        assert (t - shift_of(g)).abs().max() < 0.02
        assert (s - log_scale_of(g)).abs().max() < 0.003
        assert q.covariance.shape == (3, 4, 4) and (q.covariance[:, 3, 3] < 0.01**2).all()


def test_the_posterior_grows_with_the_image():
    """Bins are those of the object: of exact scenes q(h g | h x) dh g = q(g | x) dg."""
    d, model, flat = template(scenes()), fixed(0.05), PosePrior(1e4, 1e4)
    g = motion(0.4, (0.3, 0.2), log_scale=-0.1).expand(3, 5)
    h = motion(math.pi / 2, log_scale=math.log(1.3)).expand(3, 5)
    pose = ExactPose(symmetry=SIM2, reach=1.0, scale_reach=0.1, kept=10**6)
    posteriors = []
    for k in (g, compose(h, g)):
        x = scenes().render(k[:1]) * torch.exp(-log_scale_of(k[:1]))[:, None, None, None]
        view = space().look(x, shift_of(k), log_scale=log_scale_of(k))
        bright = space().shrink(d, log_scale_of(k))  # as much evidence at either size
        posteriors.append(pose.infer(PoseQuery(view, bright, model, flat)))
    still, moved = posteriors
    points = still.sample(torch.Generator().manual_seed(0))
    area = 2 * log_scale_of(h)
    torch.testing.assert_close(
        moved.log_prob(compose(h, points)) + area, still.log_prob(points), atol=0.02, rtol=0
    )
    assert (moved.log_prob(points) - still.log_prob(points)).abs().max() > 1  # control


@pytest.mark.parametrize("reflections", [False, True])
def test_nuisances_optics_and_mirrors_stand_beside_scales(reflections):
    """A brighter, blurred object on a grey ground, at a scale that is found all the same."""
    d = template(scenes())
    g = motion(0.5, (0.6, -0.3), float(reflections), log_scale=0.15).expand(3, 5)
    k = torch.linspace(0, math.pi, 64)
    transfer = torch.exp(-0.3 * k.square()).expand(3, -1)
    own = torch.exp(-0.3 * (k * math.exp(-0.15)).square()).expand(3, -1)
    x = 1.3 * rendered(space(), space().filter(d, own), g) + 0.2
    model = fixed(1e-3, intensity=0.5, background=0.3)
    pose = ExactPose(symmetry=SIM2, reach=1.0, scale_reach=0.2, reflections=reflections)
    t, s = torch.zeros(3, 2), torch.zeros(3)
    for _ in range(3):
        view = space().look(x, t, transfer, s)
        q = pose.infer(PoseQuery(view, d, model, PosePrior()))
        t, s = shift_of(q.mode), log_scale_of(q.mode)
    assert (q.mode[:, 0] == float(reflections)).all() and q.covariance.shape == (3, 4, 4)
    assert wrapped(q.mode[:, 1] - g[:, 1]).abs().max() < math.radians(0.5)
    assert (t - shift_of(g)).abs().max() < 0.03 and (s - 0.15).abs().max() < 0.01
    again = rendered(space(), model.fitted(view, d, q.mode), q.mode)
    assert (again - x).abs().max() < 0.02


def test_coordinates_of_a_scale_are_orthonormal_and_grow_back():
    d, s = smooth(space(), 3), torch.tensor([-0.1, 0.0, 0.3])
    x = space().synthesise(d, torch.zeros(3, 2), s)
    view = space().look(x, torch.zeros(3, 2), log_scale=s)
    torch.testing.assert_close(view.own_coordinates, d, atol=1e-2, rtol=0)
    torch.testing.assert_close(view.coordinates.square().sum(dim=1), view.energy, rtol=1e-2, atol=0)
    flat = space().look(torch.ones(3, 1, 41, 41), torch.zeros(3, 2), log_scale=s)
    grey = space().derivative(d, "background")
    torch.testing.assert_close(space().stretch(grey, s), flat.coordinates, atol=0.7, rtol=0)
    step = 1e-4
    ahead, behind = (space().synthesise(d, torch.zeros(3, 2), s + h) for h in (step, -step))
    moved = space().synthesise(space().derivative(d, "growth"), torch.zeros(3, 2), s)
    torch.testing.assert_close((ahead - behind) / (2 * step), moved, atol=1e-5, rtol=0)


def test_without_scales_nothing_is_new():
    """SE(2) has bins of four columns, one size and three small motions."""
    x = drawn(template(scenes()), motion(0.4, dtype=torch.float64))
    view = space().look(x, torch.zeros(3, 2))
    query = PoseQuery(view, template(scenes()), fixed(0.1), PosePrior())
    plain, so2 = ExactPose(), ExactPose(symmetry=PlaneMotions.so2(), scale_reach=0.5)
    a, b = plain.infer(query), so2.infer(query)
    assert torch.equal(a.bins, b.bins) and a.bins.shape[2] == 4 and a.covariance.shape == (3, 3, 3)
    assert not so2.has_scales and ExactPose(symmetry=SIM2).has_scales


def test_priors_of_log_scales_are_distributions():
    s = torch.linspace(-4, 4, 8001)
    g = motion(log_scale=s, dtype=torch.float64)
    for prior in PRIORS.values():
        at_centre = prior.log_prob(g) - prior.log_prob(g[:, :4])
        assert abs(at_centre.exp().sum().item() * 1e-3 - 1) < 1e-6
        drawn_sizes = prior.sample_log_scale(4000, torch.Generator().manual_seed(0))
        assert abs(drawn_sizes.std() - {True: 0.3, False: 0.17}[prior.scales is None]) < 0.01


def test_what_can_not_be_searched_is_said():
    with pytest.raises(ValueError, match="scale_reach must be >= 0 and scale_spacing > 0.*got -1"):
        ScaleBins(-1.0)
    with pytest.raises(ValueError, match="such as 0.5 and 0.1.*got 0.0 and 0.0"):
        ExactPose(symmetry=SIM2, scale_spacing=0.0)
    with pytest.raises(ValueError, match="log_scale_width must be positive"):
        PosePrior(5.0, 0.0)
    with pytest.raises(ValueError, match="scales must be two positive numbers"):
        PosePrior(5.0, scales=(2.0, 3.0))
    view = space().look(scenes().render(), torch.zeros(3, 2))
    query = PoseQuery(view, template(scenes()), fixed(0.1), PosePrior())
    with pytest.raises(ValueError, match="seen at a log-scale for a search over scales"):
        ExactPose(symmetry=SIM2).infer(query)
