"""PoseVAE: content that ignores pose, poses that move with the image, one bound, and bad images."""

import copy
import math
from functools import cache, partial

import pytest
import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from eqvae.data.batch import Batch
from eqvae.distributions.posed import from_latent, to_latent
from eqvae.distributions.priors import MixtureContent, PosedPrior, VampContent
from eqvae.domains import SquareGrid, pixel_coordinates
from eqvae.models.pose_vae import PoseVAE
from eqvae.nn import CentreOfMass, HarmonicDecoder
from eqvae.pose.amortised import AttentionPose, UnimodalPose
from eqvae.pose.exact import ExactPose
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.template import ContentEncoder, TemplateDecoder
from eqvae.symmetry import PlaneMotions, Representation, compose, inverse, motion
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes, quarter_turns, relative_error
from eqvae.training.checkpoint import load_weights, weights
from tests.cases import basis, draw, move
from tests.pose.scenes import wrapped

SIZE, DEGREE, N = 33, 12, 3
LATENT = Representation((4, 1))
MIRRORED = Representation((4, 1), sign=1)
KINDS = ["exact", "attention", "unimodal", "harmonic", "mirrors"]
ALL = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def made(
    kind: str = "exact",
    channels: int = 1,
    nuisances: dict[str, float] | None = None,
    variance: float = 0.02,
    **settings,
) -> PoseVAE:
    torch.manual_seed(0)
    latent = MIRRORED if kind == "mirrors" else LATENT
    symmetry = PlaneMotions.o2() if kind == "mirrors" else PlaneMotions.so2()
    shared = basis(SIZE, channels, DEGREE), latent
    decoder, extra = TemplateDecoder, {"hidden": 16}
    if kind == "harmonic":
        decoder, extra = HarmonicDecoder, {"hidden": 8, "symmetry": symmetry}
    how = {"attention": AttentionPose, "unimodal": UnimodalPose}
    inference = settings.pop("inference", None)
    if inference is None and kind in how:
        inference = how[kind](shared[0], hidden=8)
    inference = inference or ExactPose(angles=32, fine_angles=64, reflections=kind == "mirrors")
    return PoseVAE(
        ContentEncoder(*shared, symmetry, hidden=8),
        decoder(*shared, **extra),
        settings.pop("prior", None) or PosedPrior(latent),
        TemplateLikelihood(variance, nuisances=nuisances),
        settings.pop("localiser", None) or CentreOfMass(SquareGrid(SIZE), channels),
        inference,
        **settings,
    ).eval()


@cache
def scenes(channels: int = 1) -> GaussianScenes:
    return GaussianScenes(N, seed=1, size=SIZE, channels=channels, dtype=torch.float64)


@cache
@torch.enable_grad()
def trained_state(nuisances: tuple = (), channels: int = 1) -> dict[str, Tensor]:
    """Weights after a few steps on scenes as they are: templates that look like something."""
    torch.set_default_dtype(torch.float64)
    vae = made(channels=channels, nuisances=dict(nuisances)).train()
    optimizer, x = torch.optim.Adam(vae.parameters(), lr=1e-2), scenes(channels).render()
    for _ in range(150):
        optimizer.zero_grad()
        (-vae.score(Batch(x)).elbo.mean()).backward()
        optimizer.step()
    return vae.state_dict()


def trained(channels: int = 1, nuisances: dict[str, float] | None = None, **settings) -> PoseVAE:
    vae = made(channels=channels, nuisances=nuisances, **settings)
    vae.load_state_dict(trained_state(tuple((nuisances or {}).items()), channels))
    return vae


def distance(c: Tensor, still: Tensor) -> float:
    """How far contents moved, in units of how far they lie from each other."""
    return ((c - still).norm() / (still - still.mean(dim=0)).norm()).item()


def inside(g: Tensor) -> Tensor:
    return g.reshape(1, 4).expand(N, 4)


