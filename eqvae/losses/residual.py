"""How far soft layers are from the equivariant ones, and what that costs.

    x_l = |W_l - equivariant part|^2 / |equivariant part|^2        for every layer l

The ratio, not the first square alone: the norm after a layer makes its scale meaningless, so that an
absolute penalty could be escaped by shrinking the whole layer. A layer is soft if it has `residual()`
and `size()`, the two squares, and `freedom`, the dimension n of the maps that depart, as those of
`eqvae.nn.relaxed` and `eqvae.nn.projected`; of a free path, `eqvae.nn.paths`, the second is its number of
outputs. The prior on the ratio R of the maps, |R|^2 = x, is Gaussian, p(R) ~ tau^(n/2) exp(-tau x / 2); maps
of rank r are a cone, on which the same power of tau holds.

References: Finzi, Benton, Wilson, Residual pathway priors for soft equivariance constraints (2021),
https://arxiv.org/abs/2112.01388; MacKay, Bayesian interpolation (1992), for precisions from evidence;
Berndt, Stuehmer, Approximate equivariance via projection-based regularisation (2026),
https://arxiv.org/abs/2601.05028, for a fixed one, there on the absolute square.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.losses.term import PenaltyTerm
from eqvae.models.model import ELBO, Model


@dataclass(frozen=True)
class FixedPrecision:
    """Nats tau x / 2 for a residual x: ridge, the same for every layer.

    Raises:
        ValueError: if tau is negative.
    """

    tau: float = 2.0

    def __post_init__(self) -> None:
        if self.tau < 0:
            raise ValueError(f"tau must be >= 0; got {self.tau}.")

    def nats(self, x: Tensor, freedom: int) -> Tensor:
        return 0.5 * self.tau * x

    def precision(self, x: Tensor, freedom: int) -> Tensor:
        return torch.full_like(x, self.tau)


@dataclass(frozen=True)
class GammaPrecision:
    """A precision for each layer, integrated out under tau ~ Gamma(shape, rate).

        -log p(R) = (shape + n / 2) log(1 + x / (2 rate)) + constant,
        E[tau | R] = (shape + n / 2) / (rate + x / 2)

    In closed form, so there is no parameter to learn, none that can run off, and one precision for each
    layer at the price of none. The logarithm lets layers that need the freedom go cheaply, and the
    price n / 2 for each e-fold is what a description of n numbers costs.

    Args:
        shape, rate: of the Gamma distribution; residuals x below 2 rate count as none.

    Raises:
        ValueError: if one is not positive.
    """

    shape: float = 1.0
    rate: float = 1e-2

    def __post_init__(self) -> None:
        if not (self.shape > 0 and self.rate > 0):
            raise ValueError(f"shape and rate must be positive; got {self.shape} and {self.rate}.")

    def nats(self, x: Tensor, freedom: int) -> Tensor:
        return (self.shape + freedom / 2) * torch.log1p(x / (2 * self.rate))

    def precision(self, x: Tensor, freedom: int) -> Tensor:
        return (self.shape + freedom / 2) / (self.rate + x / 2)


class ResidualPenalty(PenaltyTerm):
    """-log p of all residuals in nats for each image, a scalar >= 0, and 0 where every layer is equivariant.

    The prior stands once for the whole data set, the ELBO for one image: divided by the number of
    training images, their sum is a bound of the evidence.

    Args:
        images: number of training images that share the price; a configuration says ${image.count}.
        prior: of one layer's residual, with `.nats(x, freedom)` and `.precision(x, freedom)`.

    Raises:
        ValueError: if `images` is not positive.
    """

    def __init__(self, images: int, prior: FixedPrecision | GammaPrecision = FixedPrecision()):
        super().__init__()
        if images < 1:
            raise ValueError(f"images must be the number of training images, >= 1; got {images}.")
        self.prior = prior
        self.images = images

    def check(self, model: Model) -> None:
        """Refuse a model that has no soft layer."""
        if not soft_layers(model):
            raise ValueError(
                "ResidualPenalty needs layers with `residual`; the model has none. Choose "
                "model=relaxed, relaxed_layers or projected."
            )

    def forward(self, model: Model, batch: Batch, elbo: ELBO) -> Tensor:
        """The penalty of the model's weights; the batch has no say."""
        prices = [self.prior.nats(_relative(m), m.freedom) for m in soft_layers(model).values()]
        return sum(prices) / self.images

    def dials(self, model: Model) -> dict[str, Tensor]:
        """For the log: by layer |R| as "<layer>/residual" and E[tau] as "<layer>/precision"."""
        with torch.no_grad():
            return _by_layer(model, self.prior.precision)


def dials(
    model: nn.Module, prior: FixedPrecision | GammaPrecision = GammaPrecision()
) -> dict[str, float]:
    """How far each soft layer went, by its name; empty for a model without soft layers.

    Returns:
        "<layer>/residual", the root of the ratio, and "<layer>/precision", E[tau] under the prior.
    """
    with torch.no_grad():
        return {name: v.item() for name, v in _by_layer(model, prior.precision).items()}


def soft_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every layer that has a residual, by its name."""
    return {name: m for name, m in model.named_modules() if hasattr(m, "residual")}


def check_priced(model: nn.Module, terms: Iterable[nn.Module]) -> None:
    """Refuse soft layers whose residuals nothing prices: they would break the symmetry for free.

    Raises:
        ValueError: if the model has soft layers and no term is a `ResidualPenalty`.
    """
    soft = soft_layers(model)
    if soft and not any(isinstance(term, ResidualPenalty) for term in terms):
        raise ValueError(
            f"objective must price the residuals of the model's {len(soft)} soft layers, such as "
            f"{next(iter(soft))}, or they break the symmetry for free; it has no ResidualPenalty. Choose "
            "objective=elbo_relaxed, or an arm such as arm=relaxed."
        )


def _by_layer(model: nn.Module, precision: Callable[[Tensor, int], Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, layer in soft_layers(model).items():
        x = _relative(layer)
        found[f"{name}/residual"] = x.sqrt()
        found[f"{name}/precision"] = precision(x, layer.freedom)
    return found


def _relative(layer: nn.Module) -> Tensor:
    return layer.residual() / layer.size()
