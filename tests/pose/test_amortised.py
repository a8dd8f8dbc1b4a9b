"""Amortised pose posteriors: they turn with the object, their gradient is unbiased, and they learn."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from eqvae.distributions.pose import PosePosterior, draw_bins
from eqvae.distributions.pose_prior import PosePrior
from eqvae.pose.amortised import AttentionPose, UnimodalPose
from eqvae.pose.inference import PoseInference, PoseQuery, sampled_score
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import View
from eqvae.symmetry import compose, motion
from eqvae.symmetry.motions import retract
from tests.cases import basis, move
from tests.pose.scenes import DEGREE, degree_motion, scenes, seen_at, space, template, wrapped

SMALL = 33
SEEN = basis(SMALL, degree=DEGREE)
PRIOR = PosePrior(5.0)
KINDS = {
    "unimodal": lambda: UnimodalPose(SEEN, hidden=8),
    "attention": lambda: AttentionPose(SEEN, hidden=8),
    "shifts": lambda: AttentionPose(SEEN, hidden=8, reach=1.0, spacing=1.0),
}
ALL = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def fixed(variance: float = 0.1) -> TemplateLikelihood:
    return TemplateLikelihood(variance, learnable=False)


def images(g: Tensor | None = None) -> Tensor:
    return scenes(size=SMALL).render(g)


def infer(pose: PoseInference, view: View) -> PosePosterior:
    return pose.infer(PoseQuery(view, template(scenes(size=SMALL)), fixed(), PRIOR))


def turned(view: View, h: Tensor) -> View:
    """What the object moved by h would show from its own position."""
    coordinates = view.space.turn(view.coordinates, h[:, 1])
    at = torch.cat([torch.zeros_like(h[:, :2]), view.position], dim=1)
    return View(view.space, view.image, compose(h, at)[:, 2:], coordinates, view.energy)


@ALL
def test_the_law_turns_exactly_with_quarter_turns_of_any_image(kind):
    pose = KINDS[kind]().eval()
    x, t = torch.rand(3, 1, SMALL, SMALL), torch.tensor([0.3, -0.2]).expand(3, 2)
    q = infer(pose, seen_at(x, t))
    points = [q.sample() for _ in range(3)]
    for quarter in (1, 2, 3):
        h = motion(quarter * math.pi / 2, dtype=torch.float64).expand(3, 4)
        at = compose(h, torch.cat([torch.zeros(3, 2), t], dim=1))[:, 2:]
        moved = infer(pose, seen_at(move(h, x), at))
        for g in points:
            torch.testing.assert_close(moved.log_prob(compose(h, g)), q.log_prob(g))
        assert (moved.log_prob(points[0]) - q.log_prob(points[0])).abs().max() > 1e-3  # control


def moments(q: PosePosterior) -> Tensor:
    """E e^{i l theta} for l = 1, 2, 3, (3, B)."""
    density = q.angle_log_density(720).exp()
    theta = torch.arange(720) * (2 * math.pi / 720)
    return torch.stack([(density * torch.exp(1j * ell * theta)).mean(dim=1) for ell in (1, 2, 3)])


@ALL
def test_the_law_turns_with_any_angle(kind):
    """Its moments do: SiLU aliases by 5e-3, and bins of attention stand still, 11 degrees apart."""
    pose = KINDS[kind]().eval()
    view = seen_at(images(), torch.tensor([0.3, -0.2]).expand(3, 2))
    q = infer(pose, view)
    for angle in (0.2, 1.0, -2.3):
        h = motion(angle, (1.0, -2.0), dtype=torch.float64).expand(3, 4)
        moved = infer(pose, turned(view, h))
        phase = torch.exp(1j * angle * torch.arange(1, 4))[:, None]
        error = (moments(moved) - phase * moments(q)).abs().max()
        assert error < 0.01
        assert (moments(q) - phase * moments(q)).abs().max() > 5 * error  # control
        if kind == "unimodal":  # the whole distribution: its bin turns too
            g = q.sample()
            acted, ours = q.log_prob(g), moved.log_prob(compose(h, g))
            torch.testing.assert_close(ours, acted, atol=0.02, rtol=0)


@ALL
def test_attention_between_bins_turns_to_rounding_of_the_band_limit(kind):
    """By the spacing of the bins the weights roll, up to aliasing."""
    if kind == "unimodal":
        pytest.skip("it has one bin")
    pose = KINDS[kind]().eval()
    view = seen_at(images())
    h = motion(2 * math.pi * 3 / 32, dtype=torch.float64).expand(3, 4)
    still, moved = infer(pose, view), infer(pose, turned(view, h))
    shifts = pose.shifts
    rolled = still.log_weights.unflatten(1, (shifts, 32)).roll(3, dims=2).flatten(1)
    torch.testing.assert_close(moved.log_weights, rolled, atol=0.01, rtol=0)
    torch.testing.assert_close(moved.covariance, still.covariance, atol=0, rtol=0.02)


@ALL
def test_posteriors_are_laws(kind):
    q = infer(KINDS[kind](), seen_at(images()))
    torch.testing.assert_close(q.log_weights.logsumexp(dim=1), torch.zeros(3))
    assert (torch.linalg.eigvalsh(q.covariance) > 0).all()
    torch.testing.assert_close(q.angle_log_density(90).exp().mean(dim=1), torch.ones(3))
    bins = {"unimodal": 1, "attention": 32, "shifts": 5 * 32}[kind]
    assert q.bins.shape == (3, bins, 4)
    assert not q.reflections


def test_bins_cover_shifts_in_the_objects_frame():
    """Within half a bin of the grid that the angle turns."""
    pose = KINDS["shifts"]()
    position = torch.tensor([0.7, 0.1]).expand(3, 2)
    q = infer(pose, seen_at(images(), position))
    bins = q.bins.unflatten(1, (5, 32))
    angle = torch.arange(32) * (2 * math.pi / 32)
    assert (wrapped(bins[..., 1] - angle).abs() <= 0.5 * 2 * math.pi / 32 + 1e-9).all()
    centre = torch.cat([torch.zeros(3, 2), position], dim=1)[:, None, None].expand(3, 5, 32, 4)
    centre = centre.clone()
    centre[..., 1] = angle
    offsets = torch.nn.functional.pad(pose.offsets, (1, 0))[:, None].expand(3, 5, 32, 3)
    away = (bins - retract(centre, offsets))[..., 2:].norm(dim=-1)
    assert away.max() <= 0.5 * math.sqrt(2) + 1e-9


@ALL
def test_the_score_reaches_every_parameter(kind):
    pose = KINDS[kind]()
    d = template(scenes(size=SMALL)).requires_grad_()
    score = pose.score(PoseQuery(seen_at(images()), d, fixed(), PRIOR))
    (score.kl - score.log_likelihood).mean().backward()
    for name, parameter in pose.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert d.grad.abs().sum() > 0


@cache
def whole_evidence(variance: float) -> Tensor:
    """log p(x | c) of the scenes by the rectangle rule over 30 angles and 13^2 shifts."""
    d, x = template(scenes(size=SMALL)), images()
    axis, theta = torch.linspace(-3, 3, 13), torch.arange(30) * (2 * math.pi / 30)
    g = torch.cartesian_prod(torch.zeros(1), theta, axis, axis)
    total = []
    for b in range(3):
        view = seen_at(x[b : b + 1].expand(len(g), -1, -1, -1))
        joint = fixed(variance).log_prob(view, d[b : b + 1].expand(len(g), -1), g)
        total.append((joint + PRIOR.log_prob(g)).logsumexp(0) + math.log(0.25 / 30))
    return torch.stack(total)


@ALL
def test_the_score_is_a_bound_on_the_evidence(kind):
    """E log p - KL <= log p(x | c), the rectangle rule over every pose; also where the posterior is wide."""
    variance = 0.3
    evidence = whole_evidence(variance)
    d, x = (a.repeat_interleave(100, dim=0) for a in (template(scenes(size=SMALL)), images()))
    for width in (0.0, 3.0):  # as it starts, and with the largest scales that the network may give
        pose = KINDS[kind]()
        with torch.no_grad():
            pose.network.head.bias.add_(width)
        with torch.no_grad():
            query = PoseQuery(seen_at(x), d, fixed(variance), PRIOR)
            score = sampled_score(pose.infer(query), query, 4)
        bound = (score.log_likelihood - score.kl).unflatten(0, (3, 100)).mean(dim=1)
        assert (bound < evidence + 0.3).all()


@pytest.mark.parametrize("bins", [1, 3])
def test_the_gradient_is_unbiased(bins):
    """Of a small mixture, against the sum over its bins: within 4 standard errors of 8000 draws."""
    n, size = 4000, 21
    d = template(scenes(1, size=size)).expand(n, -1)
    x = scenes(1, size=size).render(degree_motion(20.0, 0.3, 0.1)).expand(n, -1, -1, -1)
    view, model = space(1, size).look(x, torch.zeros(n, 2)), fixed(0.3)
    where = torch.tensor([[0.0, 0.2, 0.3, 0.1], [0.0, 1.5, 0.0, 0.5], [0.0, 3.0, 0.2, 0.0]])[:bins]
    logits = torch.tensor([0.3, -0.2, 0.4])[:bins]
    log_scale = torch.tensor([-1.5, -1.0, -1.2])

    def leaves() -> list[Tensor]:
        """One copy for each image, so that every draw has a gradient of its own."""
        made = [where.expand(n, -1, -1), logits.expand(n, -1), log_scale.expand(n, -1)]
        return [m.clone().requires_grad_() for m in made]

    def mixture(free: list[Tensor]) -> PosePosterior:
        places, weights, scale = free
        return PosePosterior(places, weights.log_softmax(1), torch.diag_embed((2 * scale).exp()))

    free = leaves()
    score = sampled_score(mixture(free), PoseQuery(view, d, model, PRIOR), draws=2)
    (score.log_likelihood - score.kl).sum().backward()
    exact = leaves()
    q = mixture(exact)
    whole = 0.0
    for k in range(bins):
        for _ in range(2):
            g = q.within(torch.full((n,), k), torch.randn(n, 3))
            value = model.log_prob(view, d, g) - q.log_prob(g) + PRIOR.log_prob(g)
            whole = whole + 0.5 * q.log_weights[:, k].exp() * value
    whole.sum().backward()
    for name, a, b in zip(("bins", "logits", "scale"), free, exact, strict=True):
        mean, expected = a.grad.mean(dim=0), b.grad.mean(dim=0)
        error = 4 * (a.grad.var(dim=0) / n + b.grad.var(dim=0) / n).sqrt() + 1e-9
        assert ((mean - expected).abs() <= error).all(), (name, mean, expected, error)
        if name != "logits" or bins > 1:
            assert (expected.abs() > error).any(), name  # the test can tell it from zero


def test_the_score_function_adds_no_value():
    """The baseline changes gradients, never the estimate; without it the weights get none from p."""
    q = infer(KINDS["attention"](), seen_at(images()))
    d = template(scenes(size=SMALL))
    torch.manual_seed(3)
    score = sampled_score(q, PoseQuery(seen_at(images()), d, fixed(), PRIOR), 3)
    torch.manual_seed(3)
    values = []
    for _ in range(3):
        g = q.within(draw_bins(q.log_weights), torch.randn(3, 3))
        values.append(fixed().log_prob(seen_at(images()), d, g))
    torch.testing.assert_close(score.log_likelihood, torch.stack(values).mean(dim=0))


@ALL
def test_training_on_a_batch_finds_its_poses(kind):
    """The bound rises; the objects stand at angles that the template does not know."""
    pose, model = KINDS[kind](), fixed(0.1)
    g = motion(torch.tensor([0.5, 2.0, -2.0]), dtype=torch.float64)
    x, d = scenes(size=SMALL).render(g), template(scenes(size=SMALL))
    view = seen_at(x)

    def bound() -> Tensor:
        torch.manual_seed(0)
        with torch.no_grad():
            q = pose.infer(PoseQuery(view, d, model, PRIOR))
            score = sampled_score(q, PoseQuery(view, d, model, PRIOR), 64)
        return (score.log_likelihood - score.kl).mean()

    before = bound()
    optimizer = torch.optim.Adam(pose.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        score = pose.score(PoseQuery(view, d, model, PRIOR))
        (score.kl - score.log_likelihood).mean().backward()
        optimizer.step()
    assert bound() > before + 2


@ALL
def test_saved_proposals_come_back(kind):
    pose, other = KINDS[kind](), KINDS[kind]()
    a, b = (infer(p, seen_at(images())) for p in (pose, other))
    assert not torch.equal(a.bins, b.bins)
    other.load_state_dict(pose.state_dict())
    b = infer(other, seen_at(images()))
    assert torch.equal(a.bins, b.bins) and torch.equal(a.log_weights, b.log_weights)


@pytest.mark.parametrize("part", [AttentionPose, UnimodalPose])
def test_one_draw_has_nothing_to_compare_with(part):
    with pytest.raises(ValueError, match="draws must be at least 2, .*; got 1"):
        part(SMALL, draws=1)
