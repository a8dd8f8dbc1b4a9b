"""Latents: rho is a homomorphism, orthogonal on v, and made of escnn's irreps."""

import math

import pytest
import torch

from eqvae.symmetry import (
    PlaneMotions,
    Representation,
    Similarities,
    compose,
    identity,
    inverse,
    motion,
)
from tests.cases import BY_NAME, SYMMETRIES, draw, latent_id
from tests.cases import LATENTS as AT_ONE_SCALE

LATENTS = [
    *AT_ONE_SCALE,
    Representation((4, 2, 1), scale=True),
    Representation((1, 2), sign=1, position=False, scale=True),
]
EVERY_LATENT = pytest.mark.parametrize("latent", LATENTS, ids=latent_id)
WITH_SCALES = [*SYMMETRIES, Similarities(), Similarities(reflections=True)]
EVERY_SYMMETRY = pytest.mark.parametrize("symmetry", WITH_SCALES, **BY_NAME)


@EVERY_LATENT
@EVERY_SYMMETRY
def test_rho_is_a_homomorphism(symmetry, latent):
    g, h = draw(symmetry, 10, seed=1), draw(symmetry, 10, seed=2)
    torch.testing.assert_close(latent.matrix(compose(g, h)), latent.matrix(g) @ latent.matrix(h))
    torch.testing.assert_close(latent.matrix(inverse(g)), torch.linalg.inv(latent.matrix(g)))
    unit = torch.eye(latent.dim + 1, dtype=torch.float64)
    assert torch.equal(latent.matrix(identity(dtype=torch.float64))[0], unit)


@EVERY_LATENT
@EVERY_SYMMETRY
def test_rho_is_orthogonal_on_v_and_blind_to_shifts_there(symmetry, latent):
    g = draw(symmetry, 10)
    first = 2 * latent.position + latent.scale
    v = latent.matrix(g)[:, first : latent.dim, first : latent.dim]
    torch.testing.assert_close(v @ v.mT, torch.eye(latent.dim - first).double().expand_as(v))
    turn = torch.cat([g[:, :2], torch.zeros_like(g[:, 2:])], dim=1)  # and blind to scales
    torch.testing.assert_close(
        latent.matrix(turn)[:, first:, first:], latent.matrix(g)[:, first:, first:]
    )


def test_a_scale_adds_up_and_moves_the_position_away():
    latent = Representation((1, 1), scale=True)
    assert str(latent) == "position + scale + 1x0 + 1x1" and latent.slices.scale == slice(2, 3)
    assert Representation.parse(str(latent)) == latent and not latent.vector.scale
    z = torch.tensor([[3.0, 1.0, 0.5, 7.0, 1.0, 0.0]]).double()
    g = motion(math.pi / 2, (1.0, 0.0), log_scale=math.log(2), dtype=torch.float64)
    expected = torch.tensor([[-1.0, 6.0, 0.5 + math.log(2), 7.0, 0.0, 1.0]]).double()
    torch.testing.assert_close(latent.act(g, z), expected)
    spread = latent.spread(g, torch.zeros(1, latent.num_copies).double())
    torch.testing.assert_close(spread.exp(), torch.tensor([[2.0, 1.0, 1.0, 1.0]]).double())
    assert latent.spread(g[:, :4], spread) is spread


@EVERY_LATENT
@EVERY_SYMMETRY
def test_the_action_is_rho_in_homogeneous_coordinates(symmetry, latent):
    g, z = draw(symmetry, 10), torch.randn(10, latent.dim, dtype=torch.float64)
    one = torch.ones(10, 1, dtype=torch.float64)
    expected = (latent.matrix(g) @ torch.cat([z, one], dim=1)[..., None])[:, :, 0]
    torch.testing.assert_close(torch.cat([latent.act(g, z), one], dim=1), expected)


@EVERY_LATENT
def test_the_action_knows_every_shift_that_a_position_can_show(latent):
    moved = latent.act(motion(shift=(2.0, -1.0)), torch.zeros(1, latent.dim))
    assert moved[0, :2].tolist() == [2, -1] if latent.position else moved.abs().max() == 0


