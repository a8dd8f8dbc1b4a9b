"""Scores of energies and forces: how far off, whether a law holds, and what comes of it.

    error        mean |F - F*| over components; chance answers the mean force of each component
    antisymmetry lambda = |(J - J^T) / 2| / |J|,  J = dF/dx,  0 of forces that are a gradient
    loop work    |sum F dx| / sum |F dx| around a closed path, 0 likewise
    symmetry     |F(g x) - g F(x)| / |F(x)| and |E(g x) - E(x)| over the spread of E

Forces are functions of positions (B, N, 3) in float64, differentiable where a Jacobian is asked for.

References:
    Bigi, Langer, Ceriotti, The dark side of the forces: assessing non-conservative force models for atomistic
    machine learning (2024), https://arxiv.org/abs/2412.11569: lambda, and what direct forces do in dynamics.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score
from eqvae.symmetry import SpaceRotations
from eqvae.symmetry.space import inversion
from eqvae.three.energy.frames import Frames

Forces = Callable[[Tensor], Tensor]  # (B, N, 3) -> (B, N, 3)
Energies = Callable[[Tensor], Tensor]  # (B, N, 3) -> (B,)


def force_error(found: Tensor, frames: Frames, seed: int = 0) -> Score:
    """Mean absolute error over components, meV/Angstrom; the interval is over frames.

    Args:
        found: forces (F, N, 3), eV/Angstrom.
        frames: with the true ones.
        seed: of the interval.

    Raises:
        ValueError: if the shapes differ or `found` is not finite.
    """
    true = frames.labelled("forces")
    _check(found, true, "forces")
    rows = 1e3 * (found - true).abs().flatten(1)
    chance = 1e3 * (true - true.mean(0)).abs().mean()
    return Score.of_mean(
        rows.numpy(),
        Resampling(seed=seed),
        better="lower",
        floor=float(chance),
        ceiling=0.0,
        unit="meV/A",
    )


def energy_error(found: Tensor | None, frames: Frames, seed: int = 0) -> Score:
    """Mean absolute error, meV; null for a model that has no energy."""
    known = {"better": "lower", "unit": "meV"}
    if found is None:
        return Score.null("forces are direct: the model has no energy", **known)
    true = frames.labelled("energies")
    _check(found, true, "energies")
    chance = 1e3 * (true - true.mean()).abs().mean()
    rows = 1e3 * (found - true).abs()
    return Score.of_mean(
        rows.numpy(), Resampling(seed=seed), floor=float(chance), ceiling=0.0, **known
    )


def jacobians(forces: Forces, positions: Tensor) -> Tensor:
    """dF/dx at positions (B, N, 3), row by row: (B, 3 N, 3 N)."""
    x = positions.detach().clone().requires_grad_(True)
    found = forces(x).flatten(1)
    rows = [
        torch.autograd.grad(column.sum(), x, retain_graph=True)[0].flatten(1)
        for column in found.unbind(1)
    ]
    return torch.stack(rows, dim=1).detach()


def antisymmetry(forces: Forces, positions: Tensor, seed: int = 0) -> Score:
    """lambda over positions (B, N, 3): 0 of a gradient, and sqrt(1/2) of a Jacobian without any symmetry."""
    J = jacobians(forces, positions)
    curl = (J - J.transpose(1, 2)) / 2
    return Score.of_root(
        curl.square().sum((1, 2)).numpy(),
        Resampling(seed=seed),
        weights=J.square().sum((1, 2)).numpy(),
        better="lower",
        floor=math.sqrt(0.5),
        ceiling=0.0,
    )


def loops(positions: Tensor, radius: float = 0.05, points: int = 128, seed: int = 0) -> Tensor:
    """A closed path around each of positions (B, N, 3), a circle in a random plane of all coordinates.

    Args:
        positions: their centres.
        radius: root mean square of an atom's way from the centre, Angstrom.
        points: of each path.
        seed: of the planes.

    Returns:
        paths: (B, points, N, 3); the first point follows the last.
    """
    draw = torch.Generator().manual_seed(seed)
    plane = torch.randn(len(positions), 2, *positions.shape[1:], generator=draw).to(positions)
    plane = plane / plane.square().mean(dim=(2, 3), keepdim=True).sqrt() / math.sqrt(3)
    angle = 2 * math.pi * torch.arange(points).to(positions) / points
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    return positions[:, None] + radius * torch.einsum("pk,bknx->bpnx", circle, plane)


def loop_work(forces: Forces, paths: Tensor, seed: int = 0) -> Score:
    """Work around closed paths (B, P, N, 3) over the work whose sign is left out.

    Slopes of the path are those of its Fourier series, so that the sum converges as fast as the forces are
    smooth; `floor` is what forces without any direction give, one over the root of P.

    Raises:
        ValueError: if the paths have fewer than four points.
    """
    if paths.dim() != 4 or paths.shape[1] < 4:
        raise ValueError(
            f"paths must be (paths, points, atoms, 3) with four points or more; got {tuple(paths.shape)}."
        )
    B, P = paths.shape[:2]
    with torch.no_grad():
        found = forces(paths.flatten(0, 1)).detach().reshape(paths.shape)
    step = 1j * torch.fft.fftfreq(P, 1 / P, dtype=torch.float64)
    step = step * (torch.arange(P) * 2 != P)  # the highest frequency has no sign
    slope = torch.fft.ifft(
        torch.fft.fft(paths.to(torch.complex128), dim=1) * step[:, None, None], dim=1
    )
    work = (found * slope.real).sum((2, 3))
    return Score.of_ratio(
        work.sum(1).abs().numpy(),
        work.abs().sum(1).numpy(),
        Resampling(seed=seed),
        better="lower",
        floor=1 / math.sqrt(P),
        ceiling=0.0,
    )


def symmetry_errors(
    forces: Forces,
    energies: Energies | None,
    positions: Tensor,
    elements: Sequence[str],
    seed: int = 0,
) -> dict[str, Score]:
    """How far forces and energies are from their laws: rotations, mirrors and permutations of equal atoms.

    Energies are told over their spread, forces over their size; 0 is perfect.

    Args:
        forces, energies: functions; None for a model without energies.
        positions: (B, N, 3) with B >= 2, in float64.
        elements: of the atoms.
        seed: of the elements of the groups.
    """
    draw = torch.Generator().manual_seed(seed)
    n = len(positions)
    order = _shuffled(elements, draw)
    group = SpaceRotations(parity=True)
    turns = SpaceRotations().sample(n, generator=draw).double()
    mirrored = group.compose(turns, inversion(dtype=torch.float64).expand(n, -1))
    found = {}
    with torch.no_grad():
        still = forces(positions).detach()
        level = None if energies is None else energies(positions).detach()
        moves: dict[str, Callable[[Tensor], Tensor]] = {
            "rotation": lambda x: group.act(turns, x),
            "mirror": lambda x: group.act(mirrored, x),
            "permutation": lambda x: x[:, order],
        }
        for name, move in moves.items():
            moved = move(positions)
            expected = move(still)
            error = (forces(moved).detach() - expected).norm() / expected.norm().clamp(min=1e-300)
            found[f"forces/{name}"] = _law(error, n)
            if energies is not None and level is not None:
                off = (energies(moved).detach() - level).square().mean().sqrt() / level.std()
                found[f"energy/{name}"] = _law(off, n)
    return found


def _law(error: Tensor, n: int) -> Score:
    return Score(float(error), n=n, better="lower", floor=math.sqrt(2), ceiling=0.0)


def _shuffled(elements: Sequence[str], draw: torch.Generator) -> Tensor:
    """An order of the atoms in which equal ones have changed places."""
    order = torch.arange(len(elements))
    names = np.asarray(elements)
    for kind in sorted(set(elements)):
        own = torch.from_numpy(np.flatnonzero(names == kind))
        order[own] = own[torch.randperm(len(own), generator=draw)]
    return order


def _check(found: Tensor, true: Tensor, name: str) -> None:
    if found.shape != true.shape:
        raise ValueError(
            f"{name} must be {tuple(true.shape)} as the frames'; got {tuple(found.shape)}."
        )
    if not bool(found.isfinite().all()):
        raise ValueError(f"{name} must be finite numbers; got NaN or infinity.")
