"""Objects that the tests of poses look at: exact scenes, coordinates of them, and views."""

import math
from functools import cache

import torch
from torch import Tensor

from eqvae.nn.harmonics import DiskHarmonics
from eqvae.pose.space import TemplateSpace, View
from eqvae.symmetry import motion
from eqvae.testing import GaussianScenes
from tests.cases import basis

SIZE, DEGREE = 41, 16  # holds the scenes to 2e-3 of their norm and is fast


def space(channels: int = 1, size: int = SIZE, degree: int = DEGREE) -> TemplateSpace:
    return TemplateSpace(basis(size, channels, degree))


@cache
def scenes(n: int = 3, channels: int = 1, size: int = SIZE) -> GaussianScenes:
    return GaussianScenes(n, seed=1, size=size, channels=channels, dtype=torch.float64)


def degrees(harmonics: DiskHarmonics) -> Tensor:
    """2n + l of every function, (dim,)."""
    columns = []
    for ell, copies in enumerate(harmonics.multiplicities):
        for n in range(copies):
            columns += [2 * n + ell] * (1 if ell == 0 else 2)
    return torch.tensor(columns)


def smooth(where: TemplateSpace, n: int, spare: int = 2) -> Tensor:
    """Random coordinates (n, dim) without background, the highest `spare` degrees zero."""
    kept = degrees(where.harmonics) <= where.harmonics.degree - spare
    made = torch.randn(n, where.channels, where.harmonics.dim, dtype=torch.float64) * kept
    return where.extend(made)


def seen_at(x: Tensor, t: Tensor | None = None, transfer: Tensor | None = None) -> View:
    """Images from positions, the centre by default."""
    where = space(x.shape[1], x.shape[-1])
    return where.look(x, torch.zeros(len(x), 2).to(x) if t is None else t, transfer)


def template(scene: GaussianScenes) -> Tensor:
    """Coordinates of scenes as they are, the background left out."""
    x = scene.render()
    where = space(x.shape[1], x.shape[-1])
    coordinates = where.analyse(x, torch.zeros(len(x), 2).to(x))
    return where.extend(where.coefficients(coordinates))


def rotationally_symmetric(order: int, n: int = 2) -> Tensor:
    """Coordinates of scenes that look the same after a turn by 2 pi / order; 0 for any turn."""
    d = template(scenes(n))
    if order == 0:
        return d * (space().layout(d).frequency == 0)
    turns = [space().turn(d, torch.full((n,), 2 * math.pi * k / order).to(d)) for k in range(order)]
    return torch.stack(turns).mean(dim=0)


def drawn(d: Tensor, g: Tensor) -> Tensor:
    """Images of coordinates moved by g, (n, C, SIZE, SIZE)."""
    g = g.to(d).expand(len(d), 4)
    return space().synthesise(space().turn(d, g[:, 1], g[:, 0]), g[:, 2:])


def wrapped(angle: Tensor) -> Tensor:
    return torch.atan2(angle.sin(), angle.cos())


def degree_motion(angle: float, x: float = 0.0, y: float = 0.0, reflection: float = 0.0) -> Tensor:
    return motion(math.radians(angle), (x, y), reflection, dtype=torch.float64)
