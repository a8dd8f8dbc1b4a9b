"""Laws of the steerable family: f(g x) = g f(x), gradients, saving, refusals."""

import copy
from dataclasses import replace
from functools import cache, partial
from itertools import product

import pytest
import torch
from escnn.group import _clebsh_gordan, _numerical, irrep
from sklearn.utils import extmath
from torch import Tensor

from eqvae.domains import SquareGrid
from eqvae.domains.grid import disc_mask
from eqvae.nn.fields.resample import GaussianResample
from eqvae.nn.steerable import SteerableDecoder, SteerableEncoder
from eqvae.nn.steerable.blocks import FourierSiLU, SteerableConv, function_fields, scalar_fields
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.testing import GaussianScenes, assert_equivariant, latent_error, quarter_turns
from tests.cases import move

SYMMETRIES = [
    PlaneMotions.cyclic(4),
    PlaneMotions.cyclic(8),
    PlaneMotions.dihedral(4),
    PlaneMotions.so2(),
    PlaneMotions.o2(),
]
SIZES = [32, 33]
NAMES = {"ids": lambda value: getattr(value, "name", str(value))}


def latent(symmetry: PlaneMotions) -> Representation:
    frequencies = (4, 2) if symmetry.rotations == 4 else (4, 2, 2)
    return Representation(frequencies, sign=2 if symmetry.reflections else 0)


@cache
def built(kind: type, symmetry: PlaneMotions, size: int, channels: int) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = {"width": 16, "maps": 4, "hidden": 4}
    return kind(SquareGrid(size), channels, latent(symmetry), symmetry, **sizes).double()


def small(
    kind: type, symmetry: PlaneMotions, size: int = 32, channels: int = 1
) -> SteerableEncoder | SteerableDecoder:
    """The same network every time, for its caller alone: building one takes longer than its test."""
    part = copy.deepcopy(built(kind, symmetry, size, channels))
    torch.manual_seed(0)
    return part


encoder, decoder = partial(small, SteerableEncoder), partial(small, SteerableDecoder)


def motions(symmetry: PlaneMotions) -> Tensor:
    turns = quarter_turns(reflections=symmetry.reflections)
    return turns if symmetry.rotations != 2 else turns[::2]


def latents(symmetry: PlaneMotions, n: int = 3, spread: float = 2.0) -> Tensor:
    z = torch.randn(n, latent(symmetry).dim, dtype=torch.float64)
    z[:, :2] *= spread
    return z


