"""Functions whose representation is known, with noise, and five that carry none: what `identify` has to find.

Functions of space get a place q, a momentum p and a field E, all vectors, and a spin S, a pseudovector;
functions of the plane get six points. Half of them are written for NumPy, half for torch, some for one row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eqvae.symmetry import PlaneMotions, SpaceRotations
from eqvae.symmetry.group import Group
from eqvae.symmetry.wigner import solid_harmonics

NOISE = 0.01  # of each output's root mean square
_SPACE, _PLANE, _FLIP = SpaceRotations(parity=True), PlaneMotions(), PlaneMotions(reflections=True)
_C8, _D4 = PlaneMotions.cyclic(8), PlaneMotions.dihedral(4)
_PARTICLE = "3x1o + 1x1e"
_SHARP = 8.0  # bins of orientation, 1 / width^2


@dataclass(frozen=True)
class Planted:
    """A function, and what it carries.

    Attributes:
        what: it is, in words.
        name: of its representation, or "none".
        f: without noise.
        group: that acts.
        rho_in: how its inputs move.
        shift: radius of shifts, pixels.
        by_row: whether it takes a single row.
    """

    what: str
    name: str
    f: Callable[[Any], Any]
    group: Group = _SPACE
    rho_in: str = _PARTICLE
    shift: float = 0.0
    by_row: bool = False

    def data(self, n: int, seed: int) -> np.ndarray | torch.Tensor:
        """Inputs; arrays, and tensors for the functions written in torch."""
        random = np.random.default_rng(seed)
        if self.rho_in == _PARTICLE:
            x = random.normal(size=(n, 12))
        else:
            x = 4 * random.normal(size=(n, 6, 2)) + 3 * random.normal(size=(n, 1, 2))
        return torch.from_numpy(x) if self.f.__name__.startswith("torch_") else x

    def noisy(self, data: Any, seed: int, noise: float = NOISE) -> Callable[[Any], Any]:
        """The function with white noise on every output, drawn anew in each call."""
        random = np.random.default_rng(seed)
        clean = [self.f(row) for row in data] if self.by_row else self.f(data)
        size = np.sqrt(np.square(np.asarray(clean)).mean(0))

        def f(x: Any) -> Any:
            y = self.f(x)
            draws = noise * size * random.normal(size=np.shape(y))
            return y + (torch.from_numpy(draws) if torch.is_tensor(y) else draws)

        return f


def _parts(x: Any) -> tuple[Any, Any, Any, Any]:
    """q, p, E, S of rows."""
    return x[..., :3], x[..., 3:6], x[..., 6:9], x[..., 9:]


def energy(row: np.ndarray) -> float:
    q, p = row[:3], row[3:6]
    return float(p @ p) / 2 + 1 / (1 + float(q @ q))


def torch_helicity(x: torch.Tensor) -> torch.Tensor:
    _, p, _, spin = _parts(x)
    return (spin * p).sum(-1, keepdim=True)


def volume(row: np.ndarray) -> np.ndarray:
    return np.linalg.det(row[:9].reshape(3, 3))


def force(x: np.ndarray) -> np.ndarray:
    q = _parts(x)[0]
    return -q / (1 + (q**2).sum(-1, keepdims=True)) ** 1.5


def torch_torque(x: torch.Tensor) -> torch.Tensor:
    q, _, field, _ = _parts(x)
    return torch.linalg.cross(q, field)


def momentum(row: np.ndarray) -> np.ndarray:
    return np.cross(row[:3], row[3:6])


def inertia(x: np.ndarray) -> np.ndarray:
    q = _parts(x)[0]
    return (q**2).sum(-1)[..., None, None] * np.eye(3) - q[..., :, None] * q[..., None, :]


def torch_dyad(x: torch.Tensor) -> torch.Tensor:
    q, p, _, _ = _parts(x)
    return q[..., :, None] * p[..., None, :]


def shear(x: np.ndarray) -> np.ndarray:
    q, p, _, _ = _parts(x)
    dyad = q[..., :, None] * np.cross(q, p)[..., None, :]
    return dyad + dyad.swapaxes(-1, -2)  # without trace, as q is orthogonal to q x p


def torch_octupole(x: torch.Tensor) -> torch.Tensor:
    return solid_harmonics(3, _parts(x)[0])


def lorentz(x: np.ndarray) -> np.ndarray:
    _, p, field, spin = _parts(x)
    return field + np.cross(p, spin)


def _mixed(size: int) -> np.ndarray:
    """An unknown change of basis, far from orthogonal but not hopeless: singular values 0.3 to 2."""
    random = np.random.default_rng(size)
    turns = [np.linalg.qr(random.normal(size=(size, size)))[0] for _ in range(2)]
    return turns[0] @ np.diag(np.linspace(0.3, 2, size)) @ turns[1]


def phase_space(x: np.ndarray) -> np.ndarray:
    q, p, _, _ = _parts(x)
    scalars = np.stack([np.linalg.norm(q, axis=-1), (q * p).sum(-1)], axis=-1)
    return np.concatenate([scalars, q, np.cross(q, p)], axis=-1) @ _mixed(8)


def torch_spinning(x: torch.Tensor) -> torch.Tensor:
    q, _, field, _ = _parts(x)
    parts = [torch_helicity(x), field, solid_harmonics(2, q)]
    return torch.cat(parts, dim=-1) @ torch.from_numpy(_mixed(9))


def _complex(x: np.ndarray) -> np.ndarray:
    """Points about their mean as complex numbers, (N, 6)."""
    centred = x - x.mean(-2, keepdims=True)
    return centred[..., 0] + 1j * centred[..., 1]


def _pairs(w: np.ndarray) -> np.ndarray:
    return np.stack([w.real, w.imag], axis=-1).reshape(*w.shape[:-1], -1)


def latent(x: np.ndarray) -> np.ndarray:
    w = _complex(x)
    frames = np.stack([w[..., 0], w[..., 1] - w[..., 2]], axis=-1)
    content = [np.abs(w[..., 0]), np.abs(w[..., 3]), np.abs(w[..., 1] - w[..., 4])]
    content = np.stack([*content, np.abs(w[..., 5] - w[..., 2])], axis=-1)
    return np.concatenate([x.mean(-2), content, _pairs(frames)], axis=-1)


def mixed_latent(x: np.ndarray) -> np.ndarray:
    w = _complex(x)
    content = np.abs(np.stack([w[..., 0], w[..., 1] - w[..., 2]], axis=-1))
    turning = [_pairs(w[..., :1]), _pairs(w[..., 1:2] ** 2 / 4)]
    return np.concatenate([x.mean(-2), content, *turning], axis=-1) @ _mixed(8)


def histogram(x: np.ndarray) -> np.ndarray:
    """Eight bins of orientation, each point as heavy as it is far."""
    return _binned(x, np.arange(8) * (np.pi / 4))


def _binned(x: np.ndarray, bins: np.ndarray) -> np.ndarray:
    w = _complex(x)[..., None]
    return (np.abs(w) * np.exp(_SHARP * (np.cos(np.angle(w) - bins) - 1))).sum(-2)


def torch_dihedral(x: torch.Tensor) -> torch.Tensor:
    """One lopsided filter, turned and mirrored in all eight ways."""
    points = x - x.mean(-2, keepdim=True)
    back = _D4.inverse(_D4.elements())
    seen = torch.stack([_D4.act(g.expand(len(points), -1), points) for g in back[:, None]], dim=1)
    angle = torch.atan2(seen[..., 1], seen[..., 0])
    return (seen.norm(dim=-1) * torch.exp(_SHARP * (torch.cos(angle - 0.4) - 1))).sum(-1)


def area(x: np.ndarray) -> np.ndarray:
    w = _complex(x)
    return (np.conj(w[..., 0]) * w[..., 1]).imag[..., None]


def torch_stress(x: torch.Tensor) -> torch.Tensor:
    points = x - x.mean(-2, keepdim=True)
    a, b = points.unbind(-1)
    return torch.stack([(a * a - b * b).sum(-1), (2 * a * b).sum(-1)], dim=-1)


def mirrored(x: np.ndarray) -> np.ndarray:
    w = _complex(x)
    scalars = np.abs(w[..., :2])
    turning = [_pairs(w[..., 2:3]), _pairs(w[..., 1:2] ** 2 / 4)]
    return np.concatenate([scalars, area(x) / 4, *turning], axis=-1) @ _mixed(7)


def in_a_field(x: np.ndarray) -> np.ndarray:
    return force(x) + np.array([0.0, 0.0, -0.3])


def torch_clipped(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(_parts(x)[0])


def uneven_mass(x: np.ndarray) -> np.ndarray:
    return (_parts(x)[1] ** 2 @ np.array([1.0, 1.0, 1.5]))[..., None] / 2


def bare_angle(x: np.ndarray) -> np.ndarray:
    return np.angle(_complex(x)[..., :1])


def crooked(x: np.ndarray) -> np.ndarray:
    return _binned(x, np.arange(8) * (np.pi / 4) + 0.5 * (np.arange(8) == 3))


def _plane(what: str, name: str, f: Callable, group: Group, shift: float = 0.0) -> Planted:
    return Planted(what, name, f, group, "points", shift)


PLANTED = (
    Planted("energy", "0e", energy, by_row=True),
    Planted("helicity S . p", "0o", torch_helicity),
    Planted("volume q . (p x E)", "0o", volume, by_row=True),
    Planted("force of a centre", "1o", force),
    Planted("torque q x E", "1e", torch_torque),
    Planted("angular momentum q x p", "1e", momentum, by_row=True),
    Planted("inertia tensor", "1x0e + 1x2e", inertia),
    Planted("dyad q p", "1x0e + 1x1e + 1x2e", torch_dyad),
    Planted("sheared pseudovector", "2o", shear),
    Planted("octupole", "3o", torch_octupole),
    Planted("force E + p x S", "1o", lorentz),
    Planted("two scalars, q, q x p, mixed", "2x0e + 1x1o + 1x1e", phase_space),
    Planted("helicity, E, quadrupole, mixed", "1x0o + 1x1o + 1x2e", torch_spinning),
    _plane("latent of SE(2)", "position + 4x0 + 2x1", latent, _PLANE, 4.0),
    _plane("latent of SE(2), mixed", "position + 2x0 + 1x1 + 1x2", mixed_latent, _PLANE, 4.0),
    _plane("orientation histogram", "regular of C8", histogram, _C8),
    _plane("filter under D4", "regular of D4", torch_dihedral, _D4),
    _plane("signed area", "1xsign", area, _FLIP),
    _plane("stress", "1x2", torch_stress, _FLIP),
    _plane("four irreps of O(2), mixed", "2x0 + 1xsign + 1x1 + 1x2", mirrored, _FLIP),
)
BROKEN = (
    Planted("force and a fixed field", "none", in_a_field),
    Planted("vector, clipped at 0", "none", torch_clipped),
    Planted("energy of an uneven mass", "none", uneven_mass),
    _plane("angle as a number", "none", bare_angle, _PLANE),
    _plane("histogram with a bin astray", "none", crooked, _C8),
)
