"""The arm with the best held-out ELBO, and how sure that is."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eqvae.comparison.advice.pilots import Pilot


@dataclass(frozen=True)
class Advice:
    """The recommended arm and how all of them did.

    Attributes:
        arm: with the highest mean ELBO.
        elbo: by arm the mean ELBO of held-out images over repeats, nats, best first.
        behind: by arm nats behind the best.
        error: by arm the bootstrap's standard error of that.
        chance: by arm the share of bootstrap samples in which it is the best.
        diverged: arms of which every pilot diverged.
    """

    arm: str
    elbo: dict[str, float]
    behind: dict[str, float]
    error: dict[str, float]
    chance: dict[str, float]
    diverged: tuple[str, ...] = ()


def recommend(pilots: Iterable[Pilot], seed: int = 0, samples: int = 2000) -> Advice:
    """The arm with the best held-out ELBO, and how sure that is.

    Args:
        pilots: one or more of each arm, all on the same held-out images.
        seed: of the bootstrap, which draws images and, for each arm, as many of its trainings as there are.
        samples: of the bootstrap.

    Raises:
        ValueError: if every pilot diverged.
    """
    scores: dict[str, list[np.ndarray]] = defaultdict(list)
    arms = []
    for pilot in pilots:
        arms.append(pilot.arm)
        if pilot.elbo is not None:
            scores[pilot.arm].append(pilot.elbo)
    if not scores:
        raise ValueError("every pilot diverged; check that the images are in [0, 1].")
    means = {arm: float(np.mean(found)) for arm, found in scores.items()}
    ranked = sorted(means, key=means.get, reverse=True)
    rng = np.random.default_rng(seed)
    n = len(scores[ranked[0]][0])
    weights = rng.multinomial(n, np.full(n, 1 / n), size=samples) / n  # (samples, N)
    drawn = np.stack([_drawn(scores[arm], weights, rng) for arm in ranked])  # (arms, samples)
    best = np.bincount(drawn.argmax(axis=0), minlength=len(ranked)) / samples
    return Advice(
        arm=ranked[0],
        elbo={arm: means[arm] for arm in ranked},
        behind={arm: means[ranked[0]] - means[arm] for arm in ranked},
        error={arm: float(np.std(drawn[0] - drawn[i])) for i, arm in enumerate(ranked)},
        chance=dict(zip(ranked, map(float, best), strict=True)),
        diverged=tuple(sorted(set(arms) - set(scores))),
    )


def _drawn(
    trainings: Sequence[np.ndarray], weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Bootstrap means over images and trainings, (samples,), without the bias of few trainings."""
    means = np.stack([weights @ scores for scores in trainings], axis=1)  # (samples, R)
    count = means.shape[1]
    centre = means.mean(axis=1)
    if count == 1:
        return centre
    picks = rng.integers(count, size=means.shape)
    deviation = np.take_along_axis(means, picks, axis=1).mean(axis=1) - centre
    return centre + deviation * np.sqrt(count / (count - 1))
