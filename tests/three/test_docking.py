"""Fitting and docking: exact where nothing is noisy, refused without a pose, ranked by the exact score."""

import pytest
import torch
from torch import Tensor

from eqvae.claims.rows.space_docking import away, complex_of
from eqvae.symmetry import SpaceMotions
from eqvae.three.harmonics import all_harmonics
from eqvae.three.lift import Lift
from eqvae.three.search.docking import Mesh, RigidDocking, on_shells, on_spheres, terms
from eqvae.three.search.fitting import RigidFit
from eqvae.three.search.overlap import PairScore, Term, climb
from eqvae.three.search.placements import distinct, rows_of
from eqvae.three.search.translations import coefficients_about, places

SE3 = SpaceMotions()


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def motions(n: int, seed: int = 0, shift: float = 20.0) -> Tensor:
    return SE3.sample(n, shift=shift, generator=torch.Generator().manual_seed(seed)).double()


@pytest.fixture(scope="module")
def parts() -> list[Tensor]:
    return complex_of(0, (60, 40))


def test_a_part_is_found_from_any_pose(parts):
    whole = torch.cat(parts)
    moved = SE3.act(motions(1), parts[0])
    found = RigidFit(candidates=8)(whole, moved, most=3)
    assert away(found, moved, parts[0]) < 0.02
    assert found.scores[0] > 0.95 and bool((found.scores.diff() <= 0).all())
    assert found.num_poses > 10_000 and found.seconds_per_million > 0
    gaps = torch.cdist(rows_of(found.poses, moved), rows_of(found.poses, moved)) + 9 * torch.eye(
        len(found)
    )
    assert gaps.min() > 1


def test_moving_the_smaller_set_moves_the_answer(parts):
    """The placed points are the same, up to what the grid of rotations and translations lets differ."""
    whole = torch.cat(parts)
    first, second = (SE3.act(motions(1, seed=seed), parts[1]) for seed in (1, 2))
    placed = [
        RigidFit(candidates=8)(whole, moved, most=1).moved(moved)[0] for moved in (first, second)
    ]
    assert (placed[0] - placed[1]).norm(dim=1).max() < 0.05


def test_slopes_of_the_score_are_its_derivatives():
    q, x = normal(7, 3, scale=3), normal(2, 4, 3, seed=1, scale=3).requires_grad_()
    score = PairScore(q, (Term(2.0, 0.5), Term(1.0, normal(4, 7, seed=2))))
    value, gradient, hessian = score.slopes(x.detach())
    assert torch.allclose(value, score(x))
    r2 = (x[:, :, None] - q).square().sum(-1)
    direct = sum((t.weights * (-r2 / (2 * t.width**2)).exp()).sum((1, 2)) for t in score.terms)
    assert torch.allclose(value, direct)
    assert torch.allclose(gradient, torch.autograd.grad(direct.sum(), x)[0])
    for point in range(4):  # points don't see each other
        full = torch.autograd.functional.hessian(lambda y: score(y).sum(), x.detach())[
            :, point, :, :, point
        ]
        assert torch.allclose(hessian[0, point], full[0, :, 0]), point


def test_climbing_ends_at_a_maximum_and_never_falls():
    points, poses = normal(30, 3, scale=4), motions(5, seed=3, shift=1.5)
    score = PairScore(points, (Term(3.0, 1 / 30),))
    begin = score(SE3.act(poses, points.expand(5, -1, -1)))
    found, values = climb(score, points, poses, steps=20, reach=2.0)
    assert bool((values >= begin).all())
    assert torch.allclose(score(SE3.act(found, points.expand(5, -1, -1))), values)
    near = SE3.exp(normal(1, 6, scale=0.05))
    found, values = climb(score, points, near, steps=20, reach=2.0)
    for u in normal(50, 6, seed=4, scale=0.02):
        other = SE3.compose(SE3.exp(u[None]), found)
        assert score(SE3.act(other, points[None]))[0] <= values[0] + 1e-12


def test_rows_of_poses_measure_how_far_points_move():
    points, poses = normal(20, 3, scale=4), motions(6, seed=5)
    placed = SE3.act(poses, points.expand(6, -1, -1))
    direct = (placed[:, None] - placed[None]).square().sum(-1).mean(-1).sqrt()
    assert torch.allclose(
        torch.cdist(rows_of(poses, points), rows_of(poses, points)), direct, atol=1e-6
    )
    kept = distinct(poses, torch.arange(6.0), points, apart=1e-3, most=4)
    assert kept.tolist() == [5, 4, 3, 2]
    assert distinct(poses[[0, 0, 1]], torch.arange(3.0), points, apart=0.1, most=3).tolist() == [
        2,
        1,
    ]


def test_coefficients_about_places_are_lifts_of_what_is_near():
    points, lift = normal(60, 3, scale=12), Lift.covering(8.0, 3, 4)
    centres = torch.cat([places(points, step=6.0, within=8.0, least=3), torch.full((1, 3), 500.0)])
    found = coefficients_about(lift, points, centres)
    direct = torch.stack([lift(points[None] - centre)[0, 0] for centre in centres])
    scale = direct.abs().max()
    assert (found - direct).abs().max() < 0.01 * scale  # beyond three widths nothing is counted
    assert found[-1].abs().max() < 1e-6 * scale


