"""Priors of whole latents: fitted, evaluated, described and built again, in float64."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.config import build
from eqvae.distributions import ContentPosterior, GaussianPosterior, PosedPosterior, PosePosterior
from eqvae.distributions.orbit import (
    OrbitFit,
    OrbitPosedPrior,
    OrbitPrior,
    OrbitReader,
    TemplateFrames,
    Templates,
)
from eqvae.distributions.orbit.frames import NEAR
from eqvae.distributions.posed import to_latent
from eqvae.symmetry import PlaneMotions, Representation, angle_of
from eqvae.symmetry.motions import inverse, motion
from tests.cases import BY_NAME, draw
from tests.distributions.orbit.planted import O2, SO2, TRIVIAL, motions, planted, seeded

LATENT = Representation((2, 2, 1))
SCALED = Representation((2, 1), scale=True)
LATENTS = [
    LATENT,
    Representation((0, 1, 1), sign=1),
    Representation((2, 1), position=False),
    SCALED,
]
GROUPS = [SO2, O2, PlaneMotions.cyclic(8), TRIVIAL]
EVERY_LATENT = pytest.mark.parametrize("latent", LATENTS, ids=str)
EVERY_GROUP = pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)


@torch.no_grad()
def made(
    latent: Representation = LATENT, symmetry: PlaneMotions = SO2, rank: int = 1
) -> OrbitPrior:
    """A planted prior, positions about 4 pixels from the centre."""
    prior = OrbitPrior(latent, symmetry, 2, rank, 128, rings=2).double().requires_grad_(False)
    prior.mixture = planted(latent.vector, symmetry, 2, rank, distance=1.5, scale=0.5, angles=128)
    if latent.position:
        prior.place.loc.copy_(torch.tensor([[4.0, 0.0], [0.5, 0.5]]))
        prior.place.log_scale.fill_(0.3)
        prior.scale[latent.slices.position] = 4.0
    if latent.scale:
        prior.size.mean.fill_(0.1)
        prior.size.width.fill_(0.3)
    return prior


def about(z: Tensor, latent: Representation = LATENT, scale: float = 0.2) -> GaussianPosterior:
    log_scale = torch.full((len(z), latent.num_copies), math.log(scale)).to(z)
    return GaussianPosterior(latent, z, log_scale)


@EVERY_LATENT
@EVERY_GROUP
def test_the_density_is_that_of_its_parts_and_motions_about_the_centre_leave_it_alone(
    latent, symmetry
):
    prior = made(latent, symmetry)
    z = prior.sample(20, seeded())
    parts = prior.mixture.log_prob(z[:, latent.slices.vector])
    if latent.position:
        parts = parts + prior.place.log_prob(z[:, latent.slices.position])
    if latent.scale:
        width = torch.tensor(0.3, dtype=torch.float64)
        size = torch.distributions.Normal(torch.tensor(0.1, dtype=torch.float64), width)
        parts = parts + size.log_prob(z[:, latent.slices.scale.start])
    torch.testing.assert_close(prior.log_prob(z), parts)
    g = motions(symmetry, 20)
    torch.testing.assert_close(
        prior.log_prob(latent.act(g, z)), prior.log_prob(z), rtol=1e-6, atol=1e-6
    )
    if latent.position:  # control: no prior is unchanged by shifts
        shifted = prior.log_prob(latent.act(motion(shift=(9.0, 0.0)).double().expand(20, 4), z))
        assert (shifted - prior.log_prob(z)).abs().max() > 1


def test_positions_depend_on_their_distance_alone():
    prior, radius = made(), torch.tensor([0.1, 2.0, 4.0, 8.0]).double()
    angle = 2 * math.pi * torch.rand(50, 1, dtype=torch.float64)
    t = torch.stack([radius * angle.cos(), radius * angle.sin()], 2)  # (50, 4, 2)
    found = prior.place.log_prob(t.flatten(0, 1)).unflatten(0, (50, 4))
    assert (found - found[0]).abs().max() < 1e-9
    assert found[0].std() > 1  # control: not on the distance too


@EVERY_LATENT
@EVERY_GROUP
def test_blocks_of_the_kl_are_the_difference_of_entropies(latent, symmetry):
    """Of draws z: the sum is -entropy - log p(z), block by block in the latent's own names."""
    prior = made(latent, symmetry)
    q = about(prior.sample(30, seeded()), latent)
    z = q.rsample(seeded(1))
    kl = prior.kl(q, z)
    assert list(kl) == [block.name for block in latent.blocks]
    entropy = sum(q.entropy_by_block().values())
    torch.testing.assert_close(sum(kl.values()), -entropy - prior.log_prob(z))
    white = torch.distributions.Normal(q.loc, q.scale)
    torch.testing.assert_close(entropy, white.entropy().sum(1))


