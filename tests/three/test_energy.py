"""Energies and forces: laws in float64 with controls that fail, bad input, and what ase makes of them."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from eqvae.three.energy import (
    CurlPenalty,
    Fit,
    ForceField,
    Frames,
    GradientForces,
    PairNetwork,
    fit,
    force_field,
    frozen,
    read_frames,
)
from eqvae.three.energy import planted as truth
from eqvae.three.energy.dynamics import kinetic_energy, langevin, masses_of, newton, velocities
from eqvae.three.energy.metrics import (
    antisymmetry,
    energy_error,
    force_error,
    jacobians,
    loop_work,
    loops,
    symmetry_errors,
)
from eqvae.three.energy.xtb import MoleculeRecipe, molecule_frames
from eqvae.training.divergence import Diverged

EXACT = 1e-10  # relative, float64
ELEMENTS = truth.ELEMENTS


def places(n: int = 4, spread: float = 0.1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(n, len(ELEMENTS), 3, generator=draw, dtype=torch.float64)
    return truth.start() + spread * noise


@cache
def made(kind: str) -> ForceField:
    return frozen(force_field(kind, ELEMENTS, width=16, channels=4))


@cache
def frames() -> Frames:
    x = places(40, 0.05)
    return Frames(x, ELEMENTS, truth.energy(x), truth.forces(x))


def forces_of(kind: str):
    return lambda x: made(kind)(x).forces


def energies_of(kind: str):
    return lambda x: made(kind)(x).energies


@pytest.mark.parametrize("kind", ["gradient", "direct"])
def test_energy_stays_and_forces_turn(kind):
    energies = energies_of(kind) if kind == "gradient" else None
    found = symmetry_errors(forces_of(kind), energies, places(), ELEMENTS)
    assert len(found) == (6 if energies else 3)
    assert max(float(score) for score in found.values()) < EXACT


@pytest.mark.parametrize("kind", ["plain gradient", "plain direct"])
def test_plain_ones_do_not(kind):
    """The control."""
    found = symmetry_errors(forces_of(kind), None, places(), ELEMENTS)
    assert min(float(score) for score in found.values()) > 0.1


def test_the_written_energy_is_invariant_but_for_unlike_hydrogens():
    x = places()
    swapped = x[:, [0, 1, 4, 2, 3, 5]]
    assert torch.allclose(truth.energy(x), truth.energy(swapped), rtol=1e-12)
    assert not torch.allclose(truth.energy(x), truth.energy(x[:, [0, 1, 5, 3, 4, 2]]), rtol=1e-3)


@pytest.mark.parametrize("kind", ["gradient", "plain gradient"])
def test_a_gradient_has_no_curl(kind):
    assert float(antisymmetry(forces_of(kind), places(2))) < EXACT
    assert float(loop_work(forces_of(kind), loops(places(2), radius=0.01))) < 1e-8


def test_direct_forces_have():
    """The control."""
    assert float(antisymmetry(forces_of("direct"), places(2))) > 0.1
    assert float(loop_work(forces_of("direct"), loops(places(2), radius=0.01))) > 1e-3


def test_forces_are_the_slope_of_the_energy():
    """Held against differences of energies, which no derivative has seen."""
    x, h = places(1), 1e-5
    steps = h * torch.eye(18, dtype=torch.float64).reshape(18, 6, 3)
    slope = (energies_of("gradient")(x + steps) - energies_of("gradient")(x - steps)) / (2 * h)
    assert torch.allclose(-slope.reshape(6, 3), forces_of("gradient")(x)[0], atol=1e-8)


def test_known_curls_are_measured():
    """F = A x has the Jacobian A, of which lambda and the work around a circle are known."""
    A = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double()

    def forces(x):
        return (x.flatten(1) @ A.T).reshape(x.shape)

    x = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(2)).double()
    assert torch.allclose(jacobians(forces, x), A.expand(3, -1, -1))
    expected = ((A - A.T) / 2).norm() / A.norm()
    assert math.isclose(float(antisymmetry(forces, x)), float(expected), rel_tol=1e-9)
    angle = 2 * math.pi * torch.arange(16).double() / 16
    circle = torch.zeros(1, 16, 2, 3).double()
    circle[0, :, 0, 0], circle[0, :, 0, 1] = angle.cos(), angle.sin()

    def around(x):  # always along the circle: all work has one sign
        return torch.stack([-x[..., 1], x[..., 0], 0 * x[..., 0]], dim=-1)

    assert math.isclose(float(loop_work(around, circle)), 1.0, rel_tol=1e-12)
    with pytest.raises(ValueError, match="four points or more"):
        loop_work(around, circle[:, :3])


def test_the_price_of_curl_falls_on_curl_alone():
    model, draw = force_field("direct", ELEMENTS, 16, 4).double(), torch.Generator()
    price = CurlPenalty(2.0)
    found = float(price(model, places(), draw.manual_seed(0)).detach())
    x, v = places(), torch.randn(places().shape, generator=draw.manual_seed(0)).double()
    J = jacobians(lambda x: model(x).forces, x)
    along, across = (torch.einsum("bij,bj->bi", M, v.flatten(1)) for M in (J, J.transpose(1, 2)))
    expected = (along - across).norm() / (along.square() + across.square()).sum().sqrt()
    assert math.isclose(found, 2 * float(expected), rel_tol=1e-6)
    with pytest.raises(ValueError, match="Leave the penalty out"):
        price.check(force_field("gradient", ELEMENTS, 16, 4))
    with pytest.raises(ValueError, match="weight must be at least 0"):
        CurlPenalty(-1.0)


def test_leaving_the_cutoff_is_smooth():
    network = PairNetwork(("H", "H"), 8, 4, cutoff=3.0)
    model = ForceField(network, GradientForces(8, 8)).double().eval()
    r = torch.tensor([2.9, 2.99, 2.999, 3.0, 3.001, 9.0], dtype=torch.float64)
    x = torch.zeros(6, 2, 3, dtype=torch.float64)
    x[:, 1, 0] = r
    found = model.predict(x)
    energies = found.energies - found.energies[-1]
    assert float(energies[3:].abs().max()) == 0 and float(found.forces[3:].abs().max()) == 0
    assert float(energies[2].abs()) < 1e-2 * float(energies[1].abs()) + 1e-15
    assert float(found.forces[1].abs().max()) < 0.1 * float(found.forces[0].abs().max())


def test_sizes_are_equal():
    sizes = [
        force_field(k, ("C", "C", "O", *"HHHHHH")).num_parameters for k in ("gradient", "direct")
    ]
    assert max(sizes) <= 34_000 and max(sizes) / min(sizes) < 1.005
    assert made("plain direct").num_parameters <= 1.005 * made("direct").num_parameters


@pytest.mark.parametrize("kind", ["gradient", "direct", "plain gradient", "plain direct"])
def test_gradients_reach_every_parameter(kind):
    model = force_field(kind, ELEMENTS, 16, 4)
    model(places().float()).forces.square().sum().backward()
    idle = [name for name, p in model.named_parameters() if not bool((p.grad != 0).any())]
    # an energy's last bias in a layer that only shifts it has no force
    assert set(idle) <= {"network.layers.4.bias"}


def test_training_lowers_the_error_and_is_the_same_twice(tmp_path):
    train, validation = frames()[:30], frames()[30:]
    how = Fit(epochs=8, checks=3)
    models = [force_field("gradient", ELEMENTS, 16, 4, seed=0) for _ in range(2)]
    before = force_error(models[0].predict(validation.positions).forces, validation)
    done = [fit(model, train, validation, how) for model in models]
    predicted = models[0].predict(validation.positions)
    after = force_error(predicted.forces, validation)
    assert after.value < 0.7 * after.floor and before.value > after.value
    assert math.isclose(min(done[0].validation) * 1e3, after.value, rel_tol=1e-4)
    assert torch.equal(predicted.forces, models[1].predict(validation.positions).forces)
    assert energy_error(predicted.energies, validation).unit == "meV"
    torch.save(models[0].state_dict(), tmp_path / "weights.pt")
    other = force_field("gradient", ELEMENTS, 16, 4, seed=5)
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    assert torch.equal(other.predict(validation.positions).energies, predicted.energies)


def test_direct_forces_train_without_energies_and_curl_costs():
    train, validation = replace(frames()[:20], energies=None), frames()[30:]
    model = force_field("direct", ELEMENTS, 16, 4)
    fit(model, train, validation, Fit(epochs=2, checks=1, penalty=CurlPenalty(every=2)))
    found = model.predict(validation.positions)
    assert found.energies is None and bool(found.forces.isfinite().all())
    assert "direct" in energy_error(found.energies, validation).reason


def test_a_training_that_diverges_stops():
    with pytest.raises(Diverged, match="not finite at step"):
        fit(
            force_field("direct", ELEMENTS, 16, 4),
            frames()[:20],
            frames()[30:],
            Fit(lr=1e20, warmup=0.0),
        )


def test_newton_keeps_the_energy_and_a_curl_does_not():
    masses, x = masses_of(ELEMENTS), places(2, 0.02)
    v = velocities(masses, 300.0, 2)
    path = newton(truth.forces, x, v, masses, time=100.0, step=0.25)
    assert float(path.drift(truth.energy).abs().max()) < 1.0  # meV/ps per atom
    assert torch.allclose(path.temperature[0], torch.tensor(300.0).double())
    turning = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]).double()
    curled = newton(
        lambda x: truth.forces(x) + 3 * (x - x.mean(1, keepdim=True)) @ turning.T,
        *(x, v, masses),
        time=100.0,
        step=0.25,
    )
    assert float(curled.drift(truth.energy).mean()) > 50.0
    burst = newton(lambda x: 1e3 * x, x, v, masses, time=100.0)
    assert burst.broken is not None and bool(burst.temperature.isfinite().all())


def test_langevin_has_its_temperature():
    """Harmonic springs, whose mean energy is known: k T / 2 for each coordinate."""
    masses = masses_of(["C", "H"])
    spring, temperature = 5.0, 400.0
    x = langevin(
        lambda x: -spring * x,
        torch.zeros(200, 2, 3),
        masses,
        temperature,
        times=[150.0, 200.0, 250.0],
        friction=0.05,
    )
    found = float(spring * x.square().mean()) / 8.617333262e-5
    assert math.isclose(found, temperature, rel_tol=0.1)  # 3600 draws, three times partly the same


def test_ase_moves_a_molecule_to_the_same_place():
    ase = pytest.importorskip("ase", reason="needs the extra molecules")
    from ase import units
    from ase.md.verlet import VelocityVerlet

    from eqvae.three.energy.calculator import calculator

    model, masses, x = made("gradient"), masses_of(ELEMENTS), places(1, 0.02)
    v = velocities(masses, 300.0, 1)
    atoms = ase.Atoms("".join(ELEMENTS), x[0].numpy(), masses=masses.numpy())
    atoms.set_velocities(v[0].numpy() / units.fs)
    assert math.isclose(atoms.get_kinetic_energy(), float(kinetic_energy(v, masses)), rel_tol=1e-6)
    atoms.calc = calculator(model)
    VelocityVerlet(atoms, timestep=0.5 * units.fs).run(20)
    path = newton(lambda x: model(x).forces.detach(), x, v, masses, time=10.0)
    assert np.abs(path.positions[-1, 0].numpy() - atoms.get_positions()).max() < 1e-6
    with pytest.raises(ValueError, match="Give them in this order"):
        ase.Atoms("CH3OH", x[0].numpy(), calculator=calculator(model)).get_forces()
    direct = ase.Atoms("".join(ELEMENTS), x[0].numpy(), calculator=calculator(made("direct")))
    assert direct.get_forces().shape == (6, 3)
    with pytest.raises(NotImplementedError, match="it has none"):
        direct.get_potential_energy()


def test_frames_of_a_molecule_are_made_once(tmp_path):
    pytest.importorskip("tblite", reason="needs the extra molecules")
    recipe = MoleculeRecipe(num_frames=3, spacing=2, start=2)
    first = molecule_frames(recipe, tmp_path)
    (file,) = tmp_path.iterdir()
    made_at = file.stat().st_mtime_ns
    again = molecule_frames(recipe, tmp_path)
    assert file.stat().st_mtime_ns == made_at and torch.equal(first.forces, again.forces)
    assert first.positions.shape == (3, 9, 3) and first.elements.count("H") == 6
    assert replace(recipe, seed=1).name != recipe.name
    file.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="Delete it to make it again"):
        molecule_frames(recipe, tmp_path)


X = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": X[:, :1], "elements": ("H",)}, "at least two atoms"),
        ({"positions": X * math.nan}, "must be finite numbers"),
        ({"positions": 0 * X}, "atoms 0 and 1 of frame 0 coincide"),
        ({"positions": X[0]}, r"must be \(frames, atoms, 3\)"),
        ({"elements": ("H", "Xx")}, "chemical symbols"),
        ({"elements": ("H",)}, "name each of the 2 atoms"),
        ({"forces": X[:, :1]}, r"forces of frames must be \(3, 2, 3\)"),
        ({"energies": X[:2, 0, 0]}, r"energies of frames must be \(3,\)"),
        ({"energies": X[:, 0, 0] / 0}, "energies of frames must be finite"),
    ],
)
def test_bad_frames_are_refused(change, message):
    good = {"positions": X, "elements": ("H", "H"), "forces": X, "energies": X[:, 0, 0]}
    with pytest.raises(ValueError, match=message):
        Frames(**(good | change))


def test_what_does_not_fit_is_refused(tmp_path):
    model, hydrogen = made("gradient"), Frames(X, ("H", "H"))
    with pytest.raises(ValueError, match="forces of frames must be there"):
        fit(force_field("gradient", ("H", "H"), 16, 4), hydrogen, hydrogen)
    with pytest.raises(ValueError, match="energies of frames must be there"):
        known = replace(hydrogen, forces=X)
        fit(force_field("gradient", ("H", "H"), 16, 4), known, known)
    with pytest.raises(ValueError, match="atoms of frames must be those of the model"):
        fit(model, hydrogen, hydrogen)
    with pytest.raises(ValueError, match="name each of the 2 atoms"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"forces must be \(40, 6, 3\)"):
        force_error(X, frames())
    with pytest.raises(ValueError, match="kind must be one of"):
        force_field("curled", ELEMENTS)
    with pytest.raises(ValueError, match="vectors of the network must be False"):
        ForceField(PairNetwork(("H", "H"), vectors=True), GradientForces(48))
    with pytest.raises(ValueError, match="leave a frame"):
        frames().split(30, 10)
    with pytest.raises(ValueError, match="Give masses"):
        masses_of(["U"])
    np.savez(tmp_path / "some.npz", positions=X.numpy())
    with pytest.raises(ValueError, match="it lacks elements"):
        read_frames(tmp_path / "some.npz")
