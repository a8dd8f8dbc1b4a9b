"""The mask beside the image: it turns with its object, and is learned where masks are known."""

import math

import pytest
import torch

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.drawing.masks import mask_picture
from eqvae.evaluation.held_out import HeldOut
from eqvae.evaluation.suites.segmentation import segmentation
from eqvae.losses import MaskPenalty, Objective, Penalty
from eqvae.metrics.segmentation.overlap import overlap_scores
from eqvae.models import VAE
from eqvae.models.object_mask import ObjectMask
from eqvae.nn import HarmonicDecoder, HarmonicEncoder, PlainDecoder
from eqvae.symmetry import Representation, motion
from eqvae.testing import GaussianScenes
from tests.cases import basis

SIZE, LATENT = 33, Representation((4, 2, 1))
OBJECTIVE = Objective(penalties={"mask": Penalty(MaskPenalty(), 1.0)})


def vae(mask: bool = True) -> VAE:
    torch.manual_seed(0)
    shared, how = (basis(SIZE, degree=8, radius=10.6), LATENT), {"hidden": 8, "frequency": 3}
    encoder = HarmonicEncoder(*shared, **how)
    decoder, outline = (HarmonicDecoder(*shared, **how, out_frequency=6) for _ in range(2))
    known = ObjectMask(outline) if mask else None
    return VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood(), known)


@pytest.fixture(scope="module")
def batch() -> Batch:
    images = GaussianScenes(12, size=SIZE).render()
    return Batch(images, mask=(images > 0.3).float())


@pytest.mark.parametrize(("family", "exact"), [("harmonic", True), ("plain", False)])
def test_a_mask_turns_with_its_object(family, exact):
    torch.manual_seed(1)
    decoder = vae().mask.decoder if exact else PlainDecoder(SquareGrid(SIZE), 1, LATENT, width=4)
    mask, z = ObjectMask(decoder).double(), torch.randn(5, LATENT.dim, dtype=torch.float64)
    for quarter in (1, 2, 3):
        g = motion(angle=quarter * math.pi / 2, dtype=torch.float64).expand(5, -1)
        turned = torch.rot90(mask(z), quarter, dims=(-2, -1))
        assert ((mask(LATENT.act(g, z)) - turned).abs().max() < 1e-6) == exact


def test_masks_are_learned_and_the_images_alone_make_the_elbo(batch):
    model = vae()
    torch.manual_seed(0)
    loss, terms = OBJECTIVE(model, batch, 1)
    assert loss.item() == pytest.approx(float(terms["penalty/mask"] - terms["elbo"]), rel=1e-5)
    optimizer, first = torch.optim.Adam(model.parameters(), lr=0.02), float(terms["penalty/mask"])
    for step in range(25):
        loss, terms = OBJECTIVE(model, batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(terms["penalty/mask"]) < 0.5 * first
    found = segmentation(HeldOut(model.eval(), batch))
    scores = {name: score.value for name, score in found.scores.items()}
    assert (
        scores["dice"]
        > 0.6
        > overlap_scores(torch.zeros_like(batch.mask), batch.mask)["dice"].value
    )
    assert scores["law/quarter_turn"] > 0.99 and scores["law/rotation"] > 0.9
    assert mask_picture(model, batch[:2]).width > 100
    again = vae()
    again.load_state_dict(model.state_dict())
    z = model.encode(batch).mode
    assert torch.equal(again.eval().segment(z), model.segment(z))


def test_images_without_masks_are_judged_by_the_image_and_teach_no_mask(batch):
    model, objective = vae(), Objective(penalties={"mask": Penalty(MaskPenalty(), 1.0)})
    with pytest.raises(ValueError, match="needs masks of the images to learn from"):
        objective(model, Batch(batch.image), 0)
    loss, terms = objective.eval()(model, Batch(batch.image), 0)
    assert loss.item() == pytest.approx(-float(terms["elbo"]), rel=1e-6)


def test_models_without_a_mask_say_so(batch):
    model = vae(mask=False)
    assert not any(name.startswith("mask") for name in model.state_dict()), (
        "as checkpoints of before"
    )
    with pytest.raises(ValueError, match="decodes no mask. Train one with mask=harmonic"):
        model.segment(torch.zeros(1, LATENT.dim))
    with pytest.raises(ValueError, match="objective.penalties.mask: MaskPenalty needs a model"):
        OBJECTIVE.check(model)
    assert "decodes no mask" in segmentation(HeldOut(model, batch)).scores["dice"].reason


def test_mistakes_are_named():
    rgb = PlainDecoder(SquareGrid(SIZE), 3, LATENT, width=4)
    with pytest.raises(ValueError, match="must draw 1 channel; got 3"):
        ObjectMask(rgb)
    with pytest.raises(ValueError, match="sharpness of a mask must be positive; got 0"):
        ObjectMask(PlainDecoder(SquareGrid(SIZE), 1, LATENT, width=4), sharpness=0)
    other = ObjectMask(PlainDecoder(SquareGrid(SIZE), 1, Representation((3, 1)), width=4))
    ours = vae()
    with pytest.raises(ValueError, match="mask's decoder must share the encoder's representation"):
        VAE(ours.encoder, ours.decoder, ours.prior, ours.likelihood, other)


@pytest.mark.parametrize("choice", ["harmonic", "steerable", "plain"])
def test_every_choice_of_a_mask_fits_its_model(choice):
    config = compose([f"model={choice}", f"mask={choice}"], image_shape=(3, SIZE, SIZE))
    model = build(config["model"], path="model")
    build(config["objective"], path="objective").check(model)
    z = torch.zeros(1, model.representation.dim)
    assert model.segment(z).shape == (1, 1, SIZE, SIZE) and model.segment(z).max() < 0.5
