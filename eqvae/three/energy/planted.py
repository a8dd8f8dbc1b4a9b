"""Methanol with an energy that is written down: a truth to hold models against, with no chemistry behind it.

    E = sum D (1 - exp(-a (r - r0)))^2  over bonds            Morse
      + sum k (cos t - cos t0)^2 / 2    over angles
      + sum e (1 + cos 3 p) / 2         over the three torsions H-C-O-H
      + sum c / r^6                     over hydrogens of the methyl group and that of the hydroxyl group

It is smooth, invariant under E(3) and under permutations of the methyl group's hydrogens.
"""

import torch
from torch import Tensor

from eqvae.three.energy.dynamics import langevin, masses_of
from eqvae.three.energy.frames import Frames

ELEMENTS = ("C", "O", "H", "H", "H", "H")  # the last one is the hydroxyl group's
_BONDS = torch.tensor([[0, 1], [0, 2], [0, 3], [0, 4], [1, 5]])
_DEPTH, _STEEPNESS, _LENGTH = torch.tensor(  # eV, 1/Angstrom, Angstrom
    [[3.8, 2.0, 1.42], *[[4.3, 1.9, 1.09]] * 3, [4.6, 2.3, 0.96]], dtype=torch.float64
).unbind(1)
_ANGLES = torch.tensor(
    [[1, 0, 2], [1, 0, 3], [1, 0, 4], [2, 0, 3], [2, 0, 4], [3, 0, 4], [0, 1, 5]]
)
_STIFFNESS, _COSINE = torch.tensor(  # eV, of t0
    [*[[5.0, -0.36]] * 3, *[[3.5, -0.31]] * 3, [5.0, -0.31]], dtype=torch.float64
).unbind(1)
_BARRIER, _REPULSION = 0.05, 0.3  # eV of each torsion, eV Angstrom^6


def energy(positions: Tensor) -> Tensor:
    """E of positions (B, 6, 3), Angstrom: (B,), eV."""
    x = positions
    first, second = _BONDS.unbind(1)
    r = (x[:, first] - x[:, second]).norm(dim=2)
    total = (_DEPTH * (1 - torch.exp(-_STEEPNESS * (r - _LENGTH))).square()).sum(1)
    one, middle, other = _ANGLES.unbind(1)
    cosine = torch.cosine_similarity(x[:, one] - x[:, middle], x[:, other] - x[:, middle], dim=2)
    total = total + (_STIFFNESS / 2 * (cosine - _COSINE).square()).sum(1)
    axis, methyl = x[:, 1:2] - x[:, :1], x[:, 2:5]
    to_last = torch.linalg.cross(axis, x[:, 5:] - x[:, 1:2])
    to_methyl = torch.linalg.cross(axis.expand_as(methyl), methyl - x[:, :1])
    c = torch.cosine_similarity(to_methyl, to_last, dim=2)
    total = total + _BARRIER / 2 * (1 + 4 * c**3 - 3 * c).sum(1)  # cos 3 p = 4 cos^3 p - 3 cos p
    total = total + (_REPULSION / (methyl - x[:, 5:]).square().sum(2) ** 3).sum(1)
    return total


def forces(positions: Tensor) -> Tensor:
    """-dE/dx of positions (B, 6, 3): (B, 6, 3), eV/Angstrom."""
    with torch.enable_grad():
        x = positions.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(energy(x).sum(), x)
    return -slope


def start() -> Tensor:
    """A conformation near rest, (1, 6, 3)."""
    return torch.tensor(
        [
            [
                [0.0, 0.0, 0.0],
                [1.42, 0.0, 0.0],
                [-0.37, 1.03, 0.0],
                [-0.37, -0.51, 0.89],
                [-0.37, -0.51, -0.89],
                [1.72, -0.91, 0.0],
            ]
        ],
        dtype=torch.float64,
    )


def methanol(num: int = 500, temperature: float = 400.0, seed: int = 0) -> Frames:
    """Frames drawn at a temperature: 125 molecules side by side, 50 fs apart after 250 fs.

    Args:
        num: of frames; they are in random order.
        temperature: K.
        seed: of the dynamics.
    """
    many = 125
    times = [250.0 + 50 * k for k in range(-(-num // many))]
    first = start().expand(many, -1, -1)
    masses = masses_of(ELEMENTS)
    path = langevin(forces, first, masses, temperature, times=times, step=1.0, seed=seed)
    order = torch.randperm(path.shape[0] * many, generator=torch.Generator().manual_seed(seed))
    x = path.flatten(0, 1)[order[:num]]
    return Frames(x, ELEMENTS, energy(x), forces(x), source="methanol")