def check_encoder(part: SteerableEncoder, x: Tensor, moves: Tensor, rtol: float) -> None:
    rho = part.representation
    kwargs = {"act_in": move, "rtol": rtol}
    assert_equivariant(
        lambda x: part(x).loc, x, moves, act_out=rho.act, error=partial(latent_error, rho), **kwargs
    )
    assert_equivariant(lambda x: part(x).log_scale, x, moves, act_out=lambda g, s: s, **kwargs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_encoder_is_exact_on_the_grids_own_motions(symmetry, size):
    torch.manual_seed(1)
    x = torch.randn(3, 2, size, size, dtype=torch.float64)  # white noise: nothing is smooth here
    check_encoder(encoder(symmetry, size, channels=2), x, motions(symmetry), rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_decoder_is_exact_on_the_grids_own_motions(symmetry, size):
    torch.manual_seed(1)
    part = decoder(symmetry, size, channels=2)
    assert_equivariant(
        part,
        latents(symmetry),
        motions(symmetry),
        act_in=part.representation.act,
        act_out=move,
        rtol=1e-5,
    )


@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_stays_exact_after_training_steps(symmetry):
    torch.manual_seed(1)
    parts = encoder(symmetry), decoder(symmetry)
    train(*parts, scenes().render()[:2])
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    check_encoder(parts[0], x, motions(symmetry), rtol=1e-5)
    assert_equivariant(
        parts[1],
        latents(symmetry),
        motions(symmetry),
        act_in=parts[1].representation.act,
        act_out=move,
        rtol=1e-5,
    )


def test_encoder_follows_shifts_by_whole_steps():
    # by two pixels the half-resolution grid maps to itself; the object stays clear of the border
    part = encoder(PlaneMotions.so2(), 50)
    x = GaussianScenes(3, seed=2, size=32, dtype=torch.float64).render(size=50)
    moves = torch.tensor([[0.0, 0, 2, 0], [0, 0, -2, 4], [0, 0, 4, -4]])
    check_encoder(part, x, moves, rtol=1e-4)  # the tails of the receptive field at the border


def test_decoder_follows_shifts_by_whole_pixels():
    part = decoder(PlaneMotions.so2(), 50)
    mask = disc_mask(50, 16).double()
    moves = torch.tensor([[0.0, 0, 1, 0], [0, 0, -2, 3]])
    z = latents(PlaneMotions.so2())
    z[:, :2] = 0
    assert_equivariant(
        part,
        z,
        moves,
        act_in=part.representation.act,
        act_out=move,
        rtol=3e-3,  # only the norm sees the border: what leaves the canvas leaves its mean square
        error=lambda a, b: ((a - b) * mask).norm().item() / (b * mask).norm().item(),
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_encoder_at_other_angles_and_shifts(seed):
    """What is promised at the start: 1 % for rotations, 0.5 % for shifts, of the default network."""
    torch.manual_seed(seed)
    part = SteerableEncoder(
        SquareGrid(50), 1, Representation((16, 8, 6, 4)), PlaneMotions.so2()
    ).double()
    generator = torch.Generator().manual_seed(0)
    turns = PlaneMotions.so2().sample(3, generator=generator).double()
    shifts = motion(shift=2 * torch.rand(3, 2, generator=generator) - 1, dtype=torch.float64)
    assert error_on_scenes(part, scenes(50), turns) < 0.01
    assert error_on_scenes(part, scenes(50), shifts) < 0.005


@pytest.mark.parametrize("seed", [0, 1])
def test_decoder_at_other_angles_and_shifts(seed):
    """Above 45 dB for rotations, 55 dB for shifts, of the range of images that are still noise."""
    torch.manual_seed(seed)
    rho = Representation((16, 8, 6, 4))
    part = SteerableDecoder(SquareGrid(50), 1, rho, PlaneMotions.so2()).double()
    z = torch.randn(4, rho.dim, dtype=torch.float64)
    z[:, :2] = 0
    generator = torch.Generator().manual_seed(0)
    turns = PlaneMotions.so2().sample(3, generator=generator).double()
    shifts = motion(shift=4 * torch.rand(3, 2, generator=generator) - 2, dtype=torch.float64)
    mask = disc_mask(50, 20).double()
    with torch.no_grad():
        still = part(z)
        for moves, bound in ((turns, 45), (shifts, 55)):
            squares = [
                (part(rho.act(g, z)) - move(g, still, "fourier")).square() * mask
                for g in moves[:, None].expand(-1, 4, -1)
            ]
            mean = torch.cat(squares).sum() / (12 * mask.sum())
            assert 20 * (still.max() - still.min()).log10() - 10 * mean.log10() > bound


def test_finite_group_errs_between_its_angles():
    """A control: C4 has no law at 45 degrees, and the test must see that."""
    part = encoder(PlaneMotions.cyclic(4), 50)
    moves = motion(angle=torch.tensor([0.7854]), dtype=torch.float64)
    assert error_on_scenes(part, scenes(50), moves) > 0.02


@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_gradient_reaches_every_parameter(symmetry):
    parts = torch.nn.ModuleList([encoder(symmetry), decoder(symmetry)])
    torch.nn.init.ones_(
        parts[0].split.gain
    )  # starts at zero, where its own factor gets no gradient
    loss(*parts, scenes().render()).backward()
    for name, parameter in parts.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_saved_weights_load_in_either_mode(symmetry):
    for build, argument in ((encoder, scenes().render()[:1]), (decoder, latents(symmetry, 1))):
        part, other = build(symmetry), build(symmetry)
        perturb(part)
        outputs = [value(part.train(mode)(argument)) for mode in (True, False)]
        for saved_in, loaded_in in product((True, False), (True, False)):
            perturb(other)
            state = part.train(saved_in).state_dict()
            other.train(loaded_in).load_state_dict(state)
            outputs += [value(copy.deepcopy(other)(argument)), value(other.eval()(argument))]
        assert all(torch.equal(output, outputs[0]) for output in outputs)


def perturb(part: torch.nn.Module) -> None:
    for parameter in part.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)


@pytest.mark.parametrize("symmetry", SYMMETRIES, **NAMES)
def test_a_blank_image_is_nowhere_and_harmless(symmetry):
    part = encoder(symmetry)
    posterior = part(torch.zeros(2, 1, 32, 32, dtype=torch.float64))
    (posterior.loc.sum() + posterior.log_scale.sum()).backward()
    assert torch.equal(posterior.loc[:, :2], torch.zeros(2, 2, dtype=torch.float64))
    assert all(p.grad is None or p.grad.isfinite().all() for p in part.parameters())


def test_chunks_of_the_nonlinearity_agree_with_one_product():
    layer = FourierSiLU(PlaneMotions.so2(), 3).double()
    h = torch.randn(40, 21, 30, 30, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(h)
    samples = layer.A @ h.reshape(120, 7, 900)
    expected = (layer.Ainv @ torch.nn.functional.silu(samples)).reshape(h.shape)
    actual = layer(h)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad((y * weight).sum(), h)[0] for y in (actual, expected))
    )


@pytest.mark.parametrize("sizes", [(50, 25), (33, 17), (50, 26), (25, 50), (17, 33)])
def test_resampling_commutes_with_quarter_turns_and_mirrors(sizes):
    step = 2.0 if sizes[0] > sizes[1] else 0.5
    resample = GaussianResample(*sizes, step, sigma=1.0).double()
    x = torch.randn(2, 1, sizes[0], sizes[0], dtype=torch.float64)
    for turn in (lambda x: torch.rot90(x, 1, (-2, -1)), lambda x: x.flip(-2)):
        torch.testing.assert_close(resample(turn(x)), turn(resample(x)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"domain": SquareGrid(16)}, r"size of at least 4 \* kernel_size = 28 .* got 16"),
        ({"channels": 0}, "channels must be a whole number >= 1; got 0"),
        ({"kernel_size": 4}, "kernel_size must be odd.* got 4"),
        ({"kernel_size": 3}, "at least 5.* got 3"),
        ({"width": 0}, "width must be"),
        ({"symmetry": PlaneMotions.cyclic(4)}, "frequency 2, which C4"),
        ({"symmetry": PlaneMotions.dihedral(2)}, "frequency 1, which D2"),
        ({"representation": Representation((4,), position=False)}, "must carry a position"),
        (
            {"representation": Representation((), sign=1)},
            "at least one irrep for a steerable",
        ),
        ({"frequency": 1}, "frequency 2, above the network's band limit frequency=1"),
    ],
)
@pytest.mark.parametrize("part", [SteerableEncoder, SteerableDecoder])
def test_refuses_what_it_cannot_treat(part, changes, message):
    settings = {
        "domain": SquareGrid(32),
        "channels": 1,
        "representation": Representation((4, 2, 2)),
        "symmetry": PlaneMotions.so2(),
        "width": 16,
    }
    with pytest.raises(ValueError, match=message):
        part(**(settings | changes))