def test_fields_on_spheres_are_the_score():
    """sum over the atoms of a field = the correlation of its harmonics with theirs, to what lmax resolves."""
    q, polar_q = normal(40, 3, scale=6).float(), torch.arange(40) % 2
    p, polar_p = normal(12, 3, seed=1, scale=1.0).float(), torch.arange(12) % 2
    mesh, shells = Mesh.of(q, polar_q, 6.0), 0.5 * torch.arange(10)
    centre = torch.tensor([[1.0, -2.0, 0.5]])
    about, own = on_spheres(mesh, centre, shells, 8), on_shells(p, polar_p, shells, 8)
    exact = PairScore(q, terms(polar_p, polar_q))((p + centre)[None])[0]
    assert abs((about[0] * own).sum() - exact) < 0.1 * abs(exact)
    assert all_harmonics(0, p).unique().tolist() == [1.0]


def test_a_higher_degree_has_finer_steps_and_more_directions():
    steps = [RigidFit(lmax=lmax).step_for(reach) for lmax, reach in ((8, 24), (16, 24), (16, 3))]
    assert steps == [4.0, 2.0, 1.5]
    q, shells = normal(40, 3, scale=6).float(), 2.0 * torch.arange(3)
    mesh, centre = Mesh.of(q, torch.arange(40) % 2, 6.0), torch.tensor([[1.0, -2.0, 0.5]])
    fine = on_spheres(mesh, centre, shells, 24)[..., : 17**2]  # of degree 16 with as many as 24 has
    assert (on_spheres(mesh, centre, shells, 16) - fine).norm() < 0.05 * fine.norm()


def pocket(seed: int = 0) -> tuple[Tensor, list[str], Tensor, list[str]]:
    """A molecule, and a shell of atoms at contact distance around most of it."""
    ligand = torch.tensor(
        [[0, 0, 0], [1.5, 0, 0], [2.2, 1.3, 0], [3.7, 1.3, 0.3], [-0.7, 1.2, 0.4], [4.4, 2.4, 1.0]]
    ).double()  # fmt: skip
    elements = ["C", "C", "N", "C", "O", "C"]
    around = 14 * torch.rand(2500, 3, generator=torch.Generator().manual_seed(seed)).double() - 6
    distance = torch.cdist(around, ligand).min(1).values
    around, kept = around[(distance > 3.7) & (distance < 6.5) & (around[:, 2] < 3.5)], []
    for point in around:
        if all((point - other).norm() > 1.9 for other in kept):
            kept.append(point)
    return torch.stack(kept), ["C"] * len(kept), ligand, elements


def test_a_ligand_comes_back_into_its_pocket():
    """At a score as high as that of the place that the pocket was made around."""
    receptor, kinds, ligand, elements = pocket()
    moved = SE3.act(motions(1, seed=7), ligand)
    found = RigidDocking(candidates=60)(receptor, kinds, moved, elements, most=5)
    polar = torch.tensor([element in "NO" for element in elements]).long()
    score = PairScore(receptor, terms(polar, torch.zeros(len(receptor), dtype=torch.long)))
    _, own = climb(score, ligand, SE3.identity(1).double(), steps=10, reach=1.0)
    assert found.scores[0] > 0.99 * own[0]
    placed = found.moved(moved)[0]
    assert (placed.mean(0) - ligand.mean(0)).norm() < 2
    assert torch.cdist(placed, receptor).min() > 2.5


@pytest.mark.parametrize(
    ("smaller", "sentence"),
    [
        (torch.zeros(2, 3), "at least three points that are not on one line"),
        (torch.arange(4.0)[:, None].expand(4, 3), "at least three points that are not on one line"),
        (torch.zeros(5, 3), "at least three points .* got 5 points in one place"),
        (torch.full((5, 3), torch.nan), "smaller must be finite numbers"),
        (torch.zeros(0, 3), r"smaller must be points \(N, 3\), at least one"),
        (100 * normal(300, 3), "must find room in the larger one"),
    ],
)
def test_faults_get_a_sentence(parts, smaller, sentence):
    with pytest.raises(ValueError, match=sentence):
        RigidFit()(torch.cat(parts), smaller)


def test_further_faults_get_a_sentence(parts):
    with pytest.raises(ValueError, match="step must be positive, Angstrom; got 0"):
        RigidFit(step=0)
    with pytest.raises(ValueError, match="candidates must be a whole number >= 1; got 0"):
        RigidDocking(candidates=0)
    with pytest.raises(
        ValueError, match="ligand must have an element for each of its 40 atoms; got 1"
    ):
        RigidDocking()(parts[0], ["C"] * 60, parts[1], ["C"])
    with pytest.raises(ValueError, match="ligand must have atoms other than hydrogen"):
        RigidDocking()(parts[0], ["C"] * 60, parts[1], ["H"] * 40)


def test_a_planar_set_has_a_pose(parts):
    flat = parts[0].clone()
    flat[:, 2] = 0
    whole = torch.cat([flat, parts[1] + 30])
    moved = SE3.act(motions(1, seed=9), flat)
    assert away(RigidFit(candidates=16)(whole, moved, most=2), moved, flat) < 0.1