@EVERY_GROUP
def test_the_kl_of_draws_is_not_negative_on_average(symmetry):
    """KL(q || p) >= 0 of one q from many draws, to five standard errors; and large far from the prior."""
    prior, n = made(symmetry=symmetry), 1500
    for centre in prior.sample(3, seeded()):
        q = about(centre.expand(n, -1), scale=0.6)
        kl = sum(prior.kl(q, q.rsample(seeded(2))).values())
        assert kl.mean() > -5 * kl.std() / math.sqrt(n)
    far = about(centre.expand(n, -1) + 20)
    assert sum(prior.kl(far, far.rsample(seeded(2))).values()).mean() > 50


def test_the_mean_kl_of_a_perfect_prior_is_the_information():
    """Where posteriors of all images together are the prior, E KL = I(x; z) = H(z) - H(z | x)."""
    latent = Representation((2,), position=False)
    prior = made(latent, TRIVIAL, rank=0)
    with torch.no_grad():
        prior.mixture.loc.zero_()
        prior.mixture.log_scale.zero_()
    n, scale = 4000, 0.5
    loc = math.sqrt(1 - scale**2) * torch.randn(n, 2, dtype=torch.float64)
    q = about(loc, latent, scale)
    kl = sum(prior.kl(q, q.rsample(seeded(1))).values())
    assert abs(kl.mean() + 2 * math.log(scale)) < 5 * kl.std() / math.sqrt(n)


@pytest.mark.parametrize("symmetry", [SO2, O2], **BY_NAME)
def test_a_fitted_prior_is_likelier_than_a_normal_one_and_turns_with_the_data(symmetry):
    truth = made(symmetry=symmetry)
    q, held_out, test = (about(truth.sample(n, seeded(i))) for i, n in enumerate((600, 200, 200)))
    prior = OrbitPrior.fitted(q, held_out, [symmetry], OrbitFit(3, 1))
    z = test.rsample(seeded(7))
    fitted = prior.log_prob(z)
    normal = torch.distributions.Normal(0.0, q.loc.std(0)).log_prob(z).sum(1)
    assert fitted.mean() > normal.mean() + 0.5
    torch.testing.assert_close(
        prior.log_prob(LATENT.act(motions(symmetry, 200), z)), fitted, rtol=0, atol=1e-3
    )
    place = q.loc[:, LATENT.slices.position].square().mean().sqrt()
    assert abs(float(prior.scale[0] / place) - 1) < 0.05 and prior.scale[2:].eq(1).all()
    distance = prior.sample(2000, seeded())[:, LATENT.slices.position].norm(dim=1)
    seen = q.loc[:, LATENT.slices.position].norm(dim=1)
    assert abs(distance.mean() - seen.mean()) < 0.1 * seen.mean()
    assert isinstance(prior.reader, OrbitReader) and prior.reader.mixture is prior.mixture


def test_centres_and_draws_stand_upright_in_the_middle():
    prior = made()
    k = torch.arange(200) % 2
    z = prior.draw_upright(k, seeded())
    assert torch.equal(z[:, :2], torch.zeros(200, 2, dtype=torch.float64))
    assert torch.equal(prior.draw_upright(k, seeded(), temperature=0.0), prior.centres()[k])
    assert (prior.mixture.cluster_log_prob(z[:, 2:]).argmax(1) == k).double().mean() > 0.9
    torch.testing.assert_close(prior.weights.sum(), torch.ones(()).double())
    narrow, wide = (prior.draw_upright(k, seeded(), temperature=t).std(0)[2:] for t in (0.1, 4.0))
    assert (narrow < wide).all()


def rebuilt(prior: torch.nn.Module) -> torch.nn.Module:
    other = build(prior.description(), path="prior", constructors_only=True).double()
    other.load_state_dict(prior.state_dict())
    return other


@EVERY_LATENT
@EVERY_GROUP
@pytest.mark.parametrize("rank", [0, 2])
def test_the_description_builds_an_equal_prior(latent, symmetry, rank):
    prior = made(latent, symmetry, rank)
    other, z = rebuilt(prior), prior.sample(10, seeded())
    assert torch.equal(other.log_prob(z), prior.log_prob(z))
    assert torch.equal(other.sample(5, seeded()), prior.sample(5, seeded()))
    assert torch.equal(other.scale, prior.scale) and other.representation == latent
    assert other.description() == prior.description()


# content and pose apart

POSED = Representation((3, 1))
TEMPLATE = Representation((1, 1, 1), position=False)


