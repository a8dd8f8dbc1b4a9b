"""How far generated images are from real ones, as sets of features of a frozen network.

The name of the network belongs to the name of the score (`fd_posed`), and "FID" is not used: distances in
features of another network are other numbers. Floors are those of the real images with shuffled pixels.
"""

from collections.abc import Iterable
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from eqvae.metrics.generation.feature_sets import Features
from eqvae.metrics.generation.features import checked_batches, image_features, shuffled
from eqvae.metrics.generation.frechet import frechet_distance
from eqvae.metrics.generation.kernel_distance import kernel_distance
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.intervals import Draws, Resampling
from eqvae.metrics.score import Score

Images = Tensor | Iterable[Tensor]


def generation_scores(
    real: Images,
    samples: Images,
    *,
    network: nn.Module | None = None,
    name: str | None = None,
    k: int = 3,
    **draws: Unpack[Draws],
) -> dict[str, Score]:
    """Frechet and kernel distance, precision, recall, density and coverage of generated images.

    Args:
        real: (N, C, H, H) in [0, 1], or an iterable of batches.
        samples: (M, C, H, H), likewise.
        network: images -> features (B, F); None takes the shipped network "posed".
        name: of the network, part of every score's name; needed with a network of your own.
        k: neighbours that make the radius of precision and its relatives.
        **draws: see `Draws`; `groups` are of the real images, and `resamples` (50) of the Frechet distance.

    Raises:
        ValueError: if a network comes without a name, or the images are not as `image_features` wants.
    """
    name, seed = network_name(network, name), Resampling.of(draws).seed
    x, destroyed = real_features(real, network, seed)
    y = image_features(samples, network)
    return feature_scores(x, y, k=k, destroyed=destroyed, name=name, **draws)


def feature_scores(
    real: ArrayLike, samples: ArrayLike, *, k: int = 3, **features: Unpack[Features]
) -> dict[str, Score]:
    """`generation_scores` of images whose features are there already, (N, F) and (M, F).

    `resamples` (50) are those of the Frechet distance.
    """
    shared = {key: value for key, value in features.items() if key != "resamples"}
    return {
        **frechet_distance(real, samples, **features),
        **kernel_distance(real, samples, **shared),
        **precision_recall(real, samples, k=k, **shared),
    }


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


def real_features(
    real: Images, network: nn.Module | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features of real images, and of the same with the pixels of each one shuffled."""
    generator = torch.Generator().manual_seed(seed)
    features, destroyed = [], []
    for batch in checked_batches(real):
        features.append(image_features(batch, network))
        destroyed.append(image_features(shuffled(batch, generator), network))
    if not features:
        raise ValueError("real must hold at least one image; got none.")
    return np.concatenate(features), np.concatenate(destroyed)
