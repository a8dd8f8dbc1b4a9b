"""The price of residuals: zero for equivariant layers only, the evidence of a Gamma law, and in the log."""

import pytest
import torch
from torch import nn

from eqvae.data.batch import Batch
from eqvae.losses import FixedPrecision, GammaPrecision, Objective, Penalty, ResidualPenalty, dials
from eqvae.nn import DenseFibreLinear, RelaxedFibreLinear
from eqvae.symmetry import PlaneMotions
from tests.toys import toy_vae

X = torch.rand(4, 1, 21, 21, generator=torch.Generator().manual_seed(0))
PRIORS = pytest.mark.parametrize(
    "prior", [FixedPrecision(), GammaPrecision()], ids=["fixed", "gamma"]
)


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


def soft_vae(up: float = 0.0) -> nn.Module:
    """A toy beside which stand two soft layers, one of them off the equivariant maps by `up`."""
    vae = toy_vae(21)
    vae.encoder.soft = RelaxedFibreLinear(3, 4, 2, PlaneMotions.so2())
    vae.decoder.soft = RelaxedFibreLinear(2, 2, 1, PlaneMotions.so2())
    vae.decoder.soft.up.data.fill_(up)
    return vae


def value(vae: nn.Module, prior: FixedPrecision | GammaPrecision) -> torch.Tensor:
    penalty = ResidualPenalty(1, prior)
    penalty.check(vae)
    return penalty(vae, Batch(X), None)


@PRIORS
def test_only_departures_are_charged(prior):
    assert value(soft_vae(), prior) == 0
    once, twice = value(soft_vae(0.5), prior), value(soft_vae(1.0), prior)
    assert 0 < once < twice


@PRIORS
def test_the_scale_of_a_layer_is_no_way_out(prior):
    vae = soft_vae(0.5)
    before = value(vae, prior)
    layer = vae.decoder.soft
    for parameter in (layer.up, layer.equivariant.weight, layer.equivariant.invariant):
        parameter.data.mul_(0.1)
    torch.testing.assert_close(value(vae, prior), before)


@PRIORS
def test_precisions_are_the_slopes(prior):
    """d nats / dx = E[tau] / 2: what the penalty pulls with is the precision that is reported."""
    x = torch.tensor([0.0, 0.1, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(prior.nats(x, 20).sum(), x)
    torch.testing.assert_close(2 * slope, prior.precision(x.detach(), 20))


def test_the_gamma_price_is_the_integral_over_precisions():
    """-log of integral tau^(n/2) exp(-tau x / 2) Gamma(tau; a, b) d tau, relative to x = 0."""
    a, b, n = 2.0, 0.5, 6
    tau = torch.linspace(1e-6, 200, 400001)

    def evidence(x: float) -> float:
        log = n / 2 * tau.log() - tau * x / 2 + (a - 1) * tau.log() - b * tau
        return torch.trapezoid(log.exp(), tau).log().item()

    for x in (0.1, 1.0, 5.0):
        price = GammaPrecision(a, b).nats(torch.tensor(x), n).item()
        assert price == pytest.approx(evidence(0.0) - evidence(x), rel=1e-5)


def test_dense_layers_are_charged_until_they_are_projected():
    vae = toy_vae(21)
    vae.encoder.soft = DenseFibreLinear(2, 3, 2, PlaneMotions.so2())
    optimizer = torch.optim.Adam([vae.encoder.soft.weight], lr=0.05)
    before = value(vae, FixedPrecision()).item()
    for _ in range(300):
        optimizer.zero_grad()
        value(vae, FixedPrecision()).backward()
        optimizer.step()
    assert value(vae, FixedPrecision()) < 1e-3 * before


def test_dials_are_logged_by_layer():
    vae = soft_vae(0.5)
    penalty = Penalty(ResidualPenalty(1, GammaPrecision()), weight=0.1)
    loss, terms = Objective(penalties={"residual": penalty})(vae, Batch(X.double()), 0)
    found = dials(vae)
    assert set(found) == {
        f"{part}.soft/{name}"
        for part in ("encoder", "decoder")
        for name in ("residual", "precision")
    }
    assert found["encoder.soft/residual"] == 0
    layer = vae.decoder.soft
    relative = (layer.residual() / layer.size()).sqrt().item()
    assert found["decoder.soft/residual"] == pytest.approx(relative)
    assert found["decoder.soft/precision"] < found["encoder.soft/precision"]
    for name, dial in found.items():
        assert terms[f"dial/{name}"].item() == pytest.approx(dial)
        assert not terms[f"dial/{name}"].requires_grad
    assert loss.item() == pytest.approx((0.1 * terms["penalty/residual"] - terms["elbo"]).item())
    assert dials(toy_vae(21)) == {}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="needs layers with `residual`"):
        value(toy_vae(21), FixedPrecision())
    with pytest.raises(ValueError, match="tau must be >= 0; got -1"):
        FixedPrecision(-1)
    with pytest.raises(ValueError, match="shape and rate must be positive; got 0 and 1"):
        GammaPrecision(0, 1)


def test_training_images_share_the_price():
    vae = soft_vae(0.5)
    one, many = (ResidualPenalty(n, GammaPrecision())(vae, None, None) for n in (1, 50))
    assert one > 0 and float(many) == pytest.approx(float(one) / 50)
    with pytest.raises(ValueError, match="number of training images, >= 1; got 0"):
        ResidualPenalty(images=0)