def test_training_explains_the_scenes():
    vae, x = trained(), scenes().render()
    new = made()
    with torch.no_grad():
        assert (
            vae.score(Batch(x), sample=False).elbo > new.score(Batch(x), sample=False).elbo + 100
        ).all()
        again = vae.reconstruct(Batch(x), vae.encode(Batch(x)))
    assert relative_error(again, x) < 0.2


@ALL
@torch.no_grad()
def test_content_is_exactly_invariant_where_pixels_move(kind):
    vae = made(kind)
    x = scenes().render()
    x = torch.where(x > 1e-3, x, 0.0)  # what a shift does not cut
    still = vae.encode(Batch(x)).content
    assert still.loc.std(dim=0).max() > 1e-3  # control: it is not constant
    whole = [(0.0, (2, 1)), (math.pi / 2, (-2, 2)), (math.pi, (1, 0))]
    for angle, shift in whole:
        for mirror in (0.0, 1.0) if kind == "mirrors" else (0.0,):
            g = inside(motion(angle, shift, mirror))
            moved = vae.encode(Batch(move(g, x))).content
            # after refinement at the place that the pose says, to rounding of the prior's pull
            assert relative_error(moved.loc, still.loc) < 1e-3
            direct = vae.content_of(Batch(move(g, x)))[1]
            assert relative_error(direct.loc, vae.content_of(Batch(x))[1].loc) < 1e-5
            assert (direct.log_scale - vae.content_of(Batch(x))[1].log_scale).abs().max() < 1e-5


@ALL
@torch.no_grad()
def test_content_is_nearly_invariant_everywhere(kind):
    vae = made(kind)
    still, errors = vae.content_of(Batch(scenes().render()))[1].loc, []
    group = PlaneMotions.o2() if kind == "mirrors" else PlaneMotions.so2()
    for g in draw(group, 8, shift=1.5):
        errors.append(relative_error(vae.content_of(Batch(scenes().render(g[None])))[1].loc, still))
    assert max(errors) < 0.01
    assert relative_error(still.flip(0), still) > 5 * max(errors)  # control: other objects


@torch.no_grad()
def test_mirrors_are_another_object_without_reflections():
    mirror = scenes().render(motion(reflection=1.0))
    vae = made()
    still = vae.content_of(Batch(scenes().render()))[1].loc
    assert distance(vae.content_of(Batch(mirror))[1].loc, still) > 0.1


@torch.no_grad()
def test_poses_move_with_the_image():
    """Of a trained model whose templates have a direction, at exact and at other motions."""
    vae, x = trained(), scenes().render()
    still = vae.encode(Batch(x)).pose.mode
    for g, degrees, pixels in (
        (motion(math.pi / 2), 0.01, 1e-3),
        (motion(math.pi), 0.01, 1e-3),
        (motion(0.4, (0.7, -0.3)), 6.0, 0.05),
    ):
        moved = vae.encode(Batch(scenes().render(g))).pose.mode
        expected = compose(inside(g), still)
        assert wrapped(moved[:, 1] - expected[:, 1]).abs().max() < math.radians(degrees)
        assert (moved[:, 2:] - expected[:, 2:]).abs().max() < pixels


@ALL
@torch.no_grad()
def test_the_elbo_of_moved_scenes_hardly_changes(kind):
    vae = made(kind)
    values = {}
    group = PlaneMotions.o2() if kind == "mirrors" else PlaneMotions.so2()
    motions = torch.cat([motion(), quarter_turns()[1:], draw(group, 4, shift=0.0)])
    for k, g in enumerate(motions):
        torch.manual_seed(0)
        values[k] = vae.score(Batch(scenes().render(g[None].double())), sample=False).elbo
    change = torch.stack([(values[k] - values[0]).abs() for k in range(1, len(motions))])
    if kind in (
        "attention",
        "unimodal",
    ):  # one draw of the pose: the same draw, of a posterior that turned
        assert (change / values[0].abs()).max() < 0.05
    else:
        assert change[:3].max() < 0.05 and (change / values[0].abs()).max() < 0.01


