"""The likelihood of posed templates against dense Gaussians, in coordinates and in pixels."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, kl_divergence

from eqvae.pose.likelihood import NUISANCES, TemplateLikelihood, fit_tangents, tangents
from eqvae.pose.space import View
from eqvae.symmetry import PlaneMotions, motion
from eqvae.testing import relative_error
from tests.cases import draw
from tests.pose.scenes import SIZE, drawn, scenes, seen_at, smooth, space, template

SCALES = {
    "intensity": 0.3,
    "background": 0.1,
    "scale": 0.1,
    "stretch": 0.1,
    "shear": 0.1,
    "heat": 0.2,
}
SOME = pytest.mark.parametrize(
    "names", [(), ("intensity",), ("background", "scale"), tuple(SCALES)], ids=len
)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def likelihood(names: tuple[str, ...] = (), variance: float = 0.05) -> TemplateLikelihood:
    return TemplateLikelihood(variance, nuisances={name: SCALES[name] for name in names})


def far(tails: float, n: int = 3) -> tuple[View, Tensor]:
    """Views with energy outside of the coordinates, and coordinates of 4 poses, (n, 4, dim)."""
    a = smooth(space(), n)[:, None] + torch.zeros(n, 4, 1)
    turned = torch.stack(
        [space().turn(a[:, p], torch.full((n,), 1.0 * p)) for p in range(4)], dim=1
    )
    energy = a[:, 0].square().sum(dim=1) + tails
    image = torch.zeros(n, 1, SIZE, SIZE)
    return View(space(), image, torch.zeros(n, 2), a[:, 0], energy), turned


@SOME
def test_tangents_are_integrated_out_as_in_the_dense_gaussian(names):
    """In the coordinates a multivariate normal, outside of them white noise."""
    view, a = far(tails=2.5)
    d, model = smooth(space(), 3), likelihood(names)
    scales, variance = model.scales, model.variance
    t = tangents(space(), d, model.nuisances)
    stack = torch.cat([d[:, None], t], dim=1)
    fit = fit_tangents(view, stack, stack @ a.mT, scales, variance)
    dim, pixels = d.shape[1], SIZE**2
    outside = -0.5 * (2.5 / variance + (pixels - dim) * (2 * math.pi * variance).log())
    for b in range(3):
        spread = scales[:, None] * t[b]
        dense = MultivariateNormal(d[b], variance * torch.eye(dim) + spread.T @ spread)
        torch.testing.assert_close(fit.log_prob[b], dense.log_prob(a[b]) + outside)
        precision = t[b] @ t[b].T / variance + torch.diag(scales**-2)
        mean = torch.linalg.solve(precision, t[b] @ (a[b] - d[b]).T / variance)
        torch.testing.assert_close(fit.mean[b], mean)
        torch.testing.assert_close(fit.covariance[b], torch.linalg.inv(precision))


@SOME
def test_the_expected_part_and_the_kl_make_the_whole(names):
    """log p(x) = E log p(x | e) - KL(q(e) || p(e)): the bound is tight at the posterior."""
    view, a = far(tails=1.0)
    d, model = smooth(space(), 3), likelihood(names)
    stack = torch.cat([d[:, None], tangents(space(), d, model.nuisances)], dim=1)
    fit = fit_tangents(view, stack, stack @ a.mT, model.scales, model.variance)
    if not names:
        assert torch.equal(fit.expected, fit.log_prob)
        assert fit.mean.shape == (3, 0, 4) and fit.covariance.shape == (3, 0, 0)
        return
    prior = MultivariateNormal(torch.zeros(len(names)), torch.diag(model.scales**2))
    q = MultivariateNormal(fit.mean.movedim(1, -1), fit.covariance[:, None])
    kl = kl_divergence(q, prior)
    torch.testing.assert_close(fit.log_prob, fit.expected - kl)
    assert (kl > 0).all()


def test_poses_may_have_any_shape():
    view, a = far(tails=0.0)
    d, model = smooth(space(), 3), likelihood(("intensity", "scale"))
    stack = torch.cat([d[:, None], tangents(space(), d, model.nuisances)], dim=1)
    flat = fit_tangents(view, stack, stack @ a.mT, model.scales, model.variance)
    square = (stack @ a.mT).unflatten(2, (2, 2))
    fit = fit_tangents(view, stack, square, model.scales, model.variance)
    torch.testing.assert_close(fit.log_prob.flatten(1), flat.log_prob)
    torch.testing.assert_close(fit.mean.flatten(2), flat.mean)
    assert fit.log_prob.shape == (3, 2, 2)


@pytest.mark.parametrize("optics", [False, True], ids=["no optics", "optics"])
@SOME
def test_log_prob_is_that_of_the_pixels(names, optics):
    """Template, tangents and optics drawn as images, and a Gaussian of all pixels: to 2e-3 of its size.

    What differs is the background's: a constant image beyond the frame, which coordinates know as zero.
    """
    d, model = template(scenes()), likelihood(names)
    g = draw(PlaneMotions.o2(), 3, shift=1.0)
    transfer = (
        torch.exp(-0.5 * torch.linspace(0, math.pi, 64) ** 2).expand(3, -1) if optics else None
    )
    x = 1.5 * drawn(d, g) + 0.1 * torch.randn(3, 1, SIZE, SIZE)
    view = seen_at(x, transfer=transfer)
    ours = model.log_prob(view, d, g)
    seen = (lambda v: space().filter(v, transfer)) if optics else (lambda v: v)
    mean = drawn(seen(d), g).flatten(1)
    spread = [
        model.scales[i]
        * (
            torch.ones_like(mean)
            if name == "background"
            else drawn(seen(space().derivative(d, name)), g).flatten(1)
        )
        for i, name in enumerate(model.nuisances)
    ]
    spread = torch.stack(spread, dim=2) if names else torch.zeros(3, SIZE**2, 1)
    dense = LowRankMultivariateNormal(mean, spread, model.variance.expand_as(mean))
    expected = dense.log_prob(x.flatten(1))
    tolerance = 0.5 if "background" in names else 0.05  # nats, of hundreds
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)
    wrong = model.log_prob(view, d, g + motion(0.3, dtype=torch.float64))
    assert (wrong - expected).abs().max() > 1  # control
    if optics:
        assert (model.log_prob(seen_at(x), d, g) - expected).abs().max() > 0.5 + tolerance


def test_the_fit_finds_what_was_changed():
    """A brighter, larger object on a grey ground: the nuisances' factors, and the template they make."""
    d, g = template(scenes()), motion(0.5, (0.6, -0.3), dtype=torch.float64).expand(3, 4)
    model = likelihood(("intensity", "background", "scale"), variance=1e-4)
    e = {"intensity": 0.2, "background": 0.05, "scale": 0.06}
    changed = d + sum(value * space().derivative(d, name) for name, value in e.items())
    x = drawn(changed, g)
    fitted = model.fitted(seen_at(x), d, g)
    assert relative_error(fitted, changed) < 0.01
    assert relative_error(d, changed) > 0.1  # control
    still = likelihood().fitted(seen_at(x), d, g)
    assert torch.equal(still, d)  # nothing may differ


