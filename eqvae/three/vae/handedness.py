"""Handedness of any molecule: pseudoscalars of the surroundings of its atoms, from their exact lift.

    v_cn(i) = sum_j a_jc R_n(|x_j - x_i|) Y_1(x_j - x_i)        vectors about i: channel c, shell n
    0o: sum_i det(v_a(i), v_b(i), v_c(i))        0e: sum_i v_a(i) . v_b(i)

Both stay under every motion and every renumbering of the atoms; a mirror changes the sign of 0o alone.
"""

from itertools import combinations, combinations_with_replacement

import torch
from torch import Tensor

from eqvae.three.lift import Lift

SHELLS = (1.5, 2.5)  # Angstrom: neighbours, and theirs
_NONE = 0.1  # a volume below this says little


def surroundings(
    positions: Tensor, weights: Tensor, centres: Tensor, lift: Lift | None = None
) -> tuple[Tensor, Tensor]:
    """Invariants 0e and pseudoscalars 0o of molecules of N atoms, summed over central atoms.

    Args:
        positions: (B, N, 3), Angstrom.
        weights: of each atom in each channel, (N, C), such as `Points.channels`.
        centres: which atoms count as centres, (N,) bool.
        lift: with lmax of 1 or more; None for two shells, of neighbours and theirs.

    Returns:
        0e (B, K (K + 1) / 2) and 0o (B, K choose 3) of the K = C n vectors.
    """
    lift = Lift(lmax=1, shells=SHELLS, width=0.4) if lift is None else lift
    at = centres.nonzero()[:, 0]
    about = positions[:, None] - positions[:, at, None]  # (B, centres, N, 3)
    near = torch.ones(about.shape[:3], dtype=positions.dtype)
    near[:, torch.arange(len(at)), at] = 0.0  # no atom is its own neighbour
    found = lift(about.flatten(0, 1), weights.to(positions), near.flatten(0, 1))
    v = found[..., 1:4].flatten(1, 2).unflatten(0, (len(positions), len(at)))
    pairs = torch.tensor(list(combinations_with_replacement(range(v.shape[2]), 2))).T
    threes = torch.tensor(list(combinations(range(v.shape[2]), 3))).T
    even = (v[:, :, pairs[0]] * v[:, :, pairs[1]]).sum(dim=(1, 3))
    a, b, c = (v[:, :, row] for row in threes)
    volume = (a * torch.linalg.cross(b, c)).sum(dim=3)
    sides = a.norm(dim=3) * b.norm(dim=3) * c.norm(dim=3)
    return even, (volume / (sides + _NONE)).sum(dim=1)
