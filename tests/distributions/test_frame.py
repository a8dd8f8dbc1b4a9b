"""Poses read from latents, in float64."""

import math

import pytest
import torch

from eqvae.distributions import GaussianPosterior
from eqvae.distributions.frame import read_content, read_pose
from eqvae.distributions.reader import FrameReader, projected_normal
from eqvae.symmetry import PlaneMotions, Representation, Similarities

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


def test_the_scale_is_read_with_the_rest_of_the_pose():
    latent, sizes = Representation((3, 2, 1), scale=True), Similarities()
    z = torch.randn(20, latent.dim, generator=torch.Generator().manual_seed(0)).double()
    g = sizes.sample(20, shift=5.0, generator=torch.Generator().manual_seed(1)).double()
    before, after = (read_pose(latent, each).motion for each in (z, latent.act(g, z)))
    expected = sizes.compose(g, before)
    torch.testing.assert_close(
        sizes.log(sizes.compose(sizes.inverse(after), expected)), 0 * g[:, 1:]
    )
    content = read_content(latent, z)
    torch.testing.assert_close(read_content(latent, latent.act(g, z)), content)


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
    lengths = torch.tensor([0.0, 0.5, 2.0, 8.0, 60.0], dtype=torch.float64)
    at = torch.arange(3600, dtype=torch.float64) * (2 * math.pi / 3600)
    density = projected_normal(lengths, at - 1.0).exp()
    torch.testing.assert_close(density.mean(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(density[0], torch.ones(3600, dtype=torch.float64))
    modes = at[density[1:].argmax(dim=1)]
    torch.testing.assert_close(modes, torch.full((4,), 1.0).double(), atol=1e-3, rtol=0)
    mean = torch.tensor([math.cos(1.0), math.sin(1.0)], dtype=torch.float64) * lengths[2]
    draws = mean + torch.randn(200_000, 2, dtype=torch.float64)
    angles = torch.atan2(draws[:, 1], draws[:, 0]) % (2 * math.pi)
    counts = torch.histc(angles, 36, 0, 2 * math.pi) / len(angles) * 36
    torch.testing.assert_close(counts, density[2].reshape(36, 100).mean(dim=1), atol=0.1, rtol=0.05)
    assert (counts - 1).abs().max() > 1  # control: it is not uniform
    assert density.isfinite().all()


@pytest.mark.parametrize("length", [0.0, 0.5, 2.0, 8.0])
def test_bins_of_the_pose_have_the_density_of_the_angle(length):
    """Bins blur by 0.6 degrees, which shows in no distribution ten times as wide."""
    latent = Representation((0, 2), position=False)
    loc = torch.zeros(1, 4, dtype=torch.float64)
    loc[:, 2], loc[:, 3] = length * math.cos(1.0), length * math.sin(1.0)
    scales = torch.zeros(1, 2, dtype=torch.float64)
    q = GaussianPosterior(latent, loc, scales, FrameReader(copy=1))
    at = torch.arange(720, dtype=torch.float64) * (2 * math.pi / 720)
    expected = projected_normal(torch.tensor([length]).double(), at - 1.0).exp()
    density = q.pose.angle_log_density(720).exp()
    torch.testing.assert_close(density, expected, atol=1e-3 * float(expected.max()), rtol=0.02)
    other = GaussianPosterior(latent, loc, scales, FrameReader(copy=0))  # control: nothing in it
    flat = other.pose.angle_log_density(720).exp()
    torch.testing.assert_close(flat, torch.ones_like(flat), atol=1e-2, rtol=0)