def posed(content: Tensor, seed: int = 0) -> PosedPosterior:
    """Contents known to 0.1, each at a pose of its own."""
    n = len(content)
    bins = draw(SO2, n, seed)[:, None]
    covariance = torch.diag(torch.tensor([0.1, 0.5, 0.5]).double().square()).expand(n, 3, 3)
    pose = PosePosterior(bins, torch.zeros(n, 1).double(), covariance)
    return PosedPosterior(
        POSED, ContentPosterior(content, torch.full_like(content, math.log(0.1))), pose
    )


def contents(n: int, seed: int = 0) -> Tensor:
    centres = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 1.0, 0.0], [0.0, -3.0, 1.0]]).double()
    noise = torch.randn(n, 3, generator=seeded(seed), dtype=torch.float64)
    return centres[torch.arange(n) % 3] + 0.3 * noise


def drifting() -> Templates:
    """Templates that point wherever the content says: the frame drifts with the content."""

    def drawn(c: Tensor) -> Tensor:
        upright = torch.tensor([1.0, 2.0, 0.3, 1.0, 0.5]).double().expand(len(c), 5)
        return TEMPLATE.act(motion(c[:, 1], dtype=c.dtype), upright)

    return Templates(TEMPLATE, SO2, drawn)


def fitted(components: int = 3) -> OrbitPosedPrior:
    q, held_out = posed(contents(300)), posed(contents(90, 5), 1)
    return OrbitPosedPrior.fitted(q, held_out, OrbitFit(components, 1), drifting())


def test_a_posed_prior_knows_contents_and_the_extent_of_positions():
    prior, q = fitted(), posed(contents(300))
    c = contents(90, 6)
    z = to_latent(POSED, c, draw(SO2, 90, 3))
    fresh = OrbitPosedPrior(POSED).double()
    assert prior.log_prob(z).mean() > fresh.log_prob(z).mean() + 1
    turned = POSED.act(motions(SO2, 90), z)
    torch.testing.assert_close(prior.log_prob(turned), prior.log_prob(z))
    place = q.mode[:, POSED.slices.position].square().mean().sqrt()
    assert prior.pose.position_scale == pytest.approx(float(place))
    kinds = prior.kinds(c)
    assert torch.equal(kinds.argmax(1)[:3], kinds.argmax(1).reshape(-1, 3).mode(0).values)
    centres = prior.centres()
    assert centres.shape == (3, POSED.dim) and torch.equal(
        centres[:, :2], torch.zeros(3, 2).double()
    )
    k = torch.arange(30) % 3
    upright = prior.draw_upright(k, seeded())
    assert torch.equal(upright[:, POSED.slices.frame], centres[k][:, POSED.slices.frame])
    assert torch.equal(prior.kinds(upright[:, POSED.slices.content]).argmax(1), k)


def test_the_kl_of_content_is_that_of_its_mixture():
    prior, q = fitted(), posed(contents(2000, 8))
    kl = prior.kl(q)
    assert tuple(kl) == prior.blocks
    c = q.content.rsample()
    expected = (q.content.log_prob(c) - prior.content.log_prob(c)).mean()
    assert abs(kl[prior.blocks[0]].mean() - expected) < 0.2 and expected > 0


def test_the_description_of_a_posed_prior_builds_an_equal_one():
    for prior in (fitted(), OrbitPosedPrior(POSED, 4, 2, 3.0).double()):
        other, z = rebuilt(prior), prior.sample(10, seeded())
        assert torch.equal(other.log_prob(z), prior.log_prob(z))
        assert other.description() == prior.description()
        assert (other.frames is None) == (prior.frames is None)
    prior = fitted()
    assert torch.equal(rebuilt(prior).frames.turn, prior.frames.turn)
    assert torch.equal(rebuilt(prior).frames.scale, prior.frames.scale)


def test_frames_bring_templates_of_drifting_contents_upright():
    """All templates are one object turned by its content: kinds stand alike, and their drift is told."""
    prior, c = fitted(), contents(300, 9)
    kind, frames = prior.kinds(c).argmax(1), prior.frames
    assert isinstance(frames, TemplateFrames)
    turn = torch.exp(1j * (angle_of(inverse(frames.turn[kind])) - c[:, 1]))
    kinds = torch.stack([turn[kind == k].mean() for k in range(3)])
    assert torch.angle(kinds / kinds.mean()).abs().max() < 0.1
    before = torch.exp(-1j * c[:, 1])
    assert before.mean().abs() < 0.5  # control: the decoder draws them anyhow
    left = torch.angle(turn / turn.mean())
    near = left.abs() < NEAR  # what is farther is taken for a symmetry
    assert float(left[near].std() / frames.scale.mean()) == pytest.approx(1, abs=0.3)