def test_more_freedom_for_what_is_there_raises_the_evidence():
    d = template(scenes())
    g = motion(dtype=torch.float64).expand(3, 4)
    bright, plain = seen_at(drawn(1.3 * d, g)), seen_at(drawn(d, g))
    free, rigid = likelihood(("intensity",), 0.01), likelihood((), 0.01)
    assert (free.log_prob(bright, d, g) > rigid.log_prob(bright, d, g) + 3).all()
    assert (free.log_prob(plain, d, g) < rigid.log_prob(plain, d, g)).all()  # Occam's price


def test_the_constant_is_a_perfect_reconstruction():
    x = torch.rand(2, 3, SIZE, SIZE)
    model = likelihood(variance=0.05)
    normal = torch.distributions.Normal(x, math.sqrt(0.05)).log_prob(x).sum(dim=(1, 2, 3))
    torch.testing.assert_close(model.constant(x), normal[0])


def test_the_variance_is_learned_and_stays_positive():
    model = TemplateLikelihood(0.02)
    assert [name for name, _ in model.named_parameters()] == ["log_variance"]
    assert model.variance.item() == pytest.approx(0.02)
    model.log_variance.data.fill_(-100.0)
    assert model.variance.item() == pytest.approx(1e-5)
    assert not list(TemplateLikelihood(0.02, learnable=False).parameters())
    assert "log_variance" in TemplateLikelihood(0.02, learnable=False).state_dict()


def test_the_noise_falls_as_many_times_faster_as_its_rate_says():
    fallen = {}
    for rate in (1.0, 12.0):
        model = TemplateLikelihood(0.2, rate=rate)
        assert model.variance.item() == pytest.approx(0.2)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        model.variance.backward()  # the same sign of the gradient in both
        optimizer.step()
        fallen[rate] = math.log(0.2 / model.variance.item())
    assert fallen[1.0] == pytest.approx(1e-2, rel=1e-3)
    assert fallen[12.0] == pytest.approx(12e-2, rel=1e-3)


def test_nuisances_of_no_size_are_left_out():
    model = TemplateLikelihood(nuisances={"intensity": 0.0, "scale": 0.1})
    assert model.nuisances == ("scale",) and model.scales.tolist() == pytest.approx([0.1])
    assert set(SCALES) == set(NUISANCES)  # all are tested


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variance": 0.0}, "variance must be positive; got 0.0"),
        ({"variance": float("nan")}, "variance must be positive; got nan"),
        ({"rate": 0.0}, "rate must be positive; got 0.0. Set learnable=false"),
        ({"nuisances": {"shift_x": 1.0}}, "nuisances must be out of .*'intensity'.* got 'shift_x'"),
        (
            {"nuisances": {"scale": -0.1}},
            r"nuisances.scale is a standard deviation, >= 0; got -0.1",
        ),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        TemplateLikelihood(**settings)
