"""The audit asks a group for its motions: ours, and one that it has never seen, on a domain of its own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.domains import Domain
from eqvae.metrics import SymmetryAudit, angle_sweep, lie_derivative, subpixel_shifts
from eqvae.metrics.equivariance.sweeps import families, motion_sweeps
from eqvae.symmetry import Generator, Group, PlaneMotions, angle_of, reflection_of

SIZE = 16


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.set_default_dtype(torch.float64)


class Translations(Group):
    """Somebody else's group: rows (x, y), once around in x after `SIZE` pixels."""

    name = "T x R"

    def identity(self, n: int = 1, *, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(n, 2, dtype=dtype)

    def compose(self, g1: Tensor, g2: Tensor) -> Tensor:
        return g1 + g2

    def inverse(self, g: Tensor) -> Tensor:
        return -g

    def exp(self, u: Tensor) -> Tensor:
        return u

    def log(self, g: Tensor) -> Tensor:
        return g

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        return points + (g if points.dim() == 2 else g[:, None])

    def sample(self, n, *, shift=0.0, generator=None) -> Tensor:
        return shift * (2 * torch.rand(n, 2, generator=generator) - 1)

    def grid(self, n: int) -> Tensor:
        return torch.stack([SIZE * torch.arange(n) / n, torch.zeros(n)], dim=1)

    def generators(self) -> Mapping[str, Generator]:
        return {
            "around": Generator("around", (1.0, 0.0), "px", period=float(SIZE)),
            "up": Generator("up", (0.0, 1.0), "px"),
        }


@dataclass(frozen=True)
class Torus(Domain):
    """Images without a border, moved by the phases of their Fourier coefficients."""

    group = Translations()
    shape = (SIZE, SIZE)

    def act(self, g: Tensor, x: Tensor, interpolation: str = "fourier") -> Tensor:
        frequency = 2 * math.pi * torch.fft.fftfreq(SIZE)
        across, up = torch.exp(-1j * g[..., None] * frequency).unbind(1)
        spectrum = torch.fft.fft2(x) * across[:, None, None, :] * up[:, None, :, None]
        return torch.fft.ifft2(spectrum).real

    def points(self, *, dtype: torch.dtype | None = None) -> Tensor:
        axis = torch.arange(SIZE, dtype=dtype)
        return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)

    def mask(self, radius: float | None = None) -> Tensor:
        return torch.ones(SIZE, SIZE)


def act(g: Tensor, z: Tensor) -> Tensor:
    """Two waves, each a vector that turns once as the image goes once around, in x and in y."""
    angle = 2 * math.pi * g.to(z) / SIZE
    cos, sin = angle.cos(), angle.sin()
    u, v = z.unflatten(1, (2, 2)).unbind(2)
    return torch.stack([cos * u - sin * v, sin * u + cos * v], dim=2).flatten(1)


def waves() -> Tensor:
    """Cosines and sines of both directions, (4, SIZE, SIZE)."""
    phase = 2 * math.pi * Torus().points(dtype=torch.float64) / SIZE
    return torch.stack([phase.cos(), phase.sin()], dim=-1).movedim((2, 3), (0, 1)).flatten(0, 1)


def audit(bias: float = 0.0) -> SymmetryAudit:
    """First Fourier coefficients and back; a bias breaks both."""
    return SymmetryAudit(
        encode=lambda batch: torch.einsum("bchw,dhw->bd", batch.image, waves()) / 100 + bias,
        decode=lambda z: torch.einsum("bd,dhw->bhw", z - 2 * bias, waves())[:, None],
        act=act,
        group=Translations(),
        domain=Torus(),
        blocks={"x": range(2), "y": range(2, 4)},
    )


def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.fft.rfft2(torch.rand(3, 1, SIZE, SIZE, generator=generator))
    coarse[..., 4:-4, :] = coarse[..., 4:] = 0  # what lies between the pixels is known
    return torch.fft.irfft2(coarse, s=(SIZE, SIZE))


def test_a_group_of_somebody_else_is_audited_by_its_own_generators():
    found = audit().run(images(), band_limit=None)
    kinds = ("around", "up", "quarter_turn")
    for part in ("encoder", "decoder", "round_trip", "resampling"):
        for kind in kinds:
            assert found.scores[f"{part}/{kind}"].value < 1e-10, (part, kind)
    assert {name.split("/")[-1] for name in found.scores if name.startswith("encoder/")} == {*kinds}
    lie = {name for name in found.scores if name.startswith("lie/encoder/")}
    assert lie == {f"lie/encoder/{x}{r}" for x in ("around", "up") for r in ("", "/relative")}
    assert all(found.scores[name].value < 1e-10 for name in lie)
    assert found.scores["lie/encoder/up"].unit == "1/px^2"
    degrees, _ = found.sweeps["encoder"]
    assert degrees.tolist() == pytest.approx([10.0 * k for k in range(1, 36)])
    assert not found.elements and not found.layers


def test_a_broken_function_of_that_group_is_seen():
    """The control."""
    found = audit(bias=0.5).run(images(), band_limit=None)
    for part in ("encoder", "decoder", "round_trip"):
        assert found.scores[f"{part}/around"].value > 0.05, part
    assert found.scores["lie/encoder/around/relative"].value > 0.01
    assert found.scores["encoder/y/around"].value < 1e-10  # only x goes around
    assert found.worst_block == "x"


def test_lie_derivatives_along_a_generator_of_that_group():
    how = {"group": Translations(), "act_in": Torus().act, "act": act}
    encode = audit().encode
    found = lie_derivative(lambda x: encode(Batch(x)), images(), "around", **how)
    assert found.relative < 1e-10
    with pytest.raises(ValueError, match=r"generator must be one of \['around', 'up'\]"):
        lie_derivative(lambda x: x, images(), "rotation", **how)


def test_the_motions_of_the_plane_are_those_of_before():
    kinds = {
        s.name: s for s in motion_sweeps(PlaneMotions.o2(), turns=8, mirrors=4, draws=5, seed=1)
    }
    assert list(kinds) == ["rotation", "shift", "quarter_turn", "reflection"]
    torch.testing.assert_close(kinds["rotation"].motions, angle_sweep(45.0))
    torch.testing.assert_close(kinds["shift"].motions, subpixel_shifts(5, seed=1))
    torch.testing.assert_close(kinds["quarter_turn"].motions, angle_sweep(90.0))
    torch.testing.assert_close(kinds["reflection"].motions, angle_sweep(90.0, reflection=True))
    assert kinds["rotation"].degrees.tolist() == pytest.approx([45.0 * k for k in range(1, 8)])
    assert kinds["reflection"].degrees.tolist() == pytest.approx([0, 90, 180, 270])
    assert kinds["shift"].degrees is None


@pytest.mark.parametrize(
    ("group", "others"),
    [
        (PlaneMotions.trivial(), 0),
        (PlaneMotions.cyclic(4), 3),
        (PlaneMotions.dihedral(3), 5),
        (PlaneMotions.so2(), 0),
        (PlaneMotions.o2(), 0),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_finite_group_is_swept_as_the_one_around_it_and_by_its_elements(group, others):
    kinds = {s.name: s for s in motion_sweeps(group, turns=8, mirrors=4, draws=5)}
    assert ("element" in kinds) == bool(others)
    if others:
        elements = kinds["element"].motions
        assert len(elements) == others
        assert (angle_of(elements).abs() + reflection_of(elements) > 0).all()  # no identity
    assert ("reflection" in kinds) == group.reflections
    assert list(families(group.ambient)) == ["rotation", "shift"]
