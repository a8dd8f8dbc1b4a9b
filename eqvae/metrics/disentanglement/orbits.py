"""Orbits: codes of objects that were seen at several angles, and the circles that fit them best.

An object's codes follow a linear action of the rotations with frequency omega if

    z_i = mu_o + exp(omega theta_i J) v_o,        J^T = -J, J^2 = -1,

a circle in the plane of v_o and J v_o. The complex structure J is common to all objects, mu_o and v_o are
their own. `circle_errors` fits all three.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import schur
from scipy.sparse import csr_matrix

CONSTANT = 1e-12  # a variance below this part of the mean square is rounding


@dataclass(frozen=True)
class Orbits:
    """Codes of one block sorted into the orbits of objects that were seen at enough angles."""

    z: np.ndarray  # (n, d), the mean of each object removed
    raw: np.ndarray  # (n, d)
    angles: np.ndarray  # (n,)
    objects: np.ndarray  # (n,), 0 ... K - 1
    order: np.ndarray  # (n,), k of C_k
    rows: np.ndarray  # (n,), rows of the data set
    distinct: int  # smallest number of different angles that an object has

    @classmethod
    def of(cls, z, angles, objects, order, frequency) -> "Orbits":
        turn = np.round(np.mod(angles, 2 * np.pi) / (2 * np.pi) * 1e6).astype(np.int64) % 1_000_000
        pairs = np.unique(np.stack([objects, turn], axis=1), axis=0)
        distinct = np.bincount(pairs[:, 0], minlength=objects.max() + 1)
        seen = distinct >= max(4, 2 * frequency + 1)
        rows = np.flatnonzero(seen[objects])
        kept = np.unique(objects[rows], return_inverse=True)[1]
        raw = z[rows]
        centred = raw - object_means(raw, kept)[kept] if len(rows) else raw
        least = int(distinct[seen].min()) if len(rows) else 0
        return cls(centred, raw, angles[rows], kept, order[rows], rows, least)

    @property
    def constant(self) -> bool:
        return bool(np.mean(self.z**2) <= CONSTANT * max(np.mean(self.raw**2), 1e-300))

    def shuffled(self, generator: np.random.Generator) -> "Orbits":
        """Angles permuted within each object: what chance gives."""
        place = np.argsort(self.objects, kind="stable")
        drawn = np.lexsort((generator.random(len(self.objects)), self.objects))
        angles = np.empty_like(self.angles)
        angles[place] = self.angles[drawn]
        return Orbits(self.z, self.raw, angles, self.objects, self.order, self.rows, self.distinct)


def object_means(values: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Mean of the rows of each object, (K, d)."""
    counts = np.bincount(objects)
    members = csr_matrix((1 / counts[objects], (objects, np.arange(len(objects)))))
    return members @ values


def _waves(orbit: Orbits, omega: int) -> np.ndarray:
    """(cos omega theta_i, sin omega theta_i), the mean of each object removed, (n, 2)."""
    x = np.stack([np.cos(omega * orbit.angles), np.sin(omega * orbit.angles)], axis=1)
    return x - object_means(x, orbit.objects)[orbit.objects]


def _amplitudes(orbit: Orbits, omega: int) -> np.ndarray:
    """(a_o, b_o) of the regression z_i = a_o cos(omega theta_i) + b_o sin(omega theta_i), (K, 2, d)."""
    x, d = _waves(orbit, omega), orbit.z.shape[1]
    products = (x[:, :, None] * np.concatenate([x, orbit.z], axis=1)[:, None, :]).reshape(
        len(x), -1
    )
    moments = object_means(products, orbit.objects).reshape(-1, 2, 2 + d)
    return np.linalg.pinv(moments[:, :, :2], hermitian=True) @ moments[:, :, 2:]


def at_frequency(orbit: Orbits, omega: int) -> np.ndarray:
    """The part of centred codes that has frequency omega, whether circle or ellipse, (n, d)."""
    ab = _amplitudes(orbit, omega)[orbit.objects]
    return np.einsum("nk,nkd->nd", _waves(orbit, omega), ab)


