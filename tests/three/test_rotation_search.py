"""Search over all rotations: the FFT is the explicit sum, and poses are found, sets of them too."""

import math

import pytest
import torch

from eqvae.symmetry import SpaceMotions, SpaceRotations
from eqvae.symmetry.space import inversion, rotation_part
from eqvae.symmetry.space_motions import equal_poses, nearest_distance, pose_distance
from eqvae.symmetry.wigner import wigner
from eqvae.three.lift import Lift, centroid
from eqvae.three.search import (
    RotationGrid,
    RotationPosterior,
    RotationSearch,
    align,
    on_grid,
    pairs,
    refine,
    rotated,
    whitening,
    wigner_blocks,
)
from eqvae.three.search.correlation import at, lowered
from eqvae.three.search.euler import blocks, elements_of, euler_angles

SO3, O3 = SpaceRotations(), SpaceRotations(parity=True)
LIFT = Lift.covering(4.0, num_shells=4, lmax=5)


def clouds(n: int = 6, seed: int = 0) -> torch.Tensor:
    points = torch.randn(n, 30, 3, generator=torch.Generator().manual_seed(seed)).double()
    return points - centroid(points)


def turns(n: int, group: SpaceRotations = SO3, seed: int = 0) -> torch.Tensor:
    return group.sample(n, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("lmax", [0, 1, 4, 6])
def test_the_fft_is_the_explicit_sum_over_wigner_matrices(lmax):
    lift = Lift.covering(4.0, num_shells=3, lmax=lmax)
    a, b = lift(clouds(3)), lift(clouds(3, seed=1))
    weights = torch.rand(3, lmax + 1, generator=torch.Generator().manual_seed(0)).double()
    grid = RotationGrid.of(lmax, oversampling=1)
    values = on_grid(pairs(a, b, weights), grid)
    assert values.shape == (3, *grid.shape)
    matrices = rotation_part(grid.elements())
    explicit, backwards = torch.zeros(3, len(grid)).double(), torch.zeros(3, len(grid)).double()
    for degree in range(lmax + 1):
        part = slice(degree**2, (degree + 1) ** 2)
        left, d = a[..., part] * weights[:, degree, None], wigner(degree, matrices)
        explicit += torch.einsum("pcni,gij,pcnj->pg", left, d, b[..., part])
        backwards += torch.einsum("pcni,gji,pcnj->pg", left, d, b[..., part])
    size = explicit.abs().max() if lmax == 0 else explicit.std()
    assert (values.flatten(1) - explicit).abs().max() / size < 1e-12
    if lmax:
        assert (values.flatten(1) - backwards).abs().max() / size > 0.1  # a control


def test_the_mean_over_the_grid_is_the_degree_0_part():
    """Characters of other degrees have mean 0: what the weights of the quadrature are held to."""
    a, b = LIFT(clouds()), LIFT(clouds(seed=1))
    grid = RotationGrid.of(LIFT.lmax)
    mean = (on_grid(pairs(a, b), grid) * grid.weights()).sum((1, 2, 3))
    torch.testing.assert_close(mean, (a * b)[..., 0].sum((1, 2)))
    even = on_grid(pairs(a, b), grid).mean((1, 2, 3))  # control: poles counted in full
    assert (even - mean).abs().max() > 1e-2


@pytest.mark.parametrize("lmax", [3, 25])
def test_wigner_blocks_are_a_representation(lmax):
    g, h = turns(5), turns(5, seed=1)
    known = blocks(lmax, torch.float64, torch.device("cpu"))
    both, once = (wigner_blocks(lmax, each) for each in (g, SO3.compose(g, h)))
    other = wigner_blocks(lmax, h)
    for degree, span in known.spans():
        shape = (2 * degree + 1, 2 * degree + 1)
        d, e, f = (each[:, span].unflatten(1, shape) for each in (both, other, once))
        torch.testing.assert_close(d @ e, f, rtol=0, atol=1e-12)
        if degree < 12:
            torch.testing.assert_close(d, wigner(degree, rotation_part(g)), rtol=0, atol=1e-12)


def test_euler_angles_go_there_and_back_at_poles_too():
    half = torch.tensor([[math.pi, 0, 0], [0, 1.0, 0], [0, 0, 0], [0, 0, math.pi]]).double()
    g = torch.cat([turns(20), SO3.exp(half)])
    assert pose_distance(elements_of(euler_angles(g)), g).degrees.max() < 1e-6


def test_rotated_coefficients_are_those_of_rotated_points():
    points, g = clouds(), turns(6, O3)
    torch.testing.assert_close(rotated(LIFT(points), g), LIFT(O3.act(g, points)))
    torch.testing.assert_close(
        rotated(LIFT(points), g[0]), LIFT(O3.act(g[:1].expand(6, -1), points))
    )


@pytest.mark.parametrize("mirrors", [False, True], ids=["SO(3)", "O(3)"])
@pytest.mark.parametrize("coarse", [None, 3])
def test_rotations_are_recovered_to_rounding(mirrors, coarse):
    points, g = clouds(), turns(6, O3 if mirrors else SO3)
    a, b = LIFT((O3 if mirrors else SO3).act(g, points)), LIFT(points)
    search = RotationSearch(mirrors=mirrors, coarse=coarse)
    for weights in (None, whitening([a, b])):
        found = search(a, b, weights)
        assert pose_distance(found.best, g).degrees.max() < 1e-6
        torch.testing.assert_close(found.scores[:, 0], torch.ones(6).double())
    single = search(a.float(), b.float())
    assert pose_distance(single.best, g).degrees.max() < 0.01


def test_without_mirrors_a_mirror_image_is_not_found():
    points = clouds()
    a, b = LIFT(-points), LIFT(points)
    assert RotationSearch()(a, b).scores.max() < 0.98
    found = RotationSearch(mirrors=True)(a, b)
    assert pose_distance(found.best, inversion(dtype=torch.float64)).degrees.max() < 1e-6


def test_many_against_many_are_the_single_searches():
    a, b = LIFT(clouds(3)), LIFT(clouds(2, seed=1))
    search = RotationSearch(num_poses=2)
    table = search(a[:, None], b[None])
    assert table.elements.shape == (3, 2, 2, 5)
    one = search(a[2], b[1])
    assert one.elements.shape == (2, 5)
    torch.testing.assert_close(table.elements[2, 1], one.elements)
    torch.testing.assert_close(table.scores[2, 1], one.scores)
    assert (table.scores[:, :, 0] > table.scores[:, :, 1]).all()
    apart = pose_distance(table.elements[..., 0, :], table.elements[..., 1, :]).degrees
    assert apart.min() > search.separation


def test_newton_uses_the_gradient_and_the_hessian_of_the_correlation():
    pair, here = pairs(LIFT(clouds(1)), LIFT(clouds(1, seed=1))), turns(1)[None]

    def climbed(u: torch.Tensor) -> torch.Tensor:
        return at(pair, SO3.compose(here[0].expand(len(u), -1), SO3.exp(u))[None])[0]

    stiff = refine(pair, here, steps=0).stiffness[0, 0]
    step, axes = 1e-3, torch.eye(3).double()
    values = torch.stack(
        [
            torch.stack(
                [
                    climbed((s * a + t * b)[None])[0] * s * t
                    for s in (step, -step)
                    for t in (step, -step)
                ]
            ).sum()
            for a in axes
            for b in axes
        ]
    )
    hessian = values.view(3, 3) / (4 * step**4)
    torch.testing.assert_close(stiff, torch.linalg.eigvalsh(-hessian), rtol=1e-4, atol=1e-2)
    top = refine(pair, here)
    around = climbed(1e-3 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double())
    assert top.values.item() > around.max() and top.stiffness.min() > 0
    best = SO3.compose(top.elements[0].expand(6, -1), SO3.exp(1e-4 * torch.cat([axes, -axes])))
    assert (at(pair, best[None]) <= top.values).all()


@pytest.mark.parametrize(
    "name, proper, improper",
    [("C6H6", 12, 24), ("CH4", 12, 24), ("H2O", 2, 4), ("NH3", 3, 6), ("C2H6", 6, 12)],
)
def test_a_symmetric_molecule_has_as_many_poses_as_rotations_that_keep_it(name, proper, improper):
    build = pytest.importorskip("ase.build", reason="ase has the molecules")
    molecule = build.molecule(name)
    x = torch.tensor(molecule.positions)[None]
    x, weights = x - centroid(x), torch.tensor(molecule.numbers)[None, :, None].double()
    lift, g = Lift.covering(x.norm(dim=-1).max().item(), 4, 6), turns(1)
    a, b = lift(SO3.act(g, x), weights), lift(x, weights)
    # ase keeps some of its geometries to 1e-6 Angstrom
    found = RotationSearch(num_poses=16)(a, b)
    assert found.num_equal(1e-5).item() == proper
    assert RotationSearch(num_poses=28, mirrors=True)(a, b).num_equal(1e-5).item() == improper
    stabiliser = RotationSearch(num_poses=proper)(b, b).elements[0]
    right = equal_poses(SO3, g, stabiliser)
    errors = nearest_distance(found.elements[0, :proper], right[0]).degrees
    assert errors.max() < 1e-2
    if proper > 2:  # control: the pose that was drawn is one of several
        assert pose_distance(found.elements[0, :proper], g).degrees.max() > 50


def test_atoms_on_a_line_have_a_curve_of_poses_and_few_atoms_none():
    line = torch.tensor([[[0.0, 0, -1.2], [0, 0, 0], [0, 0, 1.0]]]).double()
    lift = Lift.covering(1.3, 3, 5)
    found = RotationSearch(num_poses=3)(lift(line), lift(line))
    assert not found.determined().any() and found.num_equal().item() == 3
    assert RotationSearch()(LIFT(clouds(1)), LIFT(clouds(1))).determined().all()
    dot = lift(torch.zeros(1, 2, 3).double())  # coincident atoms: every rotation is right
    found = RotationSearch(num_poses=2)(dot, dot)
    assert not found.determined().any() and found.num_equal().item() == 2


def test_the_posterior_has_the_modes_of_the_object_and_the_entropy_of_their_number():
    """Two like halves, turned by 180 degrees, halve the posterior's weight at each."""
    one = clouds(1)[:, :10] + torch.tensor([1.0, 0, 0])
    half = torch.tensor([[0.0, 0, 0, 1, 0]]).double()  # about y
    two = torch.cat([one, SO3.act(half, one)], dim=1)
    search = RotationSearch(oversampling=5)
    entropies, resultants = [], []
    for points in (one, two):
        f = LIFT(points)
        posterior = search.posterior(f, f, temperature=0.02)
        torch.testing.assert_close(posterior.probabilities.sum(), torch.tensor(1.0).double())
        entropies.append(posterior.entropy().item())
        resultants.append(posterior.mean_resultant().item())
        drawn = posterior.sample(200, torch.Generator().manual_seed(0))[0]
        near = pose_distance(drawn, SO3.identity(dtype=torch.float64)).degrees < 60
        share = near.double().mean().item()
        assert share > 0.95 if points is one else 0.35 < share < 0.65
    assert resultants[0] > 0.8 and resultants[1] < 0.4
    uniform = RotationPosterior.of(
        torch.zeros(1, *RotationGrid(20).shape).double(), RotationGrid(20), 1.0
    )
    assert abs(uniform.entropy().item()) < 1e-9 and abs(uniform.mean_resultant().item()) < 1e-9
    with pytest.warns(UserWarning, match="less than half the grid's step"):
        search.posterior(LIFT(one), LIFT(one), temperature=1e-5)


def test_mirror_images_share_the_posterior():
    f = LIFT(clouds(1))
    posterior = RotationSearch(mirrors=True, oversampling=5).posterior(LIFT(-clouds(1)), f, 0.004)
    assert posterior.mirror_probability().item() > 0.99


def test_whitening_gives_every_shell_and_degree_the_same_share():
    f = LIFT(clouds(1))
    weights, share = whitening(f, floor=0.0), []
    for degree in range(LIFT.lmax + 1):
        part = f[0, 0, :, degree**2 : (degree + 1) ** 2]
        share.append(part.square().sum(1) * weights[:, degree])
    torch.testing.assert_close(torch.stack(share), torch.ones(6, 4).double())
    assert lowered(pairs(f, f), 2).shape[-1] == 1 + 9 + 25


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"num_poses": 0}, "num_poses must be a whole number"),
        ({"coarse": 0}, "coarse must be a degree"),
        ({"oversampling": 0.5}, "oversampling must be at least 1"),
        ({"separation": 0.0}, "separation must be between"),
    ],
)
def test_what_is_no_search_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        RotationSearch(**arguments)


