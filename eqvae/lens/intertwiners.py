"""Linear functionals of a function's outputs that move as an irrep does.

For an irrep D of dimension d look for the d x r matrices A and shifts b with

    A w' + b = D(g) (A w + b)      for all x and g,          w = w(f(x)), w' = w(f(g x))

The mean square of the difference is a quadratic form of (A, b), with b eliminated; as w has spread 1, the
root of an eigenvalue is the relative defect of its A: 0 for one that moves as D, about sqrt(2) for one that
has nothing to do with it. If D is irreducible, the outputs hold as many copies of it as there are such A,
over the dimension of D's endomorphisms (Schur). Noise adds to the form what is known, and is taken off; what
is left may differ from 0 by its sampling error, `allowance`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.lens.outputs import Moments, allowance
from eqvae.symmetry.irreps import Irrep


@dataclass(frozen=True)
class Copies:
    """The copies of one irrep among the outputs.

    Attributes:
        irrep: D.
        functionals: A of every copy, (copies, d, r).
        offsets: b of every copy, (copies, d).
        defects: relative defect of each accepted A, ascending.
        refused: the smallest relative defect that was refused; 2 if none was.
        is_trivial: whether D moves nothing.
    """

    irrep: Irrep
    functionals: Tensor
    offsets: Tensor
    defects: Tensor
    refused: float
    is_trivial: bool

    def __len__(self) -> int:
        return len(self.functionals)


def copies_of(irrep: Irrep, matrices: Tensor, moments: Moments, tolerance: float) -> Copies:
    """The copies of an irrep among whitened outputs.

    Args:
        irrep: D.
        matrices: D(g) for the elements of the moments, (M, d, d).
        moments: of the outputs.
        tolerance: largest relative defect of a copy, beside what noise may add.
    """
    d, size = irrep.dim, len(moments.still)
    form = quadratic_form(matrices, moments)
    rows = torch.arange(d * size).reshape(d, size)
    inner, outer = rows[:, :-1].flatten(), rows[:, -1]
    linear = form[inner][:, inner]
    shifts = torch.zeros(d, d * (size - 1), dtype=form.dtype)  # b = shifts @ A
    trivial = _is_trivial(matrices)
    if not trivial:
        shifts = -torch.linalg.lstsq(form[outer][:, outer], form[outer][:, inner]).solution
        linear = linear + form[inner][:, outer] @ shifts
    values, vectors = torch.linalg.eigh((linear + linear.T) / 2)
    defects = values.clamp(min=0).sqrt()
    a = vectors.T.reshape(-1, d, size - 1)
    noise = 2 * torch.einsum("nai,ij,naj->n", a, moments.noise[:-1, :-1], a)
    found = int((values <= tolerance**2 + allowance(noise, moments.rows)).cummin(0).values.sum())
    chosen = _independent(a[:found], irrep)
    offsets = chosen.flatten(1) @ shifts.T
    refused = defects[found].item() if found < len(defects) else 2.0
    return Copies(irrep, chosen, offsets, defects[:found], refused, trivial)


def quadratic_form(matrices: Tensor, moments: Moments) -> Tensor:
    """Mean of |B w' - D(g) B w|^2 over data and elements, less what noise adds, as a matrix of B.

    Args:
        matrices: D(g), orthogonal, (M, d, d).
        moments: of w with 1 appended.

    Returns:
        The matrix of the form on row-major B, (d (r + 1), d (r + 1)).
    """
    d = matrices.shape[1]
    size = len(moments.still)
    same = moments.after.mean(0) + moments.still - 2 * moments.noise
    cross = torch.einsum("kab,kij->aibj", matrices, moments.cross) / len(matrices)
    cross = cross.reshape(d * size, d * size)
    return torch.kron(torch.eye(d, dtype=same.dtype), same) - cross - cross.T


@dataclass(frozen=True)
class Place:
    """The functionals of outputs that move as a position, A w' + b = R (A w + b) + t.

    Attributes:
        functional: A, (dim, r).
        offset: b, (dim,).
        defect: root mean square of the difference over that of the shifts t, noise taken off.
        allowed: what noise may add to it.
    """

    functional: Tensor
    offset: Tensor
    defect: float
    allowed: float


def place_among(linear: Tensor, shifts: Tensor, moments: Moments, tolerance: float) -> Place:
    """The position that outputs come closest to holding, the smallest where there are several.

    Args:
        linear: R of the elements, (M, dim, dim).
        shifts: t of the elements, (M, dim).
        moments: of the outputs.
        tolerance: relative defect of functionals that do not move with shifts.
    """
    d, size = shifts.shape[1], len(moments.still)
    form = quadratic_form(linear, moments)
    after, still = moments.after[..., -1], moments.still[..., -1]  # means of w' and w
    back = torch.einsum("kba,kb->ka", linear, shifts)
    right = torch.einsum("ka,ki->ai", shifts, after) - back.sum(0)[:, None] * still
    right = right.flatten() / len(shifts)
    values, vectors = torch.linalg.eigh(form)
    kept = values > max(tolerance**2, 1e-12)
    solution = vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept])
    size_of_shifts = shifts.square().sum(1).mean()
    rest = size_of_shifts - 2 * solution @ right + solution @ form @ solution
    functional = solution.reshape(d, size)
    defect = (rest.clamp(min=0) / size_of_shifts).sqrt().item()
    noise = 2 * torch.trace(functional @ moments.noise @ functional.T) / size_of_shifts
    allowed = allowance(noise, moments.rows) ** 0.5
    return Place(functional[:, :-1], functional[:, -1], defect, allowed.item())


def _is_trivial(matrices: Tensor) -> bool:
    one = torch.eye(matrices.shape[1], dtype=matrices.dtype)
    return bool((matrices - one).abs().max() < 1e-9)


def _independent(found: Tensor, irrep: Irrep) -> Tensor:
    """One A of each copy: those that no endomorphism makes of the ones before, (copies, d, r)."""
    if irrep.endomorphisms == 1 or not len(found):
        return found
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=found.dtype)
    taken, chosen = found.new_zeros(0, found[0].numel()), []
    for a in found:
        rest = a.flatten() - taken.T @ (taken @ a.flatten())
        if rest.norm() > 0.5 and len(chosen) < len(found) // 2:
            a = (rest / rest.norm()).reshape(a.shape)
            chosen.append(a)
            taken = torch.cat([taken, a.reshape(1, -1), (turn @ a).reshape(1, -1)])
    return torch.stack(chosen) if chosen else found[:0]
