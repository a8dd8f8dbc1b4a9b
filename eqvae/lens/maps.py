"""Linear maps that commute with a group: how many there are, all of them, and one from a single pair.

    W rho_in(g) = rho_out(g) W      for all g

Schur: dim Hom_G(V, U) = sum over irreps of m(V) m(U) e, with multiplicities m from averages of characters
and e the dimension of the irrep's own endomorphisms. The numerical null space of the equations above, for
elements that generate the group, must have the same dimension: each is a check of the other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.symmetry.affine import AffineRepresentation, linear_matrices, max_frequency
from eqvae.symmetry.elements import class_average, generating_elements
from eqvae.symmetry.group import Group
from eqvae.symmetry.irreps import POSITION, irreps_of, representation_of
from eqvae.symmetry.plane import PlaneMotions

Given = str | AffineRepresentation
_LARGEST = 2500  # entries of W whose null space is found
_NULL = 1e-9  # of the largest singular value


def multiplicities(rho: Given, group: Group) -> dict[str, int]:
    """How often each irrep of a group stands in a linear representation, by name; zeros are left out.

    m = <chi, chi_irrep> / e, an average over the group's conjugacy classes.

    Example:
        >>> from eqvae.symmetry import PlaneMotions
        >>> multiplicities("3x1 + 1x2", PlaneMotions.cyclic(4))
        {'1': 3, 'alt': 2}
    """
    rho = _linear(group, rho, "rho")
    frequency = max_frequency(rho)
    irreps = irreps_of(group, frequency)
    elements, weights = class_average(group, 2 * frequency)
    trace = torch.einsum("kii->k", linear_matrices(rho, elements))
    found = {}
    for irrep in irreps:
        character = torch.einsum("kii->k", irrep.matrix(elements))
        copies = ((weights * trace * character).sum() / irrep.endomorphisms).item()
        if round(copies):
            found[irrep.name] = round(copies)
    return found


def num_equivariant_maps(rho_in: Given, rho_out: Given, group: Group) -> int:
    """The dimension of the space of equivariant linear maps, by Schur's lemma.

    Args:
        rho_in: representation or text; linear, so without position.
        rho_out: the same for outputs.
        group: that acts.

    Raises:
        ValueError: for a representation with a position, which no linear map keeps.

    Example:
        >>> from eqvae.symmetry import SpaceRotations
        >>> num_equivariant_maps(
        ...     "2x0e + 2x1o + 1x2e", "2x0e + 2x1o + 1x2e", SpaceRotations(parity=True)
        ... )
        9
    """
    first, second = (multiplicities(rho, group) for rho in (rho_in, rho_out))
    frequency = max(max_frequency(representation_of(group, rho)) for rho in (rho_in, rho_out))
    return sum(
        first.get(irrep.name, 0) * second.get(irrep.name, 0) * irrep.endomorphisms
        for irrep in irreps_of(group, frequency)
    )


def equivariant_basis(rho_in: Given, rho_out: Given, group: Group) -> Tensor:
    """An orthonormal basis of the equivariant linear maps, (K, D_out, D_in), as a null space.

    Raises:
        ValueError: for a representation with a position, or more than 2500 entries of a map.
    """
    first, second = _linear(group, rho_in, "rho_in"), _linear(group, rho_out, "rho_out")
    n = first.dim * second.dim
    if n > _LARGEST:
        raise ValueError(
            f"rho_in and rho_out must have at most {_LARGEST} pairs of coordinates; got {second.dim} x "
            f"{first.dim}. Take num_equivariant_maps, or one block after the other."
        )
    elements = generating_elements(group)
    a, b = linear_matrices(first, elements), linear_matrices(second, elements)
    rows = [
        torch.kron(out, torch.eye(first.dim, dtype=out.dtype))
        - torch.kron(torch.eye(second.dim, dtype=out.dtype), into.T.contiguous())
        for into, out in zip(a, b, strict=True)
    ]
    equations = torch.cat([torch.zeros(1, n, dtype=torch.float64), *rows])
    _, values, vectors = torch.linalg.svd(equations, full_matrices=True)
    values = torch.cat([values, values.new_zeros(n - len(values))])
    null = values <= _NULL * max(values[0].item(), 1.0)
    return vectors[null].reshape(-1, second.dim, first.dim)


@dataclass(frozen=True)
class RecoveredMap:
    """An equivariant linear map that pairs determine.

    Attributes:
        matrix: W, (D_out, D_in); the smallest where there are several.
        rank: dimension of what the orbits of the inputs span: of D_in, W is unique.
        residual: |W u - y| / |y|; above noise no equivariant map has these pairs.
    """

    matrix: Tensor
    rank: int
    residual: float

    @property
    def is_unique(self) -> bool:
        return self.rank == self.matrix.shape[1]


def recover_equivariant_map(
    u: Tensor, y: Tensor, group: Group, rho_in: Given, rho_out: Given, *, seed: int = 0
) -> RecoveredMap:
    """The equivariant map W with W u = y, from one pair: each element g adds W rho_in(g) u = rho_out(g) y.

    Args:
        u: input (D_in,), or several, (n, D_in).
        y: output (D_out,) or (n, D_out).
        group: that acts; all elements of a finite one, draws of a continuous one.
        rho_in: linear representation of inputs, or its text.
        rho_out: of outputs.
        seed: of the draws.

    Raises:
        ValueError: if sizes do not fit, or a number is not finite.

    Example:
        >>> from eqvae.symmetry import PlaneMotions
        >>> shift = torch.roll(torch.eye(8), 3, 0).double()  # commutes with C_8
        >>> u = torch.arange(8.0).double() ** 2
        >>> found = recover_equivariant_map(
        ...     u, shift @ u, PlaneMotions.cyclic(8), "regular", "regular"
        ... )
        >>> found.is_unique, torch.allclose(found.matrix, shift)
        (True, True)
    """
    first, second = _linear(group, rho_in, "rho_in"), _linear(group, rho_out, "rho_out")
    u, y = (torch.atleast_2d(torch.as_tensor(part)).double() for part in (u, y))
    for name, rows, rho in (("u", u, first), ("y", y, second)):
        if rows.shape[1] != rho.dim or len(u) != len(y):
            raise ValueError(
                f"{name} must be one row or more of {rho.dim} numbers, as many as the other; got shape "
                f"{tuple(rows.shape)}."
            )
        if not bool(torch.isfinite(rows).all()):
            raise ValueError(f"{name} must be finite; it holds NaN or infinity.")
    if isinstance(group, PlaneMotions) and group.is_finite:
        elements = group.grid(1).double()
    else:
        draws = group.sample(2 * first.dim + 8, generator=torch.Generator().manual_seed(seed))
        elements = torch.cat([generating_elements(group), draws.double()])
    many = elements.repeat_interleave(len(u), dim=0)
    inputs = first.act(many, u.repeat(len(elements), 1))
    outputs = second.act(many, y.repeat(len(elements), 1))
    left, values, right = torch.linalg.svd(inputs, full_matrices=False)
    kept = values > _NULL * values[0]
    matrix = (outputs.T @ left[:, kept] / values[kept]) @ right[kept]
    residual = ((u @ matrix.T - y).norm() / y.norm().clamp(min=1e-300)).item()
    return RecoveredMap(matrix, int(kept.sum()), residual)


def _linear(group: Group, given: Given, argument: str) -> AffineRepresentation:
    found = representation_of(group, given)
    if any(block.name == POSITION for block in found.blocks):
        raise ValueError(
            f"{argument} must be linear, without a position, which shifts move; got {found}. Take its "
            f".vector."
        )
    return found