@pytest.mark.parametrize("symmetry", [PlaneMotions.dihedral(4), PlaneMotions.o2()], **NAMES)
def test_reflections_build_beside_scikit_learn(symmetry, monkeypatch):
    """escnn 1.0.11 fails there unless patched; its cache on disk would hide that, and is left aside."""
    for module, name in (
        (_clebsh_gordan, "_clebsh_gordan_tensor"),
        (_clebsh_gordan, "_find_tensor_decomposition"),
        (irrep, "_restrict_irrep"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name).func)
    fields = replace(symmetry)  # a new value: what was built for the others is kept with them
    SteerableConv(scalar_fields(fields, 1), function_fields(fields, 1), 5)
    monkeypatch.setattr(_numerical, "randomized_svd", extmath.randomized_svd)  # control
    fields = replace(symmetry)
    with pytest.raises(TypeError, match="np.matrix is not supported"):
        SteerableConv(scalar_fields(fields, 1), function_fields(fields, 1), 5)


@cache
def scenes(size: int = 32) -> GaussianScenes:
    return GaussianScenes(4, seed=0, size=size, dtype=torch.float64)


def error_on_scenes(part: SteerableEncoder, scene: GaussianScenes, moves: Tensor) -> float:
    rho = part.representation
    with torch.no_grad():
        still = part(scene.render()).loc
        moved = torch.cat([part(scene.render(g[None])).loc for g in moves])
        expected = torch.cat([rho.act(g[None].expand(len(still), 4), still) for g in moves])
    return latent_error(rho, moved, expected)


def value(output) -> Tensor:
    return output if isinstance(output, Tensor) else torch.cat([output.loc, output.log_scale], 1)


def loss(part_in: SteerableEncoder, part_out: SteerableDecoder, x: Tensor) -> Tensor:
    posterior = part_in(x)
    image = part_out(posterior.rsample())
    return (image - x).square().sum() + posterior.loc.square().sum() - posterior.log_scale.sum()


def train(part_in: SteerableEncoder, part_out: SteerableDecoder, x: Tensor) -> None:
    parameters = [*part_in.parameters(), *part_out.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        loss(part_in, part_out, x).backward()
        optimizer.step()
