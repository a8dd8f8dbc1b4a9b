"""What every score of two sets of feature vectors, real and generated, takes and starts from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_codes, check_keywords, check_lengths
from eqvae.metrics.intervals import Draws, Resampling


class Features(Draws, total=False):
    """Keywords of every score of features; each may be left out. Those of `Draws`, and:

    Attributes:
        destroyed: features of real images with shuffled pixels: the floor.
        name: of the feature network, part of the score's name; default "posed".
        groups: source of each real image, (N,): kept together in halves and in the bootstrap.
    """

    destroyed: ArrayLike | None
    name: str


@dataclass(frozen=True)
class FeatureSets:
    """Two checked sets of features, and perhaps a third.

    Attributes:
        real: (N, F).
        samples: (M, F).
        destroyed: of real images with shuffled pixels, or None.
        name: of the feature network.
        resampling: of the real images.
    """

    real: np.ndarray
    samples: np.ndarray
    destroyed: np.ndarray | None
    name: str
    resampling: Resampling

    @classmethod
    def of(
        cls,
        real: ArrayLike,
        samples: ArrayLike,
        features: Features,
        resamples: int | None = None,
    ) -> "FeatureSets":
        """The arguments of a score, checked.

        Raises:
            ValueError: if features are not finite or differ in number.
        """
        check_keywords(features, Features)
        draws = {key: value for key, value in features.items() if key in Draws.__annotations__}
        resampling = Resampling.of(draws, resamples)
        a, b = as_codes(real, "real"), as_codes(samples, "samples")
        spoiled = features.get("destroyed")
        spoiled = None if spoiled is None else as_codes(spoiled, "destroyed")
        check_lengths(real=a, groups=resampling.groups)
        if len({x.shape[1] for x in (a, b, a if spoiled is None else spoiled)}) > 1:
            raise ValueError(
                "real and samples must be features of the same network; got "
                f"{a.shape[1]} and {b.shape[1]} columns."
            )
        return cls(a, b, spoiled, features.get("name", "posed"), resampling)

    @property
    def sizes(self) -> tuple[int, int]:
        """N and M."""
        return len(self.real), len(self.samples)


def pooled_sources(n: int, m: int, resampling: Resampling) -> np.ndarray:
    """Sources of n real rows and m generated ones in one list, (n + m,); a sample is its own."""
    real = resampling.sources(n)
    return np.concatenate([real, real.max() + 1 + np.arange(m)])


def split_pool(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a pool as rows of the n real ones and rows of the generated ones."""
    return rows[rows < n], rows[rows >= n] - n


def random_halves(n: int, resampling: Resampling, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two random halves of the rows, by seed + offset; rows of one source stay together."""
    source = resampling.sources(n)
    order = np.random.default_rng(resampling.seed + offset).permutation(source.max() + 1)
    first = np.isin(source, order[: len(order) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)
