"""Correlation of two angles, on the whole circle and for uniform angles too.

The usual coefficient of Jammalamadaka and SenGupta, sum sin(a - a_mean) sin(b - b_mean) over the root of the
sums of squares, needs mean directions. Uniform angles have none: their sample means point anywhere, and
at one quality of prediction the coefficient takes any value (standard deviation 0.40 over samples). Poses are
uniform, so only coefficients that need no mean are here.

Both are 1 for b = a + constant, -1 for b = constant - a (a mirrored convention) and near 0 for
independent angles. They are also near 0 when each angle is right up to a half turn: for symmetric objects
use the pose error.
"""

from collections.abc import Callable
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

PAGE = "circular-correlation"
_SHUFFLES = 20


def fisher_lee(a: ArrayLike, b: ArrayLike, **draws: Unpack[Draws]) -> dict[str, Score]:
    """Fisher and Lee's T-linear correlation of angles a and b.

        rho = sum_{i<j} sin(a_i - a_j) sin(b_i - b_j)
              / sqrt( sum_{i<j} sin^2(a_i - a_j) sum_{i<j} sin^2(b_i - b_j) )
            = 4 (A B - C D) / sqrt( (n^2 - E^2 - F^2) (n^2 - G^2 - H^2) )

    with A, B, C, D = sum of cos a cos b, sin a sin b, cos a sin b, sin a cos b and
    E, F, G, H = sum of cos 2a, sin 2a, cos 2b, sin 2b. Only differences enter, so no mean is needed.

    Args:
        a, b: angles, radians, (N,).
        **draws: see `Draws`.

    Returns:
        fisher_lee: in [-1, 1]; the floor is the mean size after shuffling. Null if all angles of one
            input are equal up to a half turn.

    Raises:
        ValueError: if lengths differ or an angle is not finite.

    References:
        Fisher, Lee, A correlation coefficient for circular data (1983), Biometrika 70, equation (2).
    """
    return _correlation("fisher_lee", _fisher_lee, a, b, draws)


def circular_correlation(a: ArrayLike, b: ArrayLike, **draws: Unpack[Draws]) -> dict[str, Score]:
    """Jammalamadaka and SenGupta's correlation with the correction for uniform angles.

        rho = sum sin(a - mu) sin(b - nu) / sqrt( sum sin^2(a - mu) sum sin^2(b - nu) ),
        mu - nu = arg sum exp(i (a - b)),      mu + nu = arg sum exp(i (a + b))

    so that the numerator is (|sum exp(i (a - b))| - |sum exp(i (a + b))|) / 2. The directions mu and nu
    replace the mean directions, which uniform angles do not have; around clear mean directions both
    agree.

    Arguments, nulls and errors are those of `fisher_lee`.

    References:
        Jammalamadaka, SenGupta, Topics in circular statistics (2001), section 8.2.
    """
    return _correlation("circular_correlation", _corrected, a, b, draws)


def _correlation(
    name: str,
    coefficient: Callable[[np.ndarray, np.ndarray], float],
    a: ArrayLike,
    b: ArrayLike,
    draws: Draws,
) -> dict[str, Score]:
    resampling = Resampling.of(draws)
    a, b = (as_array(v, k, 1).astype(np.float64) for k, v in (("a", a), ("b", b)))
    n = check_lengths(a=a, b=b, groups=resampling.groups)
    for which, angles in (("a", a), ("b", b)):
        if n < 3 or np.abs(np.exp(2j * angles).mean()) > 1 - 1e-12:
            equal = f"the angles {which} are all equal up to a half turn"
            reason = equal if n > 2 else "fewer than 3 rows"
            return {name: Score.null(reason, n=n, page=PAGE)}
    generator = resampling.generator()
    shuffled = [coefficient(a, generator.permutation(b)) for _ in range(_SHUFFLES)]
    interval = resampling.interval(lambda rows: coefficient(a[rows], b[rows]), n)
    value, floor = np.clip(coefficient(a, b), -1, 1), np.mean(np.abs(shuffled))
    return {name: Score(value, n, floor=floor, ceiling=1.0, interval=interval, page=PAGE)}


def _fisher_lee(a: np.ndarray, b: np.ndarray) -> float:
    n = len(a)
    cos_a, sin_a, cos_b, sin_b = np.cos(a), np.sin(a), np.cos(b), np.sin(b)
    cross = (cos_a @ cos_b) * (sin_a @ sin_b) - (cos_a @ sin_b) * (sin_a @ cos_b)
    spread_a = n**2 - np.abs(np.exp(2j * a).sum()) ** 2
    spread_b = n**2 - np.abs(np.exp(2j * b).sum()) ** 2
    size = spread_a * spread_b
    return 4 * cross / np.sqrt(size) if size > 0 else float("nan")


def _corrected(a: np.ndarray, b: np.ndarray) -> float:
    difference, total = np.exp(1j * (a - b)).sum(), np.exp(1j * (a + b)).sum()
    mu = (np.angle(total) + np.angle(difference)) / 2
    nu = (np.angle(total) - np.angle(difference)) / 2
    size = (np.sin(a - mu) ** 2).sum() * (np.sin(b - nu) ** 2).sum()
    return (np.abs(difference) - np.abs(total)) / 2 / np.sqrt(size) if size > 0 else float("nan")
