"""Irreps of space: homomorphisms, harmonics against scipy's, texts; regular and product representations."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch.distributions import Normal

from eqvae.distributions import GaussianPosterior, GaussianPrior
from eqvae.symmetry import (
    AffineRepresentation,
    PlaneMotions,
    RegularRepresentation,
    Representation,
    SpaceMotions,
    SpaceRepresentation,
    SpaceRotations,
    TensorRepresentation,
)
from eqvae.symmetry.affine import linear_matrices
from eqvae.symmetry.elements import class_average
from eqvae.symmetry.irreps import irreps_of, representation_of, text_of
from eqvae.symmetry.space import inversion, mirror, rotation_matrix, rotation_part
from eqvae.symmetry.wigner import solid_harmonics, wigner, wigners
from tests.cases import draw

O3 = SpaceRotations(parity=True)
E3 = SpaceMotions(parity=True)
VECTOR = SpaceRepresentation.parse("1o")
CASES = [
    (O3, SpaceRepresentation.parse("2x0e + 1x0o + 2x1o + 1x1e + 1x3o")),
    (O3, SpaceRepresentation.parse("1x6e + 1x5e")),
    (O3, SpaceRepresentation.parse("position + 1x0e + 2x1e")),
    (E3, SpaceRepresentation.parse("position + 2x0e + 1x0o + 2x1o + 1x2e")),
    (E3, SpaceRepresentation.parse("1x4o + 2x8e")),
    (O3, TensorRepresentation(VECTOR, SpaceRepresentation.parse("1x0o + 1x2e"))),
    (PlaneMotions.cyclic(8), RegularRepresentation(PlaneMotions.cyclic(8), copies=2)),
    (PlaneMotions.dihedral(3), RegularRepresentation(PlaneMotions.dihedral(3))),
    (PlaneMotions.o2(), Representation.parse("position + 1x0 + 1x2")),
]
EACH = pytest.mark.parametrize(("group", "rho"), CASES, ids=lambda value: str(value)[:40])


@EACH
def test_every_representation_is_one(group, rho):
    assert isinstance(rho, AffineRepresentation)
    shift = 3.0 if "position" in str(rho) and group is not O3 else 0.0
    g, h = (draw(group, 15, seed, shift) for seed in (1, 2))
    z = torch.randn(15, rho.dim, dtype=torch.float64)
    close = torch.testing.assert_close
    close(rho.act(group.compose(g, h), z), rho.act(g, rho.act(h, z)))
    close(rho.act(group.identity(15, dtype=torch.float64), z), z)
    close(rho.matrix(group.compose(g, h)), rho.matrix(g) @ rho.matrix(h))
    ones = torch.ones(15, 1, dtype=torch.float64)
    homogeneous = torch.cat([z, ones], dim=1)[:, :, None]
    close((rho.matrix(g) @ homogeneous)[:, : rho.dim, 0], rho.act(g, z))
    a = linear_matrices(rho, g)
    close(a @ a.mT, torch.eye(rho.dim).double().expand_as(a))
    assert sum(block.copies * block.dim for block in rho.blocks) == rho.dim


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 11])
def test_harmonics_are_those_of_scipy(degree):
    """Real parts for m >= 0, imaginary ones below, times (-1)^m sqrt 2, about the axis y."""
    p = torch.randn(20, 3, dtype=torch.float64)
    x, y, z = p.T.numpy()
    r, polar, azimuth = (
        p.norm(dim=1).numpy(),
        np.arccos(y / p.norm(dim=1).numpy()),
        np.arctan2(x, z),
    )
    columns = []
    for m in range(-degree, degree + 1):
        value = (-1) ** m * sph_harm_y(degree, abs(m), polar, azimuth)
        value = value.real if m == 0 else math.sqrt(2) * (value.real if m > 0 else value.imag)
        columns.append(value * r**degree * math.sqrt(4 * math.pi / (2 * degree + 1)))
    expected = torch.from_numpy(np.stack(columns, axis=1))
    torch.testing.assert_close(solid_harmonics(degree, p), expected, rtol=1e-11, atol=1e-11)
    squares = solid_harmonics(degree, p).square().sum(1)
    torch.testing.assert_close(squares, p.norm(dim=1) ** (2 * degree))


def test_wigner_matrices_turn_harmonics():
    g, p = draw(O3, 10, shift=0.0), torch.randn(10, 3, dtype=torch.float64)
    for degree in range(8):
        moved = solid_harmonics(degree, (rotation_part(g) @ p[..., None])[..., 0])
        d = wigner(degree, rotation_part(g))
        turned = torch.einsum("bij,bj->bi", d, solid_harmonics(degree, p))
        torch.testing.assert_close(turned, moved)
        back = torch.einsum("bji,bj->bi", d, solid_harmonics(degree, p))
        assert degree == 0 or (back - moved).norm() > 0.1 * moved.norm()  # a control


def test_every_way_to_wigner_matrices_is_the_same():
    """From angles, from polynomials where something is differentiated; exact at poles too."""
    turns = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 1]] * torch.tensor(
        [[math.pi], [1.0], [2.0], [0.0]]
    )
    g = torch.cat([draw(SpaceRotations(), 20, shift=0.0), SpaceRotations().exp(turns)])
    q = torch.nn.functional.normalize(g[:, 1:])
    r = rotation_part(g)
    fast, slow = wigners(range(12), q), wigners(range(12), r.clone().requires_grad_())
    for degree in range(12):
        torch.testing.assert_close(fast[degree], slow[degree].detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(wigner(degree, r), fast[degree], rtol=0, atol=1e-12)
    assert slow[11].requires_grad and not fast[11].requires_grad


def test_wigner_matrices_have_derivatives_everywhere():
    """d/dt D(exp(t X)) at t = 0, the identity, is finite, and the same in three ways."""

    def trace(t):
        u = t[:, None] * torch.tensor([[0.3, -1.0, 0.5]], dtype=torch.float64)
        return (wigner(4, rotation_part(SpaceRotations().exp(u))) * weights).sum()

    weights = torch.randn(9, 9, dtype=torch.float64)
    t = torch.zeros(1, dtype=torch.float64)
    step = (trace(t + 1e-5) - trace(t - 1e-5)) / 2e-5
    forward = torch.func.jvp(trace, (t,), (torch.ones_like(t),))[1]
    for found in (
        forward,
        torch.func.grad(trace)(t)[0],
        torch.autograd.functional.jacobian(trace, t)[0],
    ):
        torch.testing.assert_close(found, step, rtol=1e-7, atol=1e-7)


def test_latents_of_space_know_their_columns():
    latent = SpaceRepresentation.parse(
        "1x1o + position + 1x2e".replace("1x1o", "4x0e + 2x0o + 2x1o")
    )
    s = latent.slices
    found = [
        (part.start, part.stop)
        for part in (s.position, s.content, s.sign, s.frame, s.moving, s.vector)
    ]
    assert found == [(0, 3), (3, 7), (7, 9), (9, 15), (9, 20), (3, 20)]
    assert (
        str(latent) == "position + 4x0e + 2x0o + 2x1o + 1x2e"
        and str(latent.vector) == str(latent)[11:]
    )
    assert str(latent.single) == "1x0e + 1x0o + 1x1o + 1x2e"
    assert latent.num_copies == 10 and latent.max_frequency == 2 and latent.has_frame
    assert latent.frame_columns(1) == slice(12, 15)
    torch.testing.assert_close(latent.copy_dims[latent.copy_index][15:], torch.full((5,), 5))
    with pytest.raises(ValueError, match="stand together by meaning"):
        _ = SpaceRepresentation.parse("1o + 0e + 2e").slices
    with pytest.raises(ValueError, match="one of the 2 copies of l = 1"):
        latent.frame_columns(2)
    with pytest.raises(ValueError, match="SpaceMotions or SpaceRotations"):
        latent.check(PlaneMotions.so2())
    latent.check(E3)


@pytest.mark.parametrize("group", [O3, E3], ids=lambda group: group.name)
def test_a_gaussian_moves_with_its_latent(group):
    """log q(z | x) = log q(g z | g x) with one variance for each copy; not with one for each coordinate."""
    latent = SpaceRepresentation.parse("position + 2x0e + 1x0o + 2x1o + 1x2e")
    torch.manual_seed(0)
    g = draw(group, 12, shift=5.0 * (group is E3))
    loc, z = torch.randn(2, 12, latent.dim, dtype=torch.float64)
    q = GaussianPosterior(latent, loc, torch.randn(12, latent.num_copies, dtype=torch.float64))
    moved = q.act(g).log_prob(latent.act(g, z))
    torch.testing.assert_close(moved, q.log_prob(z))
    prior = GaussianPrior(latent.vector).double()
    v = slice(3, None)
    v_of = GaussianPosterior(latent.vector, q.loc[:, v], q.log_scale[:, 1:])
    for name, kl in prior.kl(v_of.act(g)).items():
        torch.testing.assert_close(kl, prior.kl(v_of)[name])
    by_coordinate = torch.randn(12, latent.dim, dtype=torch.float64).exp()
    before = Normal(loc, by_coordinate).log_prob(z).sum(1)
    after = Normal(latent.act(g, loc), by_coordinate).log_prob(latent.act(g, z)).sum(1)
    assert (before - after).abs().mean() > 0.1


def test_parity():
    """Vectors flip under the inversion and pseudovectors do not; a mirror flips what is across it."""
    v = torch.tensor([[1.0, 2.0, 3.0]]).double()
    across = mirror(torch.tensor([[0.0, 0.0, 1.0]]).double())
    polar, axial = VECTOR, SpaceRepresentation.parse("1e")
    assert torch.equal(polar.act(inversion(), v), -v) and torch.equal(axial.act(inversion(), v), v)
    torch.testing.assert_close(polar.act(across, v), v * torch.tensor([1.0, 1.0, -1.0]))
    torch.testing.assert_close(axial.act(across, v), v * torch.tensor([-1.0, -1.0, 1.0]))
    torch.testing.assert_close(rotation_matrix(across).det(), torch.tensor([-1.0]).double())


@pytest.mark.parametrize("text", ["2x0e + 1x1o", "position + 1x0e", "1x3e", "1x0o + 2x1e + 1x0o"])
def test_texts_are_read_again(text):
    assert str(SpaceRepresentation.parse(text)) == text


def test_what_is_no_representation_is_refused():
    for text in ("2x1", "1x1o + scale", "1p"):
        with pytest.raises(ValueError, match="COPIESxDEGREE with e or o"):
            SpaceRepresentation.parse(text)
    with pytest.raises(ValueError, match="at least one copy"):
        SpaceRepresentation(((0, 1, 1),))
    with pytest.raises(ValueError, match="parity 1 or -1"):
        SpaceRepresentation(((1, 1, 0),))
    with pytest.raises(ValueError, match="must be finite"):
        RegularRepresentation(PlaneMotions.so2())
    with pytest.raises(ValueError, match="elements of C4; got another turn"):
        regular = RegularRepresentation(PlaneMotions.cyclic(4))
        regular.act(PlaneMotions.cyclic(8).elements()[1:2], torch.zeros(1, 4))
    with pytest.raises(ValueError, match="another kind of group"):
        representation_of(PlaneMotions.so2(), VECTOR)


GROUPS = [SpaceRotations(), O3, SpaceMotions(), E3, PlaneMotions.so2(), PlaneMotions.o2()]
GROUPS += [PlaneMotions.cyclic(n) for n in (1, 2, 5, 8)]
GROUPS += [PlaneMotions.dihedral(n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_irreps_are_orthonormal_homomorphisms(group):
    """<chi_i, chi_j> = 0 for i != j, and the dimension of the endomorphisms for i = j (Schur)."""
    irreps = irreps_of(group, 4)
    g, h = (draw(group, 10, seed, 0.0) for seed in (1, 2))
    elements, weights = class_average(group, 8)
    table = torch.stack([torch.einsum("kii->k", i.matrix(elements)) for i in irreps])
    for irrep in irreps:
        both = irrep.matrix(g) @ irrep.matrix(h)
        torch.testing.assert_close(irrep.matrix(group.compose(g, h)), both)
    sizes = torch.tensor([float(i.endomorphisms) for i in irreps]).double()
    torch.testing.assert_close((table * weights) @ table.T, torch.diag(sizes))
    if getattr(group, "is_finite", False):  # they are all: dimensions of the regular representation
        assert sum(i.dim**2 / i.endomorphisms for i in irreps) == group.order


def test_names_of_sums():
    assert text_of(O3, {"1e": 1}) == "1e" and text_of(O3, {"0e": 2, "1o": 1}) == "2x0e + 1x1o"
    assert text_of(PlaneMotions.so2(), {"0": 4, "1": 2}, position=True) == "position + 4x0 + 2x1"
    c3 = PlaneMotions.cyclic(3)
    assert text_of(c3, {"0": 1, "1": 1}) == "regular of C3"
    assert text_of(c3, {"0": 2, "1": 2}) == "2 x regular of C3"
    assert text_of(c3, {"0": 2, "1": 1}) == "2x0 + 1x1"