def test_coefficients_that_say_nothing_are_refused(monkeypatch):
    f = LIFT(clouds(1))
    with pytest.raises(ValueError, match="b must be finite"):
        RotationSearch()(f, f * torch.nan)
    with pytest.raises(ValueError, match="must not all be 0"):
        RotationSearch()(f, 0 * f)
    with pytest.raises(ValueError, match="of one lift"):
        RotationSearch()(f, f[..., :25])
    with pytest.raises(ValueError, match=r"weights must be \(n, lmax \+ 1\)"):
        RotationSearch()(f, f, torch.ones(4, 3))
    with pytest.raises(ValueError, match="temperature must be positive"):
        RotationSearch().posterior(f, f, 0.0)
    with pytest.raises(ValueError, match="at least 2 lmax"):
        on_grid(pairs(f, f), RotationGrid(8))
    with pytest.raises(ValueError, match="even whole number"):
        RotationGrid(7)
    monkeypatch.setattr("eqvae.three.search.correlation.free_memory", lambda: 100_000)
    with pytest.raises(ValueError, match="lmax must be at most 2 for 1 correlations"):
        RotationSearch()(f, f)


def test_structures_are_laid_upon_each_other_in_any_order_of_their_atoms():
    e3, random = SpaceMotions(parity=True), torch.Generator().manual_seed(5)
    points = torch.randn(3, 25, 3, generator=random).double() + 7
    kinds = torch.eye(2).double()[torch.arange(25) % 2]
    g = e3.sample(3, shift=30.0, generator=random).double()
    order = torch.randperm(25, generator=random)
    seen = e3.act(g, points)[:, order]
    mirrors = RotationSearch(mirrors=True)
    found = align(seen, points, kinds[order], kinds, search=mirrors).best
    assert pose_distance(found, g).joint(5.0).max() < 1e-6
    rotated = align(seen, points, kinds[order], kinds).best  # a control: no mirrors
    mirrored = e3.linear.inverse(g)[:, :1].bool()[:, 0]
    assert mirrored.any() and pose_distance(rotated, g).degrees[mirrored].isinf().all()
