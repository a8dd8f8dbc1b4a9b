"""Components whose frames were turned at random stand alike again, in float64."""

import pytest
import torch
from torch import Tensor

from eqvae.distributions.orbit import OrbitMixture
from eqvae.distributions.orbit.frames import (
    align_frames,
    alike,
    inverses,
    product_table,
    turn_frames,
)
from eqvae.symmetry import PlaneMotions, Representation, angle_of, motion, reflection_of
from tests.cases import BY_NAME
from tests.distributions.orbit.planted import O2, SO2, TRIVIAL, known, motions, planted, seeded

LATENT = Representation((2, 2, 2), sign=1, position=False)
K = 6
GROUPS = [SO2, O2, PlaneMotions.cyclic(8), PlaneMotions.dihedral(4)]
EVERY = pytest.mark.parametrize("symmetry", GROUPS, **BY_NAME)


@torch.no_grad()
def family(symmetry: PlaneMotions, rank: int = 0) -> OrbitMixture:
    """Objects that change little by little, all in one frame: they point right, and have one chirality.

    With no imaginary part and a positive real one, no turn brings two of them closer to each other.
    """
    ends = 1.5 * torch.randn(2, LATENT.dim, generator=seeded(2), dtype=torch.float64).abs() + 0.5
    ends[:, LATENT.slices.moving][:, 1::2] = 0.0
    share = torch.linspace(0, 1, K, dtype=torch.float64)[:, None]
    mixture = planted(LATENT, symmetry, K, rank, scale=0.4, angles=128)
    mixture.loc.copy_((1 - share) * ends[0] + share * ends[1])
    mixture.log_scale.fill_(-1.0)
    mixture.logits.zero_()
    return mixture


def turns_between(symmetry: PlaneMotions, before: Tensor, after: Tensor) -> Tensor:
    """The motion that brings each mean of before closest to that of after, (K, 4), to a tenth of a degree."""
    grid = symmetry.grid(3600)
    orbits = torch.stack([LATENT.act(grid, mu.expand(len(grid), -1)) for mu in before])  # (K, A, D)
    return grid[(orbits - after[:, None]).square().sum(2).argmin(1)]


def spread(turn: Tensor, fold: int = 1) -> float:
    """How far turns are from one common turn, modulo a part of a whole one, degrees."""
    wave = torch.exp(1j * fold * angle_of(turn))
    off = (wave / (wave.mean() / wave.mean().abs())).angle() / fold
    return float(torch.rad2deg(off.abs().max()))


@EVERY
@pytest.mark.parametrize("rank", [0, 2])
def test_planted_turns_are_undone_up_to_a_common_one(symmetry, rank):
    truth = family(symmetry, rank)
    before = truth.loc.clone()
    v = truth.sample(1500, seeded())
    turn_frames(truth, motions(symmetry, K))
    turned, truth.angles = truth.loc.clone(), 512
    density = truth.log_prob(v[:50])
    scattered = turns_between(symmetry, before, turned)
    align_frames(truth, known(v, LATENT))
    common = turns_between(symmetry, before, truth.loc)
    assert torch.equal(reflection_of(common), reflection_of(common)[:1].expand(K))
    assert spread(common) < 3
    assert spread(scattered) > 30  # control: they were turned
    torch.testing.assert_close(truth.log_prob(v[:50]), density, rtol=0, atol=1e-6)


@pytest.mark.parametrize("symmetry", [SO2, O2], **BY_NAME)
def test_turns_are_finer_than_the_grid_of_votes(symmetry, monkeypatch):
    """Half a step of a grid of 24 is 7.5 degrees; the mean of the votes near by is much finer."""
    monkeypatch.setattr("eqvae.distributions.orbit.frames._ANGLES", 24)
    errors, zero = [], torch.zeros(K, dtype=torch.float64)
    for small in (True, False):
        truth = family(symmetry)
        before, v = truth.loc.clone(), truth.sample(1500, seeded())
        turn_frames(truth, motions(symmetry, K))
        if not small:
            monkeypatch.setattr("eqvae.distributions.orbit.frames._least_squares", lambda *_: zero)
        align_frames(truth, known(v, LATENT))
        errors.append(spread(turns_between(symmetry, before, truth.loc)))
    assert errors[0] < 1 < 4 < errors[1]


