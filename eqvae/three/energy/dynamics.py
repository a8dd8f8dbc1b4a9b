"""Newton's law step by step: what becomes of a molecule under given forces.

    v += a dt / 2,   x += v dt,   a = F(x) / m,   v += a dt / 2        velocity Verlet, constant N, V, E

Time is in fs, mass in u, energy in eV and length in Angstrom; many molecules move side by side.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.watch import Watch, unwatched

FORCE_TO_ACCELERATION = 0.00964853321233  # eV/Angstrom/u in Angstrom/fs^2
BOLTZMANN = 8.617333262e-5  # eV/K
MASSES = {  # u, of what organic molecules are made of
    **{"H": 1.008, "B": 10.81, "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998, "Si": 28.085},
    **{"P": 30.974, "S": 32.06, "Cl": 35.45, "Br": 79.904, "I": 126.904},
}
Forces = Callable[[Tensor], Tensor]  # (B, N, 3) -> (B, N, 3)


@dataclass(frozen=True)
class Motion:
    """Paths of B molecules at T times.

    Attributes:
        times: (T,), fs.
        positions: (T, B, N, 3), Angstrom.
        kinetic: kinetic energies (T, B), eV.
        temperature: (T, B), K, of 3 N - 3 degrees of freedom: the centre rests.
        broken: time at which a molecule came apart or too hot to go on, fs; None if all went on to the end.
    """

    times: Tensor
    positions: Tensor
    kinetic: Tensor
    temperature: Tensor
    broken: float | None

    def drift(self, energies: Callable[[Tensor], Tensor]) -> Tensor:
        """Change of kinetic + potential energy per ps by a straight line, (B,), meV/ps per atom.

        Args:
            energies: potential energies (B,) of positions (B, N, 3), eV: of the model, or of the truth.
        """
        T, B, N = self.positions.shape[:3]
        with torch.no_grad():
            potential = energies(self.positions.flatten(0, 1)).detach().reshape(T, B)
        total = self.kinetic + potential
        time = (self.times - self.times.mean()) / 1e3
        slope = (time[:, None] * (total - total.mean(0))).sum(0) / time.square().sum()
        return 1e3 * slope / N


def masses_of(elements: Sequence[str]) -> Tensor:
    """Masses (N,), u.

    Raises:
        ValueError: for an element whose mass is not known here.
    """
    unknown = sorted(set(elements) - set(MASSES))
    if unknown:
        raise ValueError(
            f"elements must be among {', '.join(MASSES)} for dynamics; got {unknown[0]}. Give masses."
        )
    return torch.tensor([MASSES[e] for e in elements], dtype=torch.float64)


def velocities(masses: Tensor, temperature: float, n: int, seed: int = 0) -> Tensor:
    """Velocities (n, N, 3), Angstrom/fs, with the kinetic energy of a temperature and the centre at rest."""
    draw = torch.Generator().manual_seed(seed)
    v = torch.randn(n, len(masses), 3, generator=draw, dtype=torch.float64)
    v = v / masses.sqrt()[:, None]
    v = v - (masses[:, None] * v).sum(1, keepdim=True) / masses.sum()
    wanted = 1.5 * (len(masses) - 1) * BOLTZMANN * temperature
    return v * (wanted / kinetic_energy(v, masses)).sqrt()[:, None, None]


def kinetic_energy(v: Tensor, masses: Tensor) -> Tensor:
    """(B,), eV, of velocities (B, N, 3) in Angstrom/fs."""
    return (masses[:, None] * v.square()).sum((1, 2)) / (2 * FORCE_TO_ACCELERATION)


def newton(
    forces: Forces,
    positions: Tensor,
    v: Tensor,
    masses: Tensor,
    *,
    time: float,
    step: float = 0.5,
    kept: int = 100,
    hottest: float = 20_000.0,
    watch: Watch = unwatched,
) -> Motion:
    """Velocity Verlet from positions and velocities, (B, N, 3) each.

    Args:
        forces: eV/Angstrom.
        positions, v: Angstrom, Angstrom/fs.
        masses: (N,), u.
        time: fs in all.
        step: fs.
        kept: times that are kept, at most, beside the start.
        hottest: K; a mean temperature above it, or one that is no number, ends the motion.
        watch: shows the progress, see `eqvae.watch`.

    Raises:
        ValueError: if the steps are none.
    """
    steps = round(time / step)
    if steps < 1 or step <= 0:
        raise ValueError(f"time must hold a step of {step:g} fs; got {time:g} fs.")
    factor = FORCE_TO_ACCELERATION / masses[:, None]
    x, v, acceleration = positions.double(), v.double(), forces(positions) * factor
    every, broken = max(1, steps // kept), None
    times, places, energies = [0.0], [x], [kinetic_energy(v, masses)]
    to_kelvin = 1 / (1.5 * (len(masses) - 1) * BOLTZMANN)
    for k in watch(range(1, steps + 1), "Newton"):
        v = v + acceleration * (step / 2)
        x = x + v * step
        acceleration = forces(x).detach() * factor
        v = v + acceleration * (step / 2)
        if k % every == 0:
            kinetic = kinetic_energy(v, masses)
            heat = float(kinetic.mean()) * to_kelvin
            if not math.isfinite(heat) or heat > hottest:
                broken = k * step
                break
            times.append(k * step)
            places.append(x)
            energies.append(kinetic)
    kinetic = torch.stack(energies)
    return Motion(
        torch.tensor(times, dtype=torch.float64),
        torch.stack(places),
        kinetic,
        kinetic * to_kelvin,
        broken,
    )


def langevin(
    forces: Forces,
    positions: Tensor,
    masses: Tensor,
    temperature: float,
    *,
    times: Sequence[float],
    step: float = 0.5,
    friction: float = 0.02,
    seed: int = 0,
) -> Tensor:
    """Positions (len(times), B, N, 3) of Langevin dynamics at given times, fs: draws at a temperature.

    The splitting is half a kick, half a drift, friction and noise, half a drift, half a kick (BAOAB).

    References:
        Leimkuhler, Matthews, Rational construction of stochastic numerical methods for molecular sampling
        (2013), https://doi.org/10.1093/amrx/abs010.
    """
    draw = torch.Generator().manual_seed(seed)
    factor = FORCE_TO_ACCELERATION / masses[:, None]
    spread = (BOLTZMANN * temperature * factor).sqrt()
    keep = math.exp(-friction * step)
    x = positions.double()
    v = velocities(masses, temperature, len(x), seed)
    wanted = {round(time / step) for time in times}
    found, a = [], forces(x) * factor
    for k in range(1, max(wanted) + 1):
        v = v + a * (step / 2)
        x = x + v * (step / 2)
        noise = torch.randn(x.shape, generator=draw, dtype=x.dtype)
        v = keep * v + math.sqrt(1 - keep**2) * spread * noise
        x = x + v * (step / 2)
        a = forces(x).detach() * factor
        v = v + a * (step / 2)
        if k in wanted:
            found.append(x)
    return torch.stack(found)


def summary(motion: Motion) -> dict[str, float]:
    """Mean temperature of the first and of the last tenth, K, and the time that was reached, ps."""
    last = max(1, len(motion.times) // 10)
    return {
        "start": float(motion.temperature[:last].mean()),
        "end": float(motion.temperature[-last:].mean()),
        "ps": float(np.max(motion.times.numpy())) / 1e3,
    }