@ALL
@torch.no_grad()
def test_the_decoder_moves_with_its_latents(kind):
    """D(g z) = g D(z), exactly, at any point of the plane."""
    vae = made(kind)
    latent = vae.representation
    z, points = vae.prior.sample(6), 4 * torch.randn(6, 30, 2)
    g = draw(PlaneMotions.o2() if kind == "mirrors" else PlaneMotions.so2(), 6)
    moved = vae.decoder.render(latent.act(g, z), points)
    expected = vae.decoder.render(z, apply(inverse(g), points))
    tolerance = 1e-3 if kind == "harmonic" else 1e-10  # SiLU on the circle aliases
    assert relative_error(moved, expected) < tolerance
    assert relative_error(moved, vae.decoder.render(z, points)) > 0.1  # control
    pixels = pixel_coordinates(SIZE, SIZE).reshape(1, -1, 2).expand(6, -1, -1)
    torch.testing.assert_close(vae.decoder.render(z, pixels), vae.decode(z).flatten(2))
    content, pose = from_latent(latent, z)
    d = vae.space.turn(vae.template(content), pose[:, 1], pose[:, 0])
    templates = vae.space.synthesise(d, pose[:, 2:])  # what training compares with images
    assert relative_error(templates, vae.decode(z)) < tolerance


@ALL
def test_the_gradient_reaches_every_parameter(kind):
    vae = made(kind, nuisances={"intensity": 0.1}).train()
    (-vae.score(Batch(scenes().render())).elbo.mean()).backward()
    for name, parameter in vae.named_parameters():
        if parameter.numel():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("content", [MixtureContent, VampContent])
def test_other_priors_train(content):
    settings = {"harmonics": basis(SIZE, degree=DEGREE)} if content is VampContent else {}
    prior = PosedPrior(LATENT, content(4, components=3, **settings))
    vae, x = made(prior=prior).train(), scenes().render().repeat(4, 1, 1, 1)
    with torch.no_grad():
        prior.content.start(*vae.content_of(Batch(x + 0.1 * torch.randn_like(x))), seed=0)
    (-vae.score(Batch(x)).elbo.mean()).backward()
    assert all(p.grad.abs().sum() > 0 for p in prior.content.parameters())
    copied = copy.deepcopy(vae)
    if content is VampContent:  # the copy's prior sees through the copy's encoder
        assert copied.prior.content.__dict__["encoder"] is copied.encoder
        assert not any(name.startswith("prior.content.encoder") for name in vae.state_dict())
    torch.testing.assert_close(
        copied.eval().score(Batch(x), sample=False).elbo,
        vae.eval().score(Batch(x), sample=False).elbo,
    )


@ALL
def test_saved_weights_give_equal_output(kind):
    vae, other, x = made(kind), made(kind), scenes().render()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert not torch.equal(vae.content_of(Batch(x))[1].loc, other.content_of(Batch(x))[1].loc)
    load_weights(other, weights(vae))
    with torch.no_grad():
        outputs = []
        for model in (vae, other):
            torch.manual_seed(0)
            outputs.append(model.score(Batch(x), sample=False))
        assert torch.equal(outputs[0].elbo, outputs[1].elbo)
        again = [m.reconstruct(Batch(x), m.encode(Batch(x))) for m in (vae, other)]
        assert torch.equal(*again)
        torch.manual_seed(0)
        assert torch.equal(vae.train().score(Batch(x), sample=False).elbo, outputs[0].elbo)


@torch.no_grad()
def test_the_elbo_is_below_the_importance_weighted_bound():
    """log mean p(x, z) / q(z | x) of 500 draws, with a tighter bound for more of them."""
    vae, x = trained(variance=0.3), scenes().render()
    vae.likelihood.log_variance.fill_(math.log(0.3))
    q = vae.encode(Batch(x))
    ratios = []
    for _ in range(300):
        z = q.rsample()
        ratios.append(vae.log_prob(Batch(x), z) + vae.prior.log_prob(z) - q.log_prob(z))
    ratios = torch.stack(ratios)
    bound = ratios.logsumexp(dim=0) - math.log(len(ratios))
    elbo = torch.stack([vae.score(Batch(x)).elbo for _ in range(30)]).mean(dim=0)
    assert (elbo < bound + 0.3).all()
    assert (ratios.mean(dim=0) < bound).all()
    assert (elbo > bound - 10).all()  # control: it is no empty statement


