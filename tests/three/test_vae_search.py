"""The posterior of a rotation is the pose search's correlation at l = 1."""

import torch

from eqvae.symmetry.space import SpaceRotations, rotation_part
from eqvae.three.search.correlation import at, pairs
from eqvae.three.vae.rigid import RigidLikelihood


def test_on_a_grid_it_is_the_correlation_of_vectors():
    """log q(R) = sum_i x_i . D^1(R) D_i / sigma^2 + constant: each atom is a shell of its own."""
    torch.manual_seed(0)
    d = torch.randn(1, 6, 3, dtype=torch.float64)
    d = d - d.mean(1, keepdim=True)
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    grid = SpaceRotations().grid(500)
    turns = rotation_part(grid)
    pose = RigidLikelihood(0.5).double().marginal(x[:, None], d, 2.0).pose
    y = x - x.mean(1, keepdim=True)
    a, b = (torch.nn.functional.pad(part, (1, 0))[:, None] for part in (y, d))  # l = 0, l = 1
    score = at(pairs(a, b), grid)[0] / 0.5
    away = pose.rotation_log_density(turns)[0] - score
    assert float(away.std().detach()) < 1e-6
