"""The SE(3)-VAE: its laws in float64, with a plain model as the control, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.losses.augment import AugmentedObjective
from eqvae.losses.equivariance import DecoderPenalty, EncoderPenalty
from eqvae.losses.objective import Objective, Penalty
from eqvae.models.vae import VAE
from eqvae.symmetry.space_motions import SpaceMotions, pose_distance, space_motion
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae import (
    CanonicalDecoder,
    HingedChains,
    InvariantEncoder,
    Moved,
    PlainStructureDecoder,
    PlainStructureEncoder,
    RigidLikelihood,
    SpacePosedPrior,
    SpaceVAE,
    Still,
    StructureDataModule,
    StructureSource,
)
from eqvae.three.vae.alignment import kabsch
from eqvae.three.vae.posed import from_latent, to_latent

ATOMS = 8
LATENT = SpaceRepresentation.parse("position + 3x0e + 2x0o + 2x1o")


def space_vae(parity=False, equivalent=None):
    torch.manual_seed(0)
    domain, group = Points(ATOMS), SpaceMotions(parity)
    model = SpaceVAE(
        InvariantEncoder(domain, LATENT, group, vectors=6, hidden=16, triples=4, scale=1.0),
        CanonicalDecoder(domain, LATENT, group, hidden=16, scale=1.0),
        SpacePosedPrior(LATENT, position_scale=1e4),
        RigidLikelihood(0.05),
        equivalent,
    )
    return model.double().eval()


def plain_vae():
    torch.manual_seed(0)
    domain = Points(ATOMS)
    return VAE(
        PlainStructureEncoder(domain, LATENT, hidden=16, scale=1.0),
        PlainStructureDecoder(domain, LATENT, hidden=16, scale=1.0),
        GaussianPrior(LATENT),
        GaussianLikelihood(0.1),
    ).double()


@pytest.fixture
def batch():
    return Batch(torch.randn(5, 1, ATOMS, 3, generator=torch.Generator().manual_seed(1)).double())


def motions(parity):
    return (
        SpaceMotions(parity)
        .sample(5, shift=3.0, generator=torch.Generator().manual_seed(2))
        .double()
    )


def error_of(model, batch, g):
    """How far encoder and decoder are from the law, relative."""
    z = model.encode(batch).mode
    moved = model.encode(batch.act(g, model.domain)).mode
    wanted = model.representation.act(g, z)
    drawn = model.decode(wanted)
    image = model.domain.act(g, model.decode(z))
    return float((moved - wanted).norm() / wanted.norm() + (drawn - image).norm() / image.norm())


@pytest.mark.parametrize("parity", [False, True])
def test_encoder_and_decoder_move_with_the_structure(batch, parity):
    g = motions(parity)
    with torch.no_grad():
        assert (
            error_of(space_vae(parity), batch, g) < 1e-7
        )  # rounding; the prior of the shift is wide
        assert error_of(plain_vae(), batch, g) > 0.1


@pytest.mark.parametrize("parity", [False, True])
def test_the_posterior_moves_as_a_whole(batch, parity):
    """q(g z | g x) = q(z | x), variances, handedness and the pose's concentration included."""
    model, g = space_vae(parity), motions(parity)
    with torch.no_grad():
        q, moved = model.encode(batch), model.encode(batch.act(g, model.domain))
        z = q.rsample(torch.Generator().manual_seed(3))
        there = model.representation.act(g, z)
        assert torch.allclose(moved.log_prob(there), q.log_prob(z), atol=1e-4)
        assert torch.allclose(q.act(g).log_prob(there), q.log_prob(z), atol=1e-8)
        first, second = (
            model.score(batch, sample=False),
            model.score(batch.act(g, model.domain), sample=False),
        )
        assert torch.allclose(first.elbo, second.elbo, atol=1e-4)


def test_handedness_changes_sign_in_a_mirror_and_content_does_not(batch):
    model = space_vae(parity=True)
    turned = batch.replace(image=-batch.image)
    with torch.no_grad():
        c, d = model.encode(batch).content, model.encode(turned).content
    assert torch.allclose(c.loc[:, :3], d.loc[:, :3], atol=1e-10)
    assert torch.allclose(c.loc[:, 3:], -d.loc[:, 3:], atol=1e-10)
    assert float(c.loc[:, 3:].abs().min()) > 1e-4
    flat = batch.replace(image=batch.image * torch.tensor([1.0, 1.0, 0.0]))
    assert (
        model.encode(flat).content.loc[:, 3:].abs().max().item() < 1e-6
    )  # a plane has no handedness


def test_equivalent_atoms_change_nothing(batch):
    order = [1, 2, 0, *range(3, ATOMS)]
    model, named = space_vae(equivalent=[order]), space_vae()
    other = batch.replace(image=batch.image[:, :, order])
    with torch.no_grad():
        first, second = model.encode(batch).content.loc, model.encode(other).content.loc
        assert torch.allclose(first, second, atol=1e-10)
        assert not torch.allclose(
            named.encode(batch).content.loc, named.encode(other).content.loc, atol=1e-3
        )
        made = model.reconstruct(other, model.encode(other))
        assert torch.allclose(made, model.reconstruct(batch, model.encode(batch))[:, :, order])


