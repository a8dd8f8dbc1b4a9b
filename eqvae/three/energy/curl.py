"""A price for curl: forces that no energy has, judged at random directions.

    |J v - J^T v| / (|J v|^2 + |J^T v|^2)^(1/2),   J = dF/dx,   v ~ N(0, 1)

Its square compares |J - J^T|^2 with 2 |J|^2. No Jacobian is made: J^T w is a backward derivative, J v that
of (J^T w).v by w. What the price is divided by takes part, else the cheapest forces would be none at all.
"""

import torch
from torch import Tensor

from eqvae.three.energy.forces import ForceField

_TINY = 1e-8  # below the root, whose slope at 0 it bounds


class CurlPenalty:
    """The price above times a weight, at some of the steps.

    Args:
        weight: of the price, beside a loss of forces in units of their spread.
        every: steps from one to the next; one with the price takes about four times as long.

    Raises:
        ValueError: if the weight is negative, or `every` below 1.
    """

    def __init__(self, weight: float = 10.0, every: int = 4):
        if weight < 0 or every < 1:
            raise ValueError(
                f"weight must be at least 0 and every at least 1; got {weight} and {every}."
            )
        self.weight, self.every = weight, every

    def check(self, model: ForceField) -> None:
        """Refuse a model that has no curl anyway.

        Raises:
            ValueError: if forces are a gradient.
        """
        if not model.forces.vectors:
            raise ValueError(
                f"forces must be direct for a curl penalty; got {type(model.forces).__name__}, whose curl "
                f"is 0. Leave the penalty out."
            )

    def __call__(self, model: ForceField, positions: Tensor, generator: torch.Generator) -> Tensor:
        """The price at positions (B, N, 3)."""
        x = positions.detach().clone().requires_grad_(True)
        v = torch.randn(x.shape, generator=generator).to(x)
        w = v.clone().requires_grad_(True)
        (across,) = torch.autograd.grad((model(x).forces * w).sum(), x, create_graph=True)
        (along,) = torch.autograd.grad(
            (across * v).sum(), w, create_graph=True
        )  # J^T w is linear in w
        size = along.square().sum() + across.square().sum()
        return (
            self.weight * ((along - across).square().sum() / size.clamp(min=1e-12) + _TINY).sqrt()
        )
