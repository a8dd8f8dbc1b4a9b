"""Models after their prior was fitted: the laws of decoding and encoding hold as before, in float64."""

import math

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions import ContentPosterior, GaussianPosterior
from eqvae.distributions.orbit import OrbitFit, OrbitPosedPrior, OrbitPrior
from eqvae.distributions.posed import PosedPosterior, from_latent, to_latent
from eqvae.metrics.equivariance.model_errors import moved_decoding
from eqvae.models.pose_vae import PoseVAE
from eqvae.symmetry import PlaneMotions, angle_of, motion
from eqvae.symmetry.motions import reflection_of, shift_of
from eqvae.testing import relative_error
from tests.cases import draw, move
from tests.models.test_pose_vae import N, inside, made, scenes, trained
from tests.pose.scenes import wrapped
from tests.toys import LATENT, toy_vae

KINDS = pytest.mark.parametrize("kind", ["exact", "harmonic", "mirrors"])


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def contents(vae: PoseVAE, n: int = 120) -> Tensor:
    return 1.5 * torch.randn(n, vae.representation.multiplicities[0])


@torch.no_grad()
def fitted(vae: PoseVAE) -> PoseVAE:
    """With a prior of three kinds, fitted to contents of nothing in particular."""
    c = contents(vae)
    q = vae.encode(Batch(scenes().render()))
    pose = q.condensed().pose
    pose = type(pose)(
        pose.bins.repeat(40, 1, 1),
        pose.log_weights.repeat(40, 1),
        pose.covariance.repeat(40, 1, 1),
        pose.reflections,
    )
    known = PosedPosterior(q.representation, ContentPosterior(c, torch.full_like(c, -2.0)), pose)
    vae.prior = vae.fitted_prior(known, known, OrbitFit(3, 1)).to(c)
    return vae


def latents(vae: PoseVAE, n: int = 6) -> Tensor:
    symmetry = PlaneMotions(reflections=bool(vae.representation.sign))
    return to_latent(vae.representation, contents(vae, n), draw(symmetry, n, shift=2.0))


@KINDS
@torch.no_grad()
def test_decoding_moves_with_the_latent(kind):
    vae = fitted(made(kind))
    assert isinstance(vae.prior, OrbitPosedPrior)
    z, plain = latents(vae), vae.decode(latents(made(kind)))
    still = vae.decode(z)
    for quarters in (1, 2, 3):
        g = motion(angle=quarters * math.pi / 2).expand(len(z), 4)
        moved = vae.decode(vae.representation.act(g, z))
        assert relative_error(moved, move(g, still)) < 1e-10
    assert still.shape == plain.shape and still.std() > 0


@KINDS
@torch.no_grad()
def test_what_is_rendered_elsewhere_is_what_is_decoded(kind):
    """Audits render the decoder's images at moved points: with the frames of the prior."""
    vae = fitted(made(kind))
    z, angle = latents(vae), 0.3
    assert hasattr(vae.decoder, "render")
    g = motion(angle=angle)
    rendered = moved_decoding(vae, g.expand(len(z), 4), z, vae.decode(z))
    moved = vae.decode(vae.representation.act(g.expand(len(z), 4), z))
    assert relative_error(rendered, moved) < 1e-8
    turned = relative_error(vae.likelihood.mean(vae.decoder(z)), vae.decode(z))
    assert turned > 1e-3  # control: the frames are not those of the decoder


@KINDS
@torch.no_grad()
def test_templates_stand_in_the_frame_that_images_are_decoded_in(kind):
    vae = fitted(made(kind))
    z = latents(vae)
    c, g = from_latent(vae.representation, z)
    template = vae.space.turn(vae.template(c), angle_of(g), reflection_of(g))
    drawn = vae.likelihood.mean(vae.space.synthesise(template, shift_of(g)))
    assert relative_error(drawn, vae.decode(z)) < 0.01  # the two see templates on different grids


@torch.no_grad()
def test_poses_of_a_trained_model_move_with_its_images():
    vae, x = fitted(trained()), scenes().render()
    q = vae.encode(Batch(x))
    g = inside(motion(angle=math.pi / 2))
    moved = vae.encode(Batch(move(g, x)))
    turn = angle_of(moved.pose.mode) - angle_of(q.pose.mode) - math.pi / 2
    assert torch.rad2deg(wrapped(turn).abs()).max() < 0.5
    assert q.cluster.shape == (N, 3)
    again = vae.reconstruct(Batch(x), q)
    before = trained()
    other = before.reconstruct(Batch(x), before.encode(Batch(x)))
    assert relative_error(again, other) < 0.02  # the frame is a name; images are the same


@torch.no_grad()
def test_a_latent_model_is_fitted_with_the_group_that_it_names():
    vae = toy_vae(33)
    loc = torch.randn(150, LATENT.dim) * torch.tensor([3.0, 3.0, 1.0, 0.5, 0.5])
    q = GaussianPosterior(LATENT, loc, torch.full((150, LATENT.num_copies), -1.0))
    prior = vae.fitted_prior(q, q, OrbitFit(1, 0))
    assert isinstance(prior, OrbitPrior) and prior.mixture.symmetry == PlaneMotions.o2()
    asked = vae.fitted_prior(q, q, OrbitFit(1, 0), PlaneMotions.cyclic(4))
    assert asked.mixture.symmetry == PlaneMotions.cyclic(4)
    before = vae.prior
    vae.prior = prior
    x = vae.decode(q.loc[:4])
    score = vae.score(Batch(x))
    assert set(score.kl) == {block.name for block in LATENT.blocks}
    assert vae.encode(Batch(x)).cluster.shape == (4, 1)
    assert vae.sample(3, torch.Generator().manual_seed(0)).shape == (3, 1, 33, 33)
    assert before is not prior
