"""Poses read from latents, in float64."""

import math

import pytest
import torch

from eqvae.distributions import GaussianPosterior
from eqvae.distributions.frame import read_content, read_pose
from eqvae.symmetry import PlaneMotions, Representation

REPRESENTATION = Representation((3, 2, 1))


def latents(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, REPRESENTATION.dim, generator=generator, dtype=torch.float64)


def motions(n: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return PlaneMotions.so2().sample(n, shift=5.0, generator=generator).double()


def wrapped(angle: torch.Tensor) -> torch.Tensor:
    return torch.atan2(angle.sin(), angle.cos())


def test_the_angle_and_position_move_with_the_latent():
    z, g = latents(20), motions(20)
    before, after = (
        read_pose(REPRESENTATION, z),
        read_pose(REPRESENTATION, REPRESENTATION.act(g, z)),
    )
    turned = wrapped(after.motion[:, 1] - before.motion[:, 1] - g[:, 1])
    assert turned.abs().max() < 1e-12
    torch.testing.assert_close(after.motion[:, 2:], REPRESENTATION.act(g, z)[:, :2])
    torch.testing.assert_close(after.certainty, before.certainty)


def test_content_ignores_pose_and_keeps_everything_else():
    z, g = latents(20), motions(20)
    content = read_content(REPRESENTATION, z)
    torch.testing.assert_close(read_content(REPRESENTATION, REPRESENTATION.act(g, z)), content)
    pose = read_pose(REPRESENTATION, z).motion
    origin = torch.cat([torch.zeros(20, 2, dtype=z.dtype), content], dim=1)
    torch.testing.assert_close(REPRESENTATION.act(pose, origin), z)
    assert (z[:, 2:] - content).abs().max() > 0.1  # control: v itself does turn


def test_a_latent_without_vectors_has_no_angle():
    with pytest.raises(ValueError, match=r"multiplicities\[1\] >= 1"):
        read_pose(Representation((3,)), torch.zeros(1, 5))
    with pytest.raises(ValueError, match="counted from 0; got 2"):
        read_pose(REPRESENTATION, latents(1), copy=2)


def test_the_angle_of_a_gaussian_frame_has_the_projected_normal_distribution():
    latent = Representation((0, 2), position=False)
    lengths = torch.tensor([0.0, 0.5, 2.0, 8.0, 60.0], dtype=torch.float64)
    loc = torch.zeros(5, 4, dtype=torch.float64)
    loc[:, 2], loc[:, 3] = lengths * math.cos(1.0), lengths * math.sin(1.0)
    q = GaussianPosterior(latent, loc, torch.zeros(5, 2, dtype=torch.float64))
    density = q.angle_log_density(copy=1, points=3600).exp()
    torch.testing.assert_close(density.mean(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(density[0], torch.ones(3600, dtype=torch.float64))
    modes = density[1:].argmax(dim=1).double() * (2 * math.pi / 3600)
    torch.testing.assert_close(modes, torch.full((4,), 1.0).double(), atol=1e-3, rtol=0)
    draws = loc[2, 2:] + torch.randn(200_000, 2, dtype=torch.float64)
    angles = torch.atan2(draws[:, 1], draws[:, 0]) % (2 * math.pi)
    counts = torch.histc(angles, 36, 0, 2 * math.pi) / len(angles) * 36
    torch.testing.assert_close(counts, density[2].reshape(36, 100).mean(dim=1), atol=0.1, rtol=0.05)
    assert (counts - 1).abs().max() > 1  # control: it is not uniform
    assert density.isfinite().all()
