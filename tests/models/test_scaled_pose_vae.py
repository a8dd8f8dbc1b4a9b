"""PoseVAE with a scale: content ignores it, poses grow with images, and drawings with poses."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.posed import from_latent, to_latent
from eqvae.distributions.priors import PosedPrior
from eqvae.domains import SquareGrid, pixel_coordinates
from eqvae.models.pose_vae import PoseVAE
from eqvae.nn import CentreOfMass
from eqvae.pose.exact import ExactPose
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.template import ContentEncoder, TemplateDecoder
from eqvae.symmetry import (
    PlaneMotions,
    Representation,
    Similarities,
    compose,
    inverse,
    log_scale_of,
    motion,
)
from eqvae.symmetry.motions import apply
from eqvae.testing import GaussianScenes, relative_error
from tests.cases import basis, draw
from tests.pose.scenes import wrapped

SIZE, N = 41, 3
SIM2 = Similarities(scales=(0.8, 1.25))
LATENT = Representation((4, 1), scale=True)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def made(symmetry: PlaneMotions = SIM2, latent: Representation = LATENT, **settings) -> PoseVAE:
    torch.manual_seed(0)
    shared = basis(SIZE, degree=9, radius=7.0), latent  # three standard deviations of the scenes
    return PoseVAE(
        ContentEncoder(*shared, symmetry, hidden=8),
        TemplateDecoder(*shared, hidden=16),
        PosedPrior(latent),
        TemplateLikelihood(0.02, nuisances=settings.pop("nuisances", None)),
        CentreOfMass(SquareGrid(SIZE)),
        settings.pop("inference", None) or ExactPose(32, 64, symmetry=symmetry),
        **settings,
    ).eval()


def images(g: Tensor | None = None) -> Batch:
    return Batch(GaussianScenes(N, seed=1, size=SIZE, width=2.0).render(g))


def test_content_ignores_scale_and_the_pose_grows_with_the_image():
    h = motion(0.7, (1.5, -1.0), log_scale=math.log(1.25)).expand(N, 5)
    vae = made(refinements=1)  # from where the moments see it: what is drawn is not trained yet
    still, moved = vae.encode(images()), vae.encode(images(h[:1]))
    error = relative_error(moved.content.loc, still.content.loc)
    others = relative_error(still.content.loc.roll(1, 0), still.content.loc)
    print(error, others)
    assert error < 0.005 and others > 10 * error
    off = compose(inverse(compose(h, still.pose.mode)), moved.pose.mode)
    print(off)
    assert wrapped(off[:, 1]).abs().max() < math.radians(1)
    assert off[:, 2:4].abs().max() < 0.05 and off[:, 4].abs().max() < 0.01
    assert (log_scale_of(moved.pose.mode) - log_scale_of(still.pose.mode)).min() > 0.2  # control
    flat = made(
        PlaneMotions.so2(), Representation((4, 1))
    )  # control: without a scale it is content
    ignored = relative_error(
        flat.encode(images(h[:1])).content.loc, flat.encode(images()).content.loc
    )
    assert ignored > 3 * error


def test_drawings_move_and_grow_as_latents_do():
    """D(g z)(p) = D(z)(g^-1 p), to rounding."""
    vae, g = made(), draw(SIM2, 6, shift=3.0)
    z = to_latent(LATENT, torch.randn(6, 4), draw(SIM2, 6, seed=1, shift=2.0))
    points = pixel_coordinates(9, 9).reshape(1, -1, 2).expand(6, -1, -1)
    moved = vae.decoder.render(LATENT.act(g, z), points)
    torch.testing.assert_close(moved, vae.decoder.render(z, apply(inverse(g), points)))
    assert (moved - vae.decoder.render(z, points)).abs().max() > 1e-2  # control
    grid = SquareGrid(SIZE).points().reshape(1, -1, 2).expand(6, -1, -1)
    drawn = vae.decoder.render(z, grid).unflatten(2, (SIZE, SIZE))
    torch.testing.assert_close(vae.decode(z), drawn)


def test_latents_hold_the_scale():
    g = draw(Similarities(reflections=True), 8, shift=3.0)
    latent, c = Representation((4, 1), sign=1, scale=True), torch.randn(8, 4)
    content, again = from_latent(latent, to_latent(latent, c, g))
    torch.testing.assert_close(content, c)
    assert again.shape == (8, 5) and wrapped(again[:, 1] - g[:, 1]).abs().max() < 1e-12
    torch.testing.assert_close(again[:, [0, 2, 3, 4]], g[:, [0, 2, 3, 4]])
    prior = PosedPrior(LATENT, log_scale_width=0.25)
    z = prior.sample(4000, torch.Generator().manual_seed(0))
    assert abs(z[:, LATENT.slices.scale].std() - 0.25) < 0.01
    assert prior.log_prob(z[:5]).isfinite().all()


@pytest.mark.parametrize("nuisances", [{}, {"background": 0.3, "intensity": 0.3}])
def test_it_trains(nuisances):
    vae = made(nuisances=nuisances, passes=2).train()
    batch = images(motion(0.4, (1.0, 0.5), log_scale=0.1))
    before = vae.score(batch, sample=False).elbo.mean()
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        loss = -vae.score(batch).elbo.mean()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in vae.parameters() if p.grad is not None)
        optimizer.step()
    assert vae.eval().score(batch, sample=False).elbo.mean() > before + 10
    posterior = vae.encode(batch)
    again = vae.reconstruct(batch, posterior)
    assert again.shape == batch.image.shape and again.isfinite().all()
    assert vae.log_prob(batch, posterior.mode).isfinite().all()
    nothing = vae.encode(Batch(torch.zeros(2, 1, SIZE, SIZE)))  # no object, no scale, but numbers
    assert nothing.pose.bins.isfinite().all() and nothing.pose.log_weights.isfinite().all()


def test_parts_that_know_different_groups_are_refused():
    flat = Representation((4, 1))
    with pytest.raises(ValueError, match="search without scales.*symmetry=sim2, latent.scale=true"):
        made(inference=ExactPose(32, 64))
    with pytest.raises(ValueError, match="search with scales and position"):
        made(PlaneMotions.so2(), flat, inference=ExactPose(32, 64, symmetry=SIM2))
    with pytest.raises(ValueError, match="must have a scale with SIM.*latent.scale=true"):
        made(SIM2, flat)
