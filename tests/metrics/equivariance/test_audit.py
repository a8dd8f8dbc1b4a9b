"""An audit finds nothing in an exact model, names what is broken in another, and draws both."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid
from eqvae.drawing.audit import layer_figure
from eqvae.metrics.equivariance.audit import PRESETS, SymmetryAudit
from eqvae.metrics.equivariance.audit_result import AuditResult
from eqvae.metrics.score import Score
from eqvae.nn import PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation, angle_of
from eqvae.testing import GaussianScenes
from tests.losses.models import vae
from tests.toys import LATENT, toy_vae

SIZE = 41


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float64)
    monkeypatch.setitem(
        PRESETS, "fast", replace(PRESETS["fast"], turns=6, mirrors=6)
    )  # seconds for the suite


@cache
def audited(bias: float = 0.0, render: bool = True, again: bool = False) -> AuditResult:
    vae = toy_vae(SIZE, bias, render).eval()
    scenes = GaussianScenes(4, seed=1, size=SIZE)
    x = GaussianScenes(4, seed=0, size=SIZE).render()
    return SymmetryAudit.of(vae).run(x, scenes=scenes, band_limit=None)


def test_an_exact_model_passes_everything():
    result = audited()
    kinds = ["rotation", "shift", "quarter_turn", "reflection"]
    parts = ["encoder", "scenes/encoder", "decoder", "round_trip", "resampling"]
    for part in parts:
        for kind in kinds:
            assert result.scores[f"{part}/{kind}"].value < 1e-5, (part, kind)
    for name, score in result.scores.items():
        assert isinstance(score, Score) and score.value is not None and score.page, name
        if score.interval:
            low, high = score.interval
            assert low - 1e-9 <= score.value <= high + 1e-9, name
    assert result.scores["decoder/eq_r"].value > 100 > result.scores["decoder/eq_r"].floor
    assert result.scores["lie/encoder/rotation"].value < 1e-6
    assert result.scores["lie/decoder/rotation/relative"].value < 1e-3
    assert result.scores["elbo_change/rotation"].value < 1e-2
    assert result.elements == []  # O(2) has no table


def test_an_exact_model_on_a_bright_ground_is_as_exact_as_on_black():
    """The control: an audit that does not know the ground, and so turns black corners into the images."""
    x, sizes = GaussianScenes(2, seed=0, size=SIZE).render(), {}
    for name, grey in (("black", 0.0), ("bright", 0.4), ("control", 0.4)):
        audit = SymmetryAudit.of(vae("harmonic", grey).eval())
        audit = replace(audit, decode=None, render=None, elbo=None, network=None)
        if name == "control":
            audit = replace(audit, domain=SquareGrid(SIZE))
        sizes[name] = audit.run(x + grey, band_limit=None).scores
    for name in ("encoder/rotation", "encoder/shift", "lie/encoder/rotation"):
        black, bright = sizes["black"][name].value, sizes["bright"][name].value
        assert bright == pytest.approx(black, rel=1e-3, abs=1e-9), name
    control = sizes["control"]["encoder/rotation"].value
    assert control > 20 * sizes["bright"]["encoder/rotation"].value


def test_the_floors_are_those_of_unrelated_images():
    scores = audited().scores
    assert 1.0 < scores["encoder/psi1/rotation"].floor < 2.0  # about sqrt(2): directions at random
    assert scores["encoder/position/rotation"].unit == "px"
    assert scores["elbo_change/rotation"].floor > scores["elbo_change/rotation"].value


def test_a_bias_is_found_and_named():
    result = audited(bias=1.0)
    assert result.worst_block == "position" and result.block_shares["position"] > 0.99
    # |b - R b| = 2 sqrt(2) |sin(a / 2)|, over 5 angles
    turns = [2 * math.sqrt(2) * math.sin(math.radians(a) / 2) for a in range(60, 360, 60)]
    expected = math.sqrt(sum(t**2 for t in turns) / len(turns))
    assert result.scores["encoder/position/rotation"].value == pytest.approx(expected, rel=1e-3)
    assert result.scores["encoder/psi1/rotation"].value < 1e-5
    assert result.scores["encoder/rotation"].value > 0.1
    assert result.scores["lie/encoder/rotation"].value > 1e-2
    interpolated = audited(bias=1.0, render=False).scores  # else measured against its own functions
    assert interpolated["decoder/eq_r"].value < 40 < interpolated["decoder/eq_r"].ceiling


def test_a_finite_group_has_a_table_of_elements():
    vae = toy_vae(SIZE).eval()
    vae.encoder.symmetry = PlaneMotions.dihedral(4)
    result = SymmetryAudit.of(vae).run(GaussianScenes(2, size=SIZE).render())
    assert len(result.elements) == 7
    turns = [round(math.degrees(angle_of(row["element"]))) for row in result.elements]
    assert sorted(turns) == [0, 90, 90, 180, 180, 270, 270]  # and mirrors, but no identity
    assert all(row["encoder"] < 1e-6 for row in result.elements)
    assert result.scores["encoder/element"].value < 1e-6


def test_functions_are_enough():
    """No class of ours: an encoder as a function, and a decoder as a function."""
    vae, x = toy_vae(SIZE), GaussianScenes(3, size=SIZE).render()
    only_encode = SymmetryAudit(encode=lambda b: vae.encode(b).mode, act=LATENT.act).run(x)
    assert set(only_encode.sweeps) == {"encoder", "resampling"}
    assert "decoder/rotation" not in only_encode.scores and only_encode.worst_block is None
    z = vae.encode(Batch(x)).mode.detach()
    only_decode = SymmetryAudit(decode=vae.decode, act=LATENT.act).run(z=z)
    assert set(only_decode.sweeps) == {"decoder"}
    assert only_decode.scores["decoder/rotation"].value < 1e-5


def test_optics_travel_with_their_images():
    """What a batch knows besides its images reaches the encoder and the ELBO at every motion."""
    x = GaussianScenes(3, size=SIZE).render()
    optics = torch.arange(3.0)[:, None] * torch.ones(3, 5)
    blurred = []

    def encode(batch: Batch) -> torch.Tensor:
        blurred.append(batch.transfer is not None)
        rows = len(batch)
        assert torch.equal(batch.transfer, optics[:rows])
        return toy_vae(SIZE).encode(batch).mode

    def elbo(batch: Batch, noise: torch.Tensor) -> torch.Tensor:
        assert torch.equal(batch.transfer, optics)
        return toy_vae(SIZE).elbo(batch, noise)

    place = {"position": LATENT.slices.position, "position_scale": 5.0}
    audit = SymmetryAudit(encode=encode, act=LATENT.act, elbo=elbo, **place)
    found = audit.run(Batch(x, transfer=optics), band_limit=None)
    assert all(blurred) and found.scores["encoder/rotation"].value < 1e-5
    with pytest.raises(TypeError):  # a control: without them the encoder is lost
        audit.run(x, band_limit=None)


def test_a_plain_network_fails_the_audit():
    torch.manual_seed(0)
    latent = Representation((2, 2))
    encoder = PlainEncoder(SquareGrid(33), 1, latent, width=8).eval()
    audit = SymmetryAudit(
        encode=lambda batch: encoder(batch.image).mode,
        act=latent.act,
        blocks={b.name: range(b.slice.start, b.slice.stop) for b in latent.blocks},
        position=latent.slices.position,
        network=encoder,
    )
    result = audit.run(GaussianScenes(4, size=33).render())
    score = result.scores["encoder/psi1/rotation"]
    assert score.value > 0.5 * score.floor and score.value > 100 * 1e-3
    assert result.layers and max(row.errors["quarter_turn"] for row in result.layers) > 0.1
    assert all(row.moves == "map" for row in result.layers)
    assert layer_figure(result).axes


def test_a_collapsed_encoder_is_not_called_perfect():
    """A constant invariant has error 0, which says nothing; zeros have no relative error at all."""
    x = GaussianScenes(3, size=SIZE).render()
    constant = SymmetryAudit(
        encode=lambda batch: torch.ones(len(batch), 2), act=lambda g, z: z
    ).run(x)
    assert "same for every image" in constant.scores["encoder/rotation"].reason
    assert "same for every image" in constant.scores["lie/encoder/rotation"].reason
    zeros = SymmetryAudit(encode=lambda batch: torch.zeros(len(batch), 2), act=lambda g, z: z).run(
        x
    )
    assert zeros.scores["encoder/rotation"].value is None
    assert "zero" in zeros.scores["encoder/rotation"].reason


def test_the_same_seed_gives_the_same_numbers():
    a, b = audited(), audited(again=True)
    assert {k: v.as_dict() for k, v in a.scores.items()} == {
        k: v.as_dict() for k, v in b.scores.items()
    }


def test_mistakes_are_named():
    vae, x = toy_vae(SIZE).eval(), GaussianScenes(2, size=SIZE).render()
    with pytest.raises(ValueError, match="eval mode"):
        SymmetryAudit.of(vae.train())
    with pytest.raises(ValueError, match="encode, decode or both"):
        SymmetryAudit(act=LATENT.act)
    with pytest.raises(ValueError, match="act must say"):
        SymmetryAudit(encode=nn.Identity())
    audit = SymmetryAudit.of(vae.eval())
    with pytest.raises(ValueError, match="preset must be one of"):
        audit.run(x, preset="slow")
    with pytest.raises(ValueError, match="x must be given"):
        audit.run()
    with pytest.raises(ValueError, match="x must be square"):
        audit.run(x[..., 1:])
    with pytest.raises(ValueError, match="x must be of the model's domain"):
        audit.run(x[..., 1:, 1:])
    with pytest.raises(ValueError, match="x must be finite"):
        audit.run(x * math.nan)
    with pytest.raises(ValueError, match="z must be given"):
        SymmetryAudit(decode=vae.decode, act=LATENT.act).run(x)