@pytest.mark.parametrize(
    ("symmetry", "frequency"),
    [(s, ell) for s in SYMMETRIES for ell in (1, 2, 3) if s.separates(ell)],
    **BY_NAME,
)
def test_blocks_are_escnns_irreps(symmetry, frequency):
    group, latent = symmetry.group, Representation((0,) * frequency + (1,), position=False)
    label = (1, frequency) if symmetry.reflections else (frequency,)
    g = draw(symmetry, 12, shift=0)
    for row in g:
        if symmetry.is_finite:
            turns = round(row[1].item() / (2 * math.pi) * symmetry.rotations) % symmetry.rotations
            element = group.element((int(row[0]), turns) if symmetry.reflections else turns)
        else:
            angle = row[1].item()
            pair = (int(row[0]), angle)
            element = group.element(pair if symmetry.reflections else angle, "radians")
        expected = torch.from_numpy(group.irrep(*label)(element)).double()
        torch.testing.assert_close(latent.matrix(row[None])[0, :2, :2], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("symmetry", [PlaneMotions.dihedral(4), PlaneMotions.o2()], **BY_NAME)
def test_the_sign_block_is_escnns_sign_irrep(symmetry):
    latent = Representation((), sign=1, position=False)
    assert latent.matrix(motion(angle=0.0, reflection=1.0))[0, 0, 0] == -1
    assert latent.matrix(motion(angle=1.0))[0, 0, 0] == 1
    mirror = symmetry.group.reflection
    assert symmetry.group.irrep(1, 0)(mirror).item() == -1


@EVERY_LATENT
def test_blocks_tile_the_coordinates(latent):
    covered = [i for block in latent.blocks for i in range(latent.dim)[block.slice]]
    assert covered == list(range(latent.dim))
    assert latent.num_copies == latent.copy_index.max() + 1
    assert len(latent.copy_index) == latent.dim
    for copy in range(latent.num_copies):  # a copy never straddles two blocks
        inside = (latent.copy_index == copy).nonzero().flatten().tolist()
        owner = [b for b in latent.blocks if inside[0] in range(latent.dim)[b.slice]]
        assert len(inside) == owner[0].dim and inside[-1] in range(latent.dim)[owner[0].slice]


def test_the_order_of_the_coordinates():
    latent = Representation(multiplicities=(2, 1, 0, 1), sign=1)
    assert [(b.name, b.start, b.copies, b.dim) for b in latent.blocks] == [
        ("position", 0, 1, 2),
        ("psi0", 2, 2, 1),
        ("sign", 4, 1, 1),
        ("psi1", 5, 1, 2),
        ("psi3", 7, 1, 2),
    ]
    assert latent.max_frequency == 3
    z = torch.arange(1.0, latent.dim + 1)[None]
    turned = latent.act(motion(angle=math.pi / 2), z)
    assert turned[0].tolist() == [-2, 1, 3, 4, 5, -7, 6, 9, -8]  # psi3 turns by 270 degrees
    mirrored = latent.act(motion(reflection=1.0), z)
    assert mirrored[0].tolist() == [1, -2, 3, 4, -5, 6, -7, 8, -9]


def test_one_motion_serves_a_batch_in_the_type_of_the_latents():
    latent, z = LATENTS[0], torch.randn(3, LATENTS[0].dim)
    g = PlaneMotions.cyclic(8).elements()[1:2]
    assert g.dtype == torch.float64
    moved = latent.act(g, z)
    assert moved.dtype == z.dtype
    torch.testing.assert_close(moved, latent.act(g.float().expand(3, 4), z))


def test_the_action_passes_gradients():
    latent = LATENTS[1]
    g = torch.tensor([[0.0, 0.4, 1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    z = torch.randn(1, latent.dim, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g, z: latent.act(g, z), (g, z))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"multiplicities": (2, -1)}, "must be whole numbers >= 0; got"),
        ({"multiplicities": (2, 1.5)}, "must be whole numbers >= 0; got"),
        ({"multiplicities": (2,), "sign": -1}, "must be whole numbers >= 0; got"),
        ({"multiplicities": ()}, "must name at least one irrep"),
        ({"multiplicities": (0, 0)}, "must name at least one irrep"),
    ],
)
def test_refuses_what_is_no_latent(arguments, message):
    with pytest.raises(ValueError, match=message):
        Representation(**arguments)


def test_check_names_the_frequency_that_aliases():
    latent = Representation((1, 1, 1))
    for symmetry in (
        PlaneMotions.trivial(),
        PlaneMotions.cyclic(8),
        PlaneMotions.so2(),
        PlaneMotions.o2(),
    ):
        latent.check(symmetry)
    with pytest.raises(ValueError, match=r"frequency 2, which C4 can't .* below N/2 = 2"):
        latent.check(PlaneMotions.cyclic(4))
    with pytest.raises(ValueError, match="frequency 1, which D1 can't"):
        latent.check(PlaneMotions.dihedral(1))


@EVERY_LATENT
def test_a_representation_is_its_text(latent):
    assert Representation.parse(str(latent)) == Representation(
        tuple(latent.multiplicities), latent.sign, latent.position, latent.scale
    )


def test_the_text_says_copies_and_frequencies():
    latent = Representation((16, 8, 0, 6), sign=2)
    assert str(latent) == "position + 16x0 + 2xsign + 8x1 + 6x3"
    assert str(Representation((2,), position=False)) == "2x0"
    assert Representation.parse("1x1+2x0 + 1x1") == Representation((2, 2), position=False)
    for wrong in ("16", "2x-1", "position + rotation", ""):
        with pytest.raises(ValueError, match="a term of a representation must be"):
            Representation.parse(wrong)


@EVERY_LATENT
def test_slices_by_meaning_move_as_they_say(latent):
    parts, z = latent.slices, torch.randn(4, latent.dim).double()
    g = draw(PlaneMotions.so2(), 4)
    moved = latent.act(g, z)
    assert torch.equal(moved[:, parts.content], z[:, parts.content])
    assert torch.equal(moved[:, parts.sign], z[:, parts.sign])
    lengths = [v[:, parts.frame].unflatten(1, (-1, 2)).norm(dim=2) for v in (moved, z)]
    torch.testing.assert_close(*lengths)
    assert latent.has_frame == (latent.num_frames > 0) == (parts.frame != slice(0, 0))
    covered = [
        i
        for s in (parts.position, parts.scale, parts.content, parts.sign, parts.moving)
        for i in range(latent.dim)[s]
    ]
    assert sorted(covered) == list(range(latent.dim))
    first = 2 * latent.position + latent.scale
    assert range(latent.dim)[parts.vector] == range(first, latent.dim)
    assert latent.vector.dim == latent.dim - first