@torch.no_grad()
def test_log_prob_of_latents_is_the_dense_gaussian():
    nuisances = {"intensity": 0.2, "scale": 0.1}
    vae, x = made("mirrors", nuisances=nuisances, variance=0.05), scenes().render()
    for parameter in vae.decoder.parameters():
        parameter.mul_(1.5)  # templates that are not nearly zero
    z = vae.prior.sample(N)
    z[:, :2] *= 0.2
    content, g = from_latent(MIRRORED, z)
    d = vae.template(content)

    def pixels(v: Tensor) -> Tensor:
        return vae.space.synthesise(vae.space.turn(v, g[:, 1], g[:, 0]), g[:, 2:]).flatten(1)

    torch.testing.assert_close(pixels(d), vae.decode(z).flatten(1))
    spread = [s * pixels(vae.space.derivative(d, name)) for name, s in nuisances.items()]
    dense = LowRankMultivariateNormal(
        pixels(d), torch.stack(spread, dim=2), vae.likelihood.variance.expand(N, SIZE**2)
    )
    torch.testing.assert_close(
        vae.log_prob(Batch(x), z), dense.log_prob(x.flatten(1)), atol=0.2, rtol=0
    )
    other = vae.log_prob(Batch(x), MIRRORED.act(motion(1.0, (1.0, 0.0)).expand(N, 4), z))
    assert (other - vae.log_prob(Batch(x), z)).abs().max() > 0.4  # control


def blurred(vae: PoseVAE, x: Tensor, width: float = 1.0) -> tuple[Tensor, Tensor]:
    """Images seen through a Gaussian, by Fourier transform, and its transfer function."""
    k = 2 * math.pi * torch.fft.fftfreq(SIZE)
    radial = torch.exp(-0.5 * width**2 * (k[:, None] ** 2 + k**2))
    transfer = torch.exp(-0.5 * width**2 * torch.linspace(0, math.pi, 128) ** 2)
    return torch.fft.ifft2(torch.fft.fft2(x) * radial).real, transfer.expand(len(x), -1)


@torch.no_grad()
def test_known_optics_change_little():
    """Content, pose and template of blurred images, if the blur is told; not, if it isn't."""
    vae, x = trained(), scenes().render()
    y, transfer = blurred(vae, x, width=0.7)
    perfect = torch.ones_like(transfer)
    sharp = vae.encode(Batch(x, transfer=perfect))  # the Wiener filter stands before both
    told, untold = vae.encode(Batch(y, transfer=transfer)), vae.encode(Batch(y))
    known = (told.content.loc - sharp.content.loc).norm(dim=1).max()
    unknown = (untold.content.loc - vae.encode(Batch(x)).content.loc).norm(dim=1).max()
    assert known < 0.4 * unknown
    assert wrapped(told.pose.mode[:, 1] - sharp.pose.mode[:, 1]).abs().max() < math.radians(6)
    assert (told.pose.mode[:, 2:] - sharp.pose.mode[:, 2:]).abs().max() < 0.05
    z = sharp.mode
    assert (vae.log_prob(Batch(y, transfer=transfer), z) > vae.log_prob(Batch(y), z)).all()
    # the image that it predicts is blurred
    assert relative_error(vae.reconstruct(Batch(y, transfer=transfer), sharp), y) < 0.2
    assert (vae.reconstruct(Batch(y, transfer=transfer), sharp) - y).norm() < (
        vae.reconstruct(Batch(y), sharp) - y
    ).norm()


