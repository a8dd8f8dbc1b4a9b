"""Energies and forces of a molecule: what a gradient gives for free, and what it costs.

The molecule's energy is written down (`eqvae.three.energy.planted`), so that every drift is known, and the
models are small: each is trained once for all rows.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from matplotlib.axes import Axes
from torch import Tensor

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.three.energy import CurlPenalty, Fit, ForceField, Frames, fit, force_field, frozen
from eqvae.three.energy import planted as truth
from eqvae.three.energy.dynamics import Motion, masses_of, newton, summary, velocities
from eqvae.three.energy.metrics import (
    antisymmetry,
    force_error,
    loop_work,
    loops,
    symmetry_errors,
)

ENERGIES = "Energies and forces"
EXACT = 1e-10
WIDTH, CHANNELS = 32, 8
TRAINING, VALIDATION, TEST = 300, 50, 100
EPOCHS = 16
FAR_BETTER = 0.5  # of the other's error
STEADY = 5.0  # meV/ps per atom: a tenth of the kinetic energy at 400 K, each ps
PS, MOLECULES = 0.4, 4
ARMS = {  # name -> kind of force field, what is asked for, learning rate
    "gradient": ("gradient", None, 1e-2),
    "direct": ("direct", None, 1e-2),
    "direct, curl priced": ("direct", CurlPenalty(), 1e-2),
    "plain": ("plain direct", None, 3e-3),
}
_COLOURS = ("#2a6ab0", "#c05621", "#6b7280", "#999999")


@dataclass(frozen=True)
class Trained:
    """A model in float64, and what it cost.

    Attributes:
        model: without parameters to train.
        seconds: of the processor.
        parameters: number of them.
    """

    model: ForceField
    seconds: float
    parameters: int

    def forces(self, x: Tensor) -> Tensor:
        return self.model(x).forces

    def energies(self, x: Tensor) -> Tensor:
        return self.model(x).energies


@lru_cache(maxsize=4)
def frames(seed: int) -> tuple[Frames, ...]:
    """Training, validation and test frames."""
    made = truth.methanol(TRAINING + VALIDATION + TEST, seed=seed)
    return made.split(TRAINING, VALIDATION)


@lru_cache(maxsize=16)
def trained(arm: str, seed: int, epochs: int = EPOCHS) -> Trained:
    """A model of the arm, fitted to the frames of the seed."""
    kind, penalty, lr = ARMS[arm]
    model = force_field(kind, truth.ELEMENTS, WIDTH, CHANNELS, seed=seed)
    begin = time.process_time()
    if epochs:
        fit(model, *frames(seed)[:2], Fit(epochs=epochs, lr=lr, penalty=penalty, seed=seed))
    return Trained(frozen(model), time.process_time() - begin, model.num_parameters)


@claim(
    "39",
    subject=ENERGIES,
    title="Energies that don't turn, forces that do",
    told="A network's energy stays the same under rotations, mirrors and swaps of equal atoms, and its "
    "forces move as vectors.",
    found="Energy, its negative gradient and a force that is read off directly are compared before and after "
    "rotations, mirrors and permutations, in double precision and without any training. The control is a "
    "perceptron of all coordinates, which obeys none of them.",
)
def forces_turn(seed: int) -> Measured:
    numbers: dict[str, float] = {}
    x = truth.start() + 0.1 * _noise(seed, 8)
    for arm in ("gradient", "direct", "plain"):
        made = trained(arm, seed, epochs=0)
        energies = None if made.model.forces.vectors else made.energies
        found = symmetry_errors(made.forces, energies, x, truth.ELEMENTS, seed=seed)
        numbers |= {f"{arm}: {name}": float(score) for name, score in found.items()}
    ours = [value for name, value in numbers.items() if not name.startswith("plain")]
    others = [value for name, value in numbers.items() if name.startswith("plain")]
    return Measured(
        max(ours),
        bound=EXACT,
        control=min(others),
        holds=max(ours) < EXACT,
        floor=0.0,
        ceiling=2**0.5,
        others=numbers,
        draw=bars(numbers),
    )


@claim(
    "40",
    subject=ENERGIES,
    title="A gradient has no curl",
    told="Forces that are the gradient of an energy are conservative on their own: nothing has to be trained "
    "for it.",
    found="The antisymmetric part of the forces' Jacobian, and the work around closed paths, are zero up to "
    "rounding for the gradient, whatever its weights. Forces that are read off directly have to learn both "
    "from frames, with or without a price on curl.",
    repeats=1,
)
def no_curl(seed: int) -> Measured:
    test = frames(seed)[2].positions
    curl, work = {}, {}
    for arm in ("gradient", "direct", "direct, curl priced"):
        made = trained(arm, seed)
        curl[arm] = float(antisymmetry(made.forces, test[:6], seed=seed))
        work[arm] = float(loop_work(made.forces, loops(test[:10], seed=seed), seed=seed))
    numbers = {f"{arm}: curl": value for arm, value in curl.items()}
    numbers |= {f"{arm}: loop": value for arm, value in work.items()}
    return Measured(
        curl["gradient"],
        bound=EXACT,
        control=curl["direct"],
        holds=curl["gradient"] < EXACT and work["gradient"] < 1e-3 * work["direct"],
        floor=0.0,
        ceiling=0.5**0.5,
        unit="part of the Jacobian",
        others=numbers,
        draw=bars(numbers, "curl of the Jacobian; work around a loop"),
    )


def motion(arm: str, seed: int) -> Motion:
    """Molecules of the test frames under the forces of an arm, from 400 K."""
    made, masses = trained(arm, seed), masses_of(truth.ELEMENTS)
    v = velocities(masses, 400.0, MOLECULES, seed)
    start = frames(seed)[2].positions[:MOLECULES]
    return newton(
        lambda x: made.forces(x).detach(), start, v, masses, time=1e3 * PS, step=0.5, kept=40
    )


@claim(
    "41",
    subject=ENERGIES,
    title="A conservative force makes no heat",
    told="Under forces from an energy, a molecule that is left alone keeps its total energy.",
    found="Newton's equations are solved step by step under the forces of each model, and the true energy is "
    "the meter for all. What curl there is in direct forces does work at every turn of a vibration and heats "
    "the molecule from nothing; a gradient leaves only the errors of the time step and of the fit.",
    repeats=1,
)
def no_heat(seed: int) -> Measured:
    paths = {arm: motion(arm, seed) for arm in ("gradient", "direct", "direct, curl priced")}
    drift = {arm: float(path.drift(truth.energy).abs().mean()) for arm, path in paths.items()}
    own = float(paths["gradient"].drift(trained("gradient", seed).energies).abs().mean())
    numbers = {f"{arm}: true energy, meV/ps per atom": value for arm, value in drift.items()}
    for arm, path in paths.items():
        told = summary(path)
        numbers |= {f"{arm}: {when}, K": told[when] for when in ("start", "end")}
    return Measured(
        own,
        bound=STEADY,
        control=drift["direct"],
        holds=own < STEADY and drift["gradient"] < STEADY,
        holds_if=own < STEADY,
        floor=0.0,
        unit="meV/ps per atom",
        others=numbers,
        draw=heat(paths),
    )


@claim(
    "42",
    subject=ENERGIES,
    title="By gradient or directly",
    told="Forces as the gradient of an energy are far more accurate than forces that a network gives "
    "directly.",
    found="Both are trained on the same frames with the same number of parameters, and errors are those of "
    "frames that neither has seen; far better means less than half the error. What the gradient costs is a "
    "second derivative at every step of its training, and that price stands beside the errors.",
    condition="if better is enough: at equal parameters and frames, and a longer training",
    repeats=1,
)
def gradient_or_direct(seed: int) -> Measured:
    test = frames(seed)[2]
    errors, numbers = {}, {}
    for arm in ARMS:
        made = trained(arm, seed)
        score = force_error(made.model.predict(test.positions).forces, test, seed=seed)
        errors[arm] = float(score)
        numbers[f"{arm}: seconds"] = made.seconds
        numbers[f"{arm}: parameters"] = float(made.parameters)
        numbers[f"{arm}: meV/A"] = float(score)
    ratio = errors["gradient"] / errors["direct"]
    return Measured(
        ratio,
        bound=1.0,
        control=errors["plain"] / errors["direct"],
        holds=ratio < FAR_BETTER,
        holds_if=ratio < 1,
        ceiling=score.floor / errors["direct"] if score.floor is not None else None,
        unit="error over that of direct forces",
        others=numbers,
        draw=bars(errors, "error of forces, meV/A", log=False),
    )


def heat(paths: dict[str, Motion]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for (arm, path), colour in zip(paths.items(), _COLOURS, strict=False):
            with torch.no_grad():
                potential = truth.energy(path.positions.flatten(0, 1)).reshape(path.kinetic.shape)
            total = 1e3 * (path.kinetic + potential - path.kinetic[0] - potential[0]).mean(1)
            axes.plot(path.times / 1e3, total, color=colour, label=arm)
        axes.set_xlabel("time, ps")
        axes.set_ylabel("energy gained, meV")
        axes.legend(frameon=False)

    return draw


def _noise(seed: int, n: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, len(truth.ELEMENTS), 3, generator=draw, dtype=torch.float64)