def test_a_symmetric_component_is_right_at_any_of_its_turns():
    """It looks the same after half a turn: two frames are right, and lead no other component astray."""
    truth = family(SO2)
    with torch.no_grad():
        truth.loc[2, LATENT.slices.frame] = 0.0
    before, v = truth.loc.clone(), truth.sample(1500, seeded())
    turn_frames(truth, motions(SO2, K))
    align_frames(truth, known(v, LATENT))
    common = turns_between(SO2, before, truth.loc)
    others = [k for k in range(K) if k != 2]
    assert spread(common[others]) < 3
    assert spread(common, fold=2) < 3


def test_unlike_groups_of_components_stay_right_inside():
    """Two families that share no latents: each has one frame, which of the two is nobody's to say."""
    truth = family(SO2)
    with torch.no_grad():
        truth.loc[K // 2 :, LATENT.slices.content] += 100
    before, v = truth.loc.clone(), truth.sample(1500, seeded())
    turn_frames(truth, motions(SO2, K))
    align_frames(truth, known(v, LATENT))
    common = turns_between(SO2, before, truth.loc)
    assert spread(common[: K // 2]) < 3 and spread(common[K // 2 :]) < 3
    inside = truth.overlap[: K // 2, : K // 2].sum() + truth.overlap[K // 2 :, K // 2 :].sum()
    assert inside / truth.overlap.sum() > 0.999


def test_a_drift_finer_than_the_grid_stays_and_is_told():
    """Frames of exact templates that drift by less than a step: their spread is the drift's."""
    drift = torch.linspace(-0.6, 0.6, K, dtype=torch.float64).deg2rad()
    told = []
    for size in (1.0, 0.0):
        truth = family(SO2)
        turn_frames(truth, motion(size * drift).to(truth.loc))
        before = truth.loc.clone()
        align_frames(truth, known(before.repeat(20, 1), LATENT))
        torch.testing.assert_close(truth.loc, before)
        told.append(truth.frame_scale)
    assert told[0].shape == (K,)
    torch.testing.assert_close(
        told[0], drift.std(correction=0).expand(K).to(told[0]), rtol=0.35, atol=0
    )
    assert float(told[1].max()) < 0.3 * float(told[0].min())  # control: no drift


def test_alike_components_are_those_that_share_latents():
    """All of a kind count alike, and none of another."""
    near = alike(torch.block_diag(torch.ones(3, 3), torch.ones(2, 2), torch.zeros(1, 1)).double())
    expected = torch.block_diag(torch.full((3, 3), 1 / 3), torch.full((2, 2), 0.5), torch.eye(1))
    torch.testing.assert_close(near, expected.double())


def test_overlap_says_who_explains_the_same_latents():
    truth = family(SO2)
    align_frames(truth, known(truth.sample(1500, seeded()), LATENT))
    torch.testing.assert_close(truth.overlap, truth.overlap.T)
    by_distance = [float(truth.overlap.diagonal(i).mean()) for i in range(1, K)]
    assert by_distance == sorted(by_distance, reverse=True)
    assert torch.equal(truth.overlap.diagonal(), torch.zeros(K, dtype=torch.float64))


@pytest.mark.parametrize("symmetry", [TRIVIAL, SO2], **BY_NAME)
def test_what_needs_no_frames_is_left_alone(symmetry):
    """Components of the trivial group, or a single one."""
    mixture = planted(LATENT, symmetry, K if symmetry == TRIVIAL else 1)
    before = mixture.loc.clone()
    align_frames(mixture, known(mixture.sample(200, seeded()), LATENT))
    assert torch.equal(mixture.loc, before)


@pytest.mark.parametrize("symmetry", [*GROUPS, PlaneMotions.dihedral(1), TRIVIAL], **BY_NAME)
def test_the_product_table_is_that_of_the_group(symmetry):
    grid = symmetry.grid(12)
    table, n = product_table(symmetry, grid), len(symmetry.grid(12))
    every = torch.arange(n)
    assert torch.equal(table[0], every) and torch.equal(table[:, 0], every)
    assert torch.equal(table.sort(0).values, every[:, None].expand(n, n))
    assert torch.equal(table.sort(1).values, every.expand(n, n))
    assert torch.equal(table[table], table[:, table])  # (a b) c = a (b c)
    assert torch.equal(table[every, inverses(table)], torch.zeros(n, dtype=torch.int64))
    a, b = every.repeat_interleave(n), every.repeat(n)
    points = torch.randn(n * n, 2, dtype=torch.float64)
    once = symmetry.act(grid[table[a, b]], points)
    torch.testing.assert_close(once, symmetry.act(grid[a], symmetry.act(grid[b], points)))
