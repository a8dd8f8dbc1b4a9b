"""Codes with known scores: what a measure of disentanglement should be tried on before it is trusted.

Factors are drawn like those of dSprites, uniformly and independently: 3 shapes, 6 scales, 40 orientations
and 32 x 32 positions. From them come perfect codes in several bases, and codes that are wrong on purpose:

    axis          (shape, scale, orientation, x, y), one factor a column
    axis_noise    axis and 5 columns of noise
    se2           (shape, scale, cos a, sin a, x, y): the perfect code of an SE(2)-equivariant model
    se2_xy45      se2 with the basis of (x, y) turned by 45 degrees: equally legal
    se2_harmonic  se2 and (cos 2a, sin 2a)
    half_turn     (shape, scale, cos 2a, sin 2a, x, y): orientation only modulo pi
    mix           se2, standardised, in one fixed random orthogonal basis of all six columns: entangled
    noise         10 columns of noise

Per-axis scores call `se2` imperfect although a basis inside an irrep block carries no meaning, and
`half_turn` perfect although half of the orientation is lost. Scores per block must not tell `se2` from
`se2_xy45`, and must tell `mix` from both.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Name = Literal["axis", "axis_noise", "se2", "se2_xy45", "se2_harmonic", "half_turn", "mix", "noise"]

SIZES = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}

# One fixed basis, whatever the seed of the samples: scores of a mixed code depend on it a lot (MIG 0.02 to
# 0.3 over draws); this one comes near the stated values of the basis that they were computed with.
MIX_SEED = 5


@dataclass(frozen=True)
class ReferenceCodes:
    """A synthetic code and its true factors.

    Attributes:
        codes: (N, D).
        factors: shape, scale, orientation, x, y as classes, int64 (N,): the protocol of the literature.
        blocks: columns of the codes by block: shape, scale, orientation, position and, where there
            are such columns, noise.
    """

    codes: np.ndarray
    factors: dict[str, np.ndarray]
    blocks: dict[str, list[int]]

    @property
    def block_factors(self) -> dict[str, np.ndarray]:
        """The same factors for scores per block: (cos, sin) of orientation, (x, y) as one position."""
        angle = _angle(self.factors)
        return {
            "shape": self.factors["shape"],
            "scale": self.factors["scale"],
            "orientation": np.stack([np.cos(angle), np.sin(angle)], axis=1),
            "position": np.stack([self.factors["x"], self.factors["y"]], axis=1).astype(float),
        }


def reference_codes(name: Name, n: int = 10_000, seed: int = 0) -> ReferenceCodes:
    """Draw factors and encode them.

    Args:
        name: which code, see the top of this file.
        n: number of samples.
        seed: of the factors and the noise.

    Raises:
        ValueError: if there is no code of that name.

    Example:
        >>> se2 = reference_codes("se2", n=100)
        >>> se2.codes.shape, se2.blocks["position"]
        ((100, 6), [4, 5])
    """
    if name not in get_args(Name):
        raise ValueError(f"name must be one of {', '.join(get_args(Name))}; got {name!r}.")
    generator = np.random.default_rng(seed)
    factors = {factor: generator.integers(size, size=n) for factor, size in SIZES.items()}
    angle = _angle(factors)
    content = [factors["shape"], factors["scale"]]
    position = np.stack([factors["x"], factors["y"]], axis=1).astype(float)
    turning = [np.cos(angle), np.sin(angle)]
    turning_twice = [np.cos(2 * angle), np.sin(2 * angle)]
    blocks = {"shape": [0], "scale": [1], "orientation": [2, 3], "position": [4, 5]}

    if name == "noise":
        return ReferenceCodes(generator.normal(size=(n, 10)), factors, {"noise": list(range(10))})
    if name in ("axis", "axis_noise"):
        columns = [*content, factors["orientation"], *position.T]
        blocks |= {"orientation": [2], "position": [3, 4]}
    elif name == "half_turn":
        columns = [*content, *turning_twice, *position.T]
    elif name == "se2_harmonic":
        columns = [*content, *turning, *turning_twice, *position.T]
        blocks |= {"orientation": [2, 3, 4, 5], "position": [6, 7]}
    elif name == "se2_xy45":
        columns = [*content, *turning, *(position @ _rotation(np.pi / 4)).T]
    else:
        columns = [*content, *turning, *position.T]
    codes = np.stack(columns, axis=1).astype(float)
    if name == "axis_noise":
        codes = np.concatenate([codes, generator.normal(size=(n, 5))], axis=1)
        blocks["noise"] = [5, 6, 7, 8, 9]
    if name == "mix":
        basis = np.linalg.qr(np.random.default_rng(MIX_SEED).normal(size=(6, 6)))[0].T
        codes = (codes - codes.mean(axis=0)) / codes.std(axis=0) @ basis
    return ReferenceCodes(codes, factors, blocks)


def _angle(factors: dict[str, np.ndarray]) -> np.ndarray:
    return 2 * np.pi * factors["orientation"] / SIZES["orientation"]


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