def test_the_elbo_is_below_the_evidence(batch):
    """log p(x) by draws from q(c | x), with the pose summed out exactly."""
    model, one = space_vae(), batch[:1]
    with torch.no_grad():
        q = model.encode(one).content
        many = replace(q, loc=q.loc.expand(4000, -1), log_scale=q.log_scale.expand(4000, -1))
        c = many.rsample(torch.Generator().manual_seed(0))
        big = Batch(one.image.expand(4000, -1, -1, -1))
        log_p = model.log_prob_of_content(big, c)
        weight = log_p + model.prior.content.log_prob(c) - many.log_prob(c)
        evidence = weight.logsumexp(0) - torch.tensor(4000.0).log()
        torch.manual_seed(0)
        scores = model.score(big)
    assert float(scores.elbo.mean()) < float(evidence)
    assert float(scores.elbo.mean()) == pytest.approx(float(weight.mean()), rel=0.02)


def test_gradients_reach_every_weight_and_are_right(batch):
    model = space_vae(parity=True)
    content = model.encode(batch).content.loc.detach()
    template = model.decoder.template(content).detach().requires_grad_()

    def score(template):
        return model.likelihood.marginal(batch.image, template, 3.0).log_prob

    assert torch.autograd.gradcheck(score, (template,), atol=1e-4)
    model.score(batch).elbo.mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_the_frame_of_the_template_does_not_drift():
    model, eye = space_vae(), torch.eye(3, dtype=torch.float64)
    content = 0.3 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        d = model.decoder.template(content)
        reference = model.decoder.reference.expand_as(d)
        assert float((kabsch(d, reference) - eye).abs().max()) < 1e-5
        model.decoder.anchored = False
        d = model.decoder.template(content)
        assert float((kabsch(d, reference) - eye).abs().max()) > 1e-3


def test_latents_hold_any_pose():
    g = SpaceMotions().sample(9, shift=4.0).double()
    content = torch.randn(9, 5).double()
    back, h = from_latent(LATENT, to_latent(LATENT, content, g))
    found = pose_distance(g, h)
    assert torch.equal(back, content) and float(found.degrees.max() + found.shift.max()) < 1e-5


def test_penalties_and_augmentation_judge_structures(batch):
    """The 2-D path's own parts: the soft laws vanish for the hard model's decoder, not for the plain one."""
    torch.manual_seed(0)
    model, group = plain_vae(), SpaceMotions()
    terms = {"encoder": EncoderPenalty(group, 3.0), "decoder": DecoderPenalty(group, 3.0)}
    objective = Objective(penalties={name: Penalty(term, 1.0) for name, term in terms.items()})
    _, found = objective.eval()(model, batch, 0)
    assert float(found["penalty/encoder"]) > 0.1 and float(found["penalty/decoder"]) > 0.1
    far = batch.replace(image=5 * batch.image)
    loss, _ = AugmentedObjective(group, 3.0).train()(model, far, 0)
    clamped = AugmentedObjective(group, 3.0).eval()(
        model, far.replace(image=far.image.clamp(0, 1)), 0
    )
    assert float(loss.detach()) > float(clamped[0].detach())  # coordinates are left as they are


def test_the_start_is_the_mean_structure_and_its_largest_motion():
    data = StructureDataModule(HingedChains(60, ATOMS, noise=0.01), Moved(5.0))
    data.setup()
    model = space_vae()
    with torch.no_grad():
        model.start(data.train[:].image[:, 0].double())
        content = torch.zeros(2, 5).double()
        content[1, 0] = 1.0
        still, moved = model.decoder.template(content)
    away = (moved - still).square().sum(-1).mean().sqrt()
    assert 0.3 < float(away) < 10 and bool(model.decoder.started)


class Given(StructureSource):
    def __init__(self, positions):
        self.positions = positions

    def load(self):
        loaded = HingedChains(len(self.positions), 6).load()
        n = self.positions.shape[1]
        atoms = replace(loaded.structures, positions=self.positions, elements=("C",) * n)
        return replace(loaded, structures=atoms)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (torch.randn(9, 2, 3).double(), "needs at least 3 atoms"),
        (torch.arange(15.0).reshape(1, 15, 1).expand(9, -1, 3).double(), "lie on one line"),
        (torch.full((9, 4, 3), torch.nan).double(), "finite"),
    ],
)
def test_structures_without_a_pose_are_refused(positions, message):
    with pytest.raises(ValueError, match=message):
        StructureDataModule(Given(positions), Still()).setup()


def test_parts_that_do_not_fit_are_refused():
    data = StructureDataModule(HingedChains(20, 8), Still(), limit=1000)
    with pytest.raises(ValueError, match="limit must be at most"):
        data.setup()
    with pytest.raises(ValueError, match="pose must be a SpacePosing"):
        StructureDataModule(HingedChains(20, 8), "upright")
    vectors = SpaceRepresentation.parse("position + 3x0e + 1x1o")
    with pytest.raises(ValueError, match="the pose as 2x1o"):
        InvariantEncoder(Points(8), vectors)
    even = SpaceRepresentation.parse("position + 3x0e + 2x1o")
    with pytest.raises(ValueError, match="handedness 0o"):
        CanonicalDecoder(Points(8), even, SpaceMotions(parity=True))
    with pytest.raises(ValueError, match="x must be coordinates of 8 atoms"):
        space_vae().encode(Batch(torch.randn(2, 1, 9, 3).double()))
    assert space_motion(torch.eye(3)).shape == (1, 8)


def test_structures_beyond_the_prior_of_shifts_are_told(batch, recwarn):
    model, x = space_vae(), batch.image[:, 0]
    model.prior.position_scale = 2.0
    model.start(x)
    assert not recwarn
    with pytest.warns(
        UserWarning, match="up to 5.*position_scale=2 covers about 20: .* Set it to 5"
    ):
        model.start(x + 30)
