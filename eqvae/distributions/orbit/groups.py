"""Fewer kinds than components: components that explain the same latents belong together.

Many components describe a density better than few, and one kind of object then has several of them. How often
two components explain the same latents, `OrbitMixture.overlap`, says which: spectral clustering of that graph
makes as many groups as are asked for.

Reference: Ng, Jordan, Weiss, On spectral clustering (2001).
"""

import numpy as np
import torch
from torch import Tensor

_LEAST = 1e-6  # overlap of components that share nothing, of the mean: the graph stays connected


def group_components(overlap: Tensor, weights: Tensor, groups: int, seed: int = 0) -> Tensor:
    """The group of each component, the heaviest group first, (K,).

    Args:
        overlap: how often two components explain the same latents, symmetric, (K, K).
        weights: of the components, (K,).
        groups: how many.
        seed: of the clustering.

    Raises:
        ValueError: if there are fewer components than groups.
    """
    k = len(weights)
    if not 1 <= groups <= k:
        raise ValueError(
            f"groups must be from 1 to the {k} components of the prior; got {groups}. Ask for fewer, or fit "
            f"a prior of more components: scripts/fit_prior.py components={groups} again=true."
        )
    if groups == k:
        found = np.arange(k)
    else:
        found = _spectral(overlap.double().cpu().numpy(), groups, seed)
    weights = weights.detach().cpu()
    sizes = torch.zeros(groups).index_add_(0, torch.from_numpy(found).long(), weights.float())
    rank = sizes.argsort(descending=True).argsort()
    return rank[torch.from_numpy(found).long()]


def _spectral(overlap: np.ndarray, groups: int, seed: int) -> np.ndarray:
    from sklearn.cluster import SpectralClustering
    from threadpoolctl import threadpool_limits

    affinity = overlap + _LEAST * max(overlap.mean(), 1e-12)
    with threadpool_limits(1):
        made = SpectralClustering(groups, affinity="precomputed", random_state=seed, n_init=20)
        return made.fit_predict(affinity).astype(np.int64)