@pytest.mark.parametrize("sign", [1.0, -0.3], ids=["blur", "inverted"])
@torch.no_grad()
def test_a_camera_background_is_not_filtered(sign):
    """The reconstruction at known optics has the image's own grey, whatever they do to the object."""
    vae = trained(nuisances={"background": 0.5})
    x = scenes().render()
    y, transfer = blurred(vae, x)
    y, transfer = sign * y, sign * transfer
    q = vae.encode(Batch(x))

    def shown(images: Tensor, transfer: Tensor | None) -> Tensor:
        return vae.reconstruct(Batch(images, transfer=transfer), q)

    grey = shown(y + 0.4, transfer) - shown(y, transfer)
    torch.testing.assert_close(grey, torch.full_like(grey, 0.4), atol=0.02, rtol=0)
    plain = shown(y + 0.4, None) - shown(y, None)
    torch.testing.assert_close(plain, torch.full_like(plain, 0.4), atol=0.02, rtol=0)


@pytest.mark.parametrize("optics", [False, True], ids=["no optics", "optics"])
@torch.no_grad()
def test_content_ignores_a_background_that_may_vary(optics):
    localiser = _Middle()
    vae = trained(nuisances={"background": 0.5}, localiser=localiser)
    x = scenes().render()
    transfer = blurred(vae, x)[1] if optics else None
    dark = vae.content_of(Batch(x, transfer=transfer))[1].loc
    lit = vae.content_of(Batch(x + 0.3, transfer=transfer))[1].loc
    fixed = trained(localiser=localiser)
    other = relative_error(
        fixed.content_of(Batch(x + 0.3, transfer=transfer))[1].loc,
        fixed.content_of(Batch(x, transfer=transfer))[1].loc,
    )
    error = relative_error(lit, dark)
    assert error < 0.05
    assert other > 3 * error  # control: a model that knows no background