def _complex_basis(orbit: Orbits, omega: int) -> np.ndarray:
    """Columns q_1 + i q_2 of the best complex structure J, (d, d // 2): exp(phi J) multiplies by e^(i phi).

    With uniform angles the error falls by tr(J^T S), S = sum_o n_o (b_o a_o^T - a_o b_o^T) / 2, which is
    largest for the polar factor of S; its planes are those of the real Schur form of the antisymmetric S.
    """
    d = orbit.z.shape[1]
    if (orbit.order > 1).any():  # the poses are mixed, so a and b average to nothing
        if d % 2:
            raise ValueError(
                f"a block of objects with rotation symmetry must hold (cos, sin) pairs; got {d} columns."
            )
        return np.eye(d)[:, 0::2] + 1j * np.eye(d)[:, 1::2]
    a, b = np.moveaxis(_amplitudes(orbit, omega), 1, 0)
    outer = b.T @ (a * np.bincount(orbit.objects)[:, None])
    form, q = schur((outer - outer.T) / 2, output="real")
    planes, single, i = [], [], 0
    while i < d:
        if i + 1 < d and abs(form[i, i + 1]) > CONSTANT * np.abs(form).max():
            planes.append((i + 1, i) if form[i, i + 1] > 0 else (i, i + 1))
            i += 2
        else:
            single.append(i)
            i += 1
    planes += list(zip(single[0::2], single[1::2], strict=False))
    return (
        np.stack([q[:, i] + 1j * q[:, j] for i, j in planes], axis=1) if planes else q[:, :0] + 0j
    )


def circle_errors(orbit: Orbits, omega: int, seed: int) -> np.ndarray:
    """|z_i - mu_o - exp(omega theta_i J) v_o|^2 for each row, (n,)."""
    basis = _complex_basis(orbit, omega)
    zeta = orbit.z @ basis
    outside = (orbit.z**2).sum(axis=1) - (np.abs(zeta) ** 2).sum(axis=1)  # an odd dimension
    if (orbit.order > 1).any():
        inside = _errors_up_to_symmetry(zeta, orbit, omega, seed)
    else:
        x = np.exp(1j * omega * orbit.angles)
        inside = _distance(zeta, x, orbit.objects, *_circles(zeta, x, orbit.objects))
    return inside + np.maximum(outside, 0)


def _circles(zeta, x, objects) -> tuple[np.ndarray, np.ndarray]:
    """Least squares zeta_i = m_o + x_i v_o for each object: m and v, (K, d // 2)."""
    mean_x, mean_zeta = object_means(x[:, None], objects), object_means(zeta, objects)
    moved = x[:, None] - mean_x[objects]
    power = np.maximum(object_means(np.abs(moved) ** 2, objects), 1e-300)
    v = object_means(moved.conj() * (zeta - mean_zeta[objects]), objects) / power
    return mean_zeta - mean_x * v, v


def _distance(zeta, x, objects, m, v) -> np.ndarray:
    return (np.abs(zeta - m[objects] - x[:, None] * v[objects]) ** 2).sum(axis=1)


def _errors_up_to_symmetry(zeta, orbit: Orbits, omega, seed, restarts: int = 4) -> np.ndarray:
    """The error with theta_i + 2 pi s_i / k for theta_i, minimised by turns over s and over (m, v)."""
    generator = np.random.default_rng(seed)
    objects, n = orbit.objects, len(zeta)
    steps = np.arange(orbit.order.max())
    unused = steps >= orbit.order[:, None]
    x = np.exp(1j * omega * (orbit.angles[:, None] + 2 * np.pi * steps / orbit.order[:, None]))
    best, least = np.zeros(n), np.full(objects.max() + 1, np.inf)
    for _ in range(restarts):
        drawn = np.lexsort((generator.random(n), objects))
        start = drawn[np.unique(objects[drawn], return_index=True)[1]]  # one row of each object
        m, v = np.zeros_like(zeta[start]), zeta[start] * x[start, :1].conj()
        s = np.full(n, -1)
        for _ in range(20):
            each = np.stack([_distance(zeta, x[:, s], objects, m, v) for s in steps], axis=1)
            nearest = np.where(unused, np.inf, each).argmin(axis=1)
            if np.array_equal(nearest, s):
                break
            s = nearest
            m, v = _circles(zeta, x[np.arange(n), s], objects)
        error = _distance(zeta, x[np.arange(n), s], objects, m, v)
        mean = object_means(error[:, None], objects)[:, 0]
        best = np.where((mean < least)[objects], error, best)
        least = np.minimum(mean, least)
    return best
