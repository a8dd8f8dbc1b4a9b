"""How far generated images are from real ones, as sets of features of a frozen network.

Everything of `feature_distance` and `precision_recall` from images, and the Frechet distance by
orientation. The name of the network belongs to the name of the score (`fd_posed`), and "FID" is not used:
distances in features of another network are other numbers. Floors are those of the real images with
shuffled pixels.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from eqvae.metrics.generation.feature_distance import (
    frechet,
    frechet_distance,
    halves_distance,
    kernel_distance,
    not_negative,
)
from eqvae.metrics.generation.features import image_batches, image_features
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.inputs import check_lengths
from eqvae.metrics.score import Score, bootstrap

Images = Tensor | Iterable[Tensor]


def generation_scores(
    real: Images,
    samples: Images,
    *,
    network: nn.Module | None = None,
    name: str | None = None,
    groups: ArrayLike | None = None,
    k: int = 3,
    resamples: int = 50,
    seed: int = 0,
) -> dict[str, Score]:
    """Frechet and kernel distance, precision, recall, density and coverage of generated images.

    Args:
        real: (N, C, H, H) in [0, 1], or an iterable of batches.
        samples: (M, C, H, H), likewise.
        network: images -> features (B, F); None takes the shipped network "posed".
        name: of the network, part of every score's name; needed with a network of your own.
        groups: source of each real image, (N,).
        k: neighbours that make the radius of precision and its relatives.
        resamples: of the bootstrap of the Frechet distance.
        seed: of halves, shuffled pixels and bootstrap.

    Raises:
        ValueError: if a network comes without a name, or the images are not as `image_features` wants.
    """
    name = network_name(network, name)
    x, destroyed = _real_features(real, network, seed)
    y = image_features(samples, network)
    shared = dict(destroyed=destroyed, name=name, groups=groups, seed=seed)
    return {
        **frechet_distance(x, y, resamples=resamples, **shared),
        **kernel_distance(x, y, **shared),
        **precision_recall(x, y, k=k, **shared),
    }


def distance_by_orientation(
    real: Callable[[float], Images],
    samples: Callable[[float], Images],
    *,
    num_angles: int = 8,
    network: nn.Module | None = None,
    name: str | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 20,
    seed: int = 0,
) -> dict[str, Score]:
    """Whether a generator is as good at every orientation.

    At each angle 2 pi i / num_angles the Frechet distance between the real images turned by it and the
    samples decoded from latents turned by it; row j is the same image or latent at every angle.

    Args:
        real: angle in radians -> images (N, C, H, H) in [0, 1], or batches of them. Resampling blurs: with
            images that can't be drawn anew, compare with the ceiling, which is blurred likewise, or give
            images in uniformly random pose, as they are, for every angle.
        samples: angle in radians -> decoded images (M, C, H, H), or batches of them.
        num_angles: how many.
        network: as in `generation_scores`.
        name: as in `generation_scores`.
        groups: source of each real image, (N,).
        resamples: of the bootstrap over images, at all angles together.
        seed: of halves, shuffled pixels and bootstrap.

    Returns:
        `fd_<name>/orientation_mean`, `.../orientation_spread` (standard deviation over the angles) and
        `.../orientation_worst` (largest), lower is better, and `.../worst_angle`, degrees. Ceilings are
        the same numbers for two halves of the real images.

    Raises:
        ValueError: if num_angles < 2, or a callable gives another number of images at some angle.
    """
    if num_angles < 2:
        raise ValueError(f"num_angles must be at least 2; got {num_angles}.")
    name = network_name(network, name)
    angles = 2 * math.pi * np.arange(num_angles) / num_angles
    x0, destroyed = _real_features(real(float(angles[0])), network, seed)
    turned = [x0] + [image_features(real(float(t)), network) for t in angles[1:]]
    drawn = [image_features(samples(float(t)), network) for t in angles]
    for what, sets in {"real": turned, "samples": drawn}.items():
        if len({len(s) for s in sets}) > 1:
            raise ValueError(
                f"{what} must give the same images at every angle; got {[len(s) for s in sets]} images."
            )
    n, m = len(x0), len(drawn[0])
    check_lengths(real=n, groups=groups)
    prefix = f"fd_{name}"
    known = dict(n=min(n, m), page="distance-by-orientation")
    summaries = {
        "orientation_mean": np.mean,
        "orientation_spread": np.std,
        "orientation_worst": np.max,
    }
    if min(n, m) <= x0.shape[1]:
        reason = (
            f"needs more images than the {x0.shape[1]} features; got {n} real and {m} generated"
        )
        null = {f"{prefix}/{s}": Score.null(reason, better="lower", **known) for s in summaries}
        return null | {f"{prefix}/worst_angle": Score.null(reason, better="neither", **known)}
    distances = np.array([frechet(a, b) for a, b in zip(turned, drawn, strict=True)])
    best = [halves_distance(a, m, groups, seed) for a in turned]
    floor = frechet(x0, destroyed)
    pooled = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    pooled = np.concatenate([pooled, pooled.max() + 1 + np.arange(m)])
    resampled: dict[bytes, np.ndarray] = {}

    def curve(rows: np.ndarray) -> np.ndarray:
        key = rows.tobytes()
        if key not in resampled:
            first, second = rows[rows < n], rows[rows >= n] - n
            if min(len(first), len(second)) < 2:
                return np.full(num_angles, math.nan)
            resampled[key] = np.array(
                [frechet(a[first], b[second]) for a, b in zip(turned, drawn, strict=True)]
            )
        return resampled[key]

    scores = {}
    for s, summary in summaries.items():
        interval = bootstrap(
            lambda rows, summary=summary: float(summary(curve(rows))),
            n + m,
            groups=pooled,
            resamples=resamples,
            seed=seed,
        )
        scores[f"{prefix}/{s}"] = Score(
            summary(distances),
            better="lower",
            floor=None if s == "orientation_spread" else floor,
            ceiling=None if None in best else float(summary(best)),
            interval=not_negative(interval),
            **known,
        )
    worst = math.degrees(angles[distances.argmax()])
    scores[f"{prefix}/worst_angle"] = Score(worst, better="neither", unit="degrees", **known)
    return scores


def network_name(network: nn.Module | None, name: str | None) -> str:
    """The name that scores carry: "posed" for the shipped network, the given one for another.

    Raises:
        ValueError: if a network of the caller's own has no name.
    """
    if network is not None and not name:
        raise ValueError(
            "name must be given with a network of your own; got none. Distances in other features are "
            "other numbers, so the name is part of the score's."
        )
    return name or "posed"


def _real_features(
    real: Images, network: nn.Module | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features of real images, and of the same with the pixels of each one shuffled."""
    generator = torch.Generator().manual_seed(seed)
    features, destroyed = [], []
    for batch in image_batches(real):
        order = torch.rand(batch[:, 0].flatten(1).shape, generator=generator).argsort(dim=1)
        flat = batch.cpu().flatten(2)
        shuffled = flat.gather(2, order[:, None].expand_as(flat)).reshape(batch.shape)
        features.append(image_features(batch, network))
        destroyed.append(image_features(shuffled, network))
    if not features:
        raise ValueError("real must hold at least one image; got none.")
    return np.concatenate(features), np.concatenate(destroyed)