class _Middle(torch.nn.Module):
    """The image centre."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 2)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_colour_is_served(kind):
    vae, x = made(kind, channels=3), scenes(3).render()
    q = vae.encode(Batch(x))
    assert vae.reconstruct(Batch(x), q).shape == x.shape
    assert vae.score(Batch(x)).elbo.shape == (N,)
    assert q.rsample().shape == (N, vae.representation.dim)
    assert vae.sample(2).shape == (2, 3, SIZE, SIZE)
    moved = vae.content_of(Batch(move(inside(motion(math.pi / 2)), x)))[1].loc
    assert relative_error(moved, vae.content_of(Batch(x))[1].loc) < 1e-5
    swapped = vae.content_of(Batch(x.flip(1)))[1].loc
    assert distance(swapped, vae.content_of(Batch(x))[1].loc) > 0.1  # control


def bad_images() -> dict[str, Tensor]:
    scene = scenes()
    points = pixel_coordinates(SIZE, SIZE)
    radius = points.norm(dim=-1)
    whole = scene.render()
    hot = whole.clone()
    hot[:, :, 4, 27] = 20.0
    disc = ((6 - radius) / 1.5).sigmoid().expand(N, 1, -1, -1)
    return {
        "cut": scene.render(motion(0.3, (14.0, 9.0))),
        "gone": scene.render(motion(0.0, (60.0, 0.0))),
        "empty": torch.zeros_like(whole),
        "constant": torch.full_like(whole, 0.7),
        "two": scene.render(motion(0.0, (7.0, 0.0))) + scene.render(motion(1.0, (-7.0, 2.0))),
        "hot": hot,
        "disc": disc.clone(),
        "noise": torch.randn_like(whole),
        "negative": -whole,
    }


BAD = ["cut", "gone", "empty", "constant", "two", "hot", "disc", "noise", "negative"]


@pytest.mark.parametrize(
    "nuisances", [{}, {"intensity": 0.2, "background": 0.2}], ids=["plain", "free"]
)
@pytest.mark.parametrize("name", BAD)
def test_bad_images_give_numbers(name, nuisances):
    """No NaN in what training and users read, and a gradient that can be used."""
    inference = ExactPose(angles=32, fine_angles=64, reach=2.0)
    vae = trained(nuisances=nuisances, inference=inference)
    x = bad_images()[name]
    output = vae.train().score(Batch(x))
    (-output.elbo.mean()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in vae.parameters())
    with torch.no_grad():
        q = vae.eval().encode(Batch(x))
        numbers = (
            output.elbo,
            output.squared_error,
            vae.reconstruct(Batch(x), q),
            q.mode,
            q.log_prob(q.mode),
            q.position_scale,
            q.angle_log_density(),
            vae.log_prob(Batch(x), q.mode),
        )
    assert all(n.isfinite().all() for n in numbers)
    assert (q.pose.mode[:, 2:].abs() < SIZE).all()


@pytest.mark.parametrize("kind", ["attention", "unimodal"])
@pytest.mark.parametrize("name", BAD)
def test_bad_images_give_numbers_to_networks(name, kind):
    vae = made(kind)
    batch = Batch(bad_images()[name])
    q = vae.encode(batch)
    assert vae.score(batch).elbo.isfinite().all()
    assert vae.reconstruct(batch, q).isfinite().all()
    assert q.log_prob(q.rsample()).isfinite().all()


@pytest.mark.parametrize("name", ["empty", "constant", "gone"])
@pytest.mark.parametrize("reach", [0.0, 2.0])
@torch.no_grad()
def test_of_nothing_the_pose_is_unknown(name, reach):
    """The trained model says so; of its own scenes it knows the angle."""
    inference = ExactPose(angles=32, fine_angles=64, reach=reach, kept=10**6)
    vae = trained(nuisances={"background": 0.5, "intensity": 0.5}, inference=inference)
    q = vae.encode(Batch(bad_images()[name])).pose
    assert (q.credible_angles() > 0.8 * 360).all()
    assert q.symmetry_order().tolist() == [0] * N
    known = vae.encode(Batch(scenes().render())).pose
    assert known.credible_angles().max() < 150  # control


class _Fixed(torch.nn.Module):
    """Draws one object, whatever the content."""

    def __init__(self, other: TemplateDecoder, coefficients: Tensor):
        super().__init__()
        self.representation, self.harmonics = other.representation, other.harmonics
        self.coefficients = coefficients

    def template(self, content: Tensor) -> Tensor:
        return self.coefficients.expand(len(content), -1, -1)


@pytest.mark.parametrize("offset", [0.0, 0.4])
@torch.no_grad()
def test_symmetry_is_seen_about_any_origin(offset):
    """An object of C_2 whose template has its origin beside the centre: two places, two angles."""
    vae = made(variance=1e-3)
    space, still = vae.space, torch.zeros(1, 2)
    away = pixel_coordinates(SIZE, SIZE) - torch.tensor([3.0, 0.0])
    blob = torch.exp(-away.square().sum(dim=-1) / (2 * 2.0**2))[None, None]
    d = space.analyse(blob + blob.flip(-1), still)
    beside = space.analyse(space.synthesise(d, still), torch.tensor([[offset, 0.0]]))
    vae.decoder = _Fixed(vae.decoder, space.coefficients(beside))
    x = space.synthesise(space.turn(d, torch.full((1,), 0.3)), torch.tensor([[0.2, -0.3]]))
    for refinements in (1, 2, 3):
        vae.refinements = refinements
        assert vae.encode(Batch(x)).pose.symmetry_order().tolist() == [2]


@torch.no_grad()
def test_a_given_noise_gives_a_given_elbo():
    vae, x = trained(), scenes().render()
    zero = torch.zeros(N, LATENT.dim)
    torch.testing.assert_close(vae.elbo(Batch(x), zero), vae.score(Batch(x), sample=False).elbo)
    noise = torch.randn(N, LATENT.dim)
    assert torch.equal(vae.elbo(Batch(x), noise), vae.elbo(Batch(x), noise))
    assert not torch.equal(vae.elbo(Batch(x), noise), vae.elbo(Batch(x), zero))
    draws = torch.stack([vae.elbo(Batch(x), torch.randn(N, LATENT.dim)) for _ in range(30)])
    again = torch.stack([vae.score(Batch(x)).elbo for _ in range(30)])
    error = 4 * (draws.var(dim=0) / 30 + again.var(dim=0) / 30).sqrt()
    assert ((draws.mean(dim=0) - again.mean(dim=0)).abs() < error).all()


@torch.no_grad()
def test_more_passes_find_what_the_localiser_missed():
    """A localiser that is wrong by 1.5 pixels: a second pass sees the object from nearly its place."""

    class Off(CentreOfMass):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.tensor([1.1, -1.0])

    x, inference = scenes().render(), ExactPose(angles=32, fine_angles=64, reach=2.0)

    def bound(localiser: CentreOfMass, passes: int) -> Tensor:
        vae = trained(localiser=localiser, inference=inference, passes=passes)
        return vae.score(Batch(x), sample=False).elbo

    right = bound(CentreOfMass(SquareGrid(SIZE)), 3)
    torch.testing.assert_close(bound(Off(SquareGrid(SIZE)), 3), right, atol=0.05, rtol=0)
    assert (bound(Off(SquareGrid(SIZE)), 1) - right).abs().max() > 0.5  # control


@torch.no_grad()
def test_moving_an_image_through_its_latent():
    vae, x = trained(), scenes().render()
    g = motion(math.pi / 2)
    moved = vae.transform(inside(g), Batch(x))
    assert relative_error(moved, move(inside(g), vae.decode(vae.encode(Batch(x)).mode))) < 1e-6
    z = to_latent(LATENT, torch.randn(N, 4), draw(PlaneMotions.so2(), N))
    content, pose = from_latent(LATENT, z)
    torch.testing.assert_close(to_latent(LATENT, content, pose), z)


def rejected(message: str, **settings) -> None:
    with pytest.raises(ValueError, match=message):
        made(**settings)


def test_parts_that_do_not_fit_are_refused():
    rejected("passes and refinements must be at least 1; got 0 and 2", passes=0)
    rejected("passes and refinements must be at least 1; got 1 and 0", refinements=0)
    rejected("inference.reflections must be True for a latent with sign=1; got False",
             kind="mirrors", inference=ExactPose())  # fmt: skip
    rejected("inference.reflections must be False for a latent with sign=0; got True",
             inference=ExactPose(reflections=True))  # fmt: skip
    unimodal = UnimodalPose(basis(SIZE, degree=DEGREE))
    rejected("must be True .* got False", kind="mirrors", inference=unimodal)
    rejected("encoder and inference must share one basis", inference=UnimodalPose(basis(SIZE)))
    rejected("share one representation", prior=PosedPrior(Representation((5, 1))))
    encoder = ContentEncoder(basis(SIZE, degree=10), LATENT, PlaneMotions.so2(), hidden=8)
    with pytest.raises(
        ValueError, match="share one basis; got .*degree=10,.* and .*degree=12,.*same harmonics"
    ):
        PoseVAE(encoder, TemplateDecoder(basis(SIZE, degree=12), LATENT), PosedPrior(LATENT),
                TemplateLikelihood(), CentreOfMass(SquareGrid(SIZE)), ExactPose())  # fmt: skip
    with pytest.raises(ValueError, match=r"symmetry must be SO\(2\) or O\(2\) .* got C8"):
        ContentEncoder(basis(SIZE), LATENT, PlaneMotions.cyclic(8))
    with pytest.raises(ValueError, match="Choose latent=pose and set latent.sign=1"):
        ContentEncoder(basis(SIZE), LATENT, PlaneMotions.o2())
    for part in (partial(ContentEncoder, symmetry=PlaneMotions.so2()), TemplateDecoder):
        with pytest.raises(ValueError, match=r"got multiplicities=\[4, 2\]"):
            part(basis(SIZE), Representation((4, 2)))
