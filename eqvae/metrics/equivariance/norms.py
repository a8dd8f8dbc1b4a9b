"""How large the difference of two outputs is: squared norms of each image of a batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eqvae.domains import Domain, SquareGrid
from eqvae.symmetry.representations import Representation

Measure = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # -> |difference|^2, |expected|^2, (B,)
Columns = slice | Sequence[int]


def norms(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Squared Euclidean norms over everything but the batch."""
    difference = (actual - expected).flatten(1)
    return difference.square().sum(1), expected.flatten(1).square().sum(1)


def masked_norms(domain: Domain) -> Measure:
    """Squared norms of signals where every motion of their domain keeps them."""

    def measure(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
        mask = domain.mask().to(actual)
        return norms(actual * mask, expected * mask)

    return measure


def disc_norms(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norms of images on the inscribed disc, which rotations map to itself."""
    return masked_norms(SquareGrid.of(actual))(actual, expected)


def latent_norms(position: Columns, position_scale: float = 5.0) -> Measure:
    """Squared norms of latents (t, v) with the position in units of its prior's standard deviation s.

        |dv|^2 + |dt|^2 / s^2    and    |v|^2.

    The position does not enter the norm: it is large for a far object, whatever the error.

    Args:
        position: columns of t, such as `representation.slices.position`; may be none.
        position_scale: s, pixels.
    """

    def measure(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
        placed = column_list(position, expected.shape[1])
        if not placed:
            return norms(actual, expected)
        rest = torch.ones(expected.shape[1], dtype=torch.bool)
        rest[placed] = False
        difference = actual - expected
        squared = (difference[:, placed] / position_scale).square().sum(1)
        squared = squared + difference[:, rest].square().sum(1)
        content = expected[:, rest] if rest.any() else expected / position_scale
        return squared, content.square().sum(1)

    return measure


def column_list(columns: Columns, dim: int) -> list[int]:
    """Numbers of the columns, of `dim` in all."""
    return list(range(dim))[columns] if isinstance(columns, slice) else list(columns)


def latent_error(
    representation: Representation,
    actual: Tensor,
    expected: Tensor,
    position_scale: float = 5.0,
) -> float:
    """Relative error of latents (B, D), as E(g x) and g . E(x); see `latent_norms`.

    Returns:
        The error over the batch; 0 is perfect, and about 1.4 what unrelated latents give.
    """
    measure = latent_norms(representation.slices.position, position_scale)
    squared, scale = measure(actual, expected)
    return (squared.sum() / scale.sum()).sqrt().item()
