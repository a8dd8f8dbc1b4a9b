"""Structures laid upon each other: Kabsch's rotation, and the mean of many (generalised Procrustes)."""

import torch
from torch import Tensor

from eqvae.three.vae.matrix_fisher import proper_svd

_ROUNDS = 20


def kabsch(x: Tensor, onto: Tensor) -> Tensor:
    """The rotation that brings x, about its centroid, nearest to `onto`, (..., N, 3) -> (..., 3, 3)."""
    a, b = (part - part.mean(dim=-2, keepdim=True) for part in (x, onto))
    return proper_svd((b.mT @ a).double()).mode.to(x)


def aligned(x: Tensor, onto: Tensor) -> Tensor:
    """x about its centroid, turned onto `onto`, (..., N, 3)."""
    centred = x - x.mean(dim=-2, keepdim=True)
    return centred @ kabsch(x, onto).mT


def rmsd(x: Tensor, y: Tensor) -> Tensor:
    """Root of the mean squared distance of atoms as they stand, (...)."""
    return (x - y).square().sum(dim=-1).mean(dim=-1).sqrt()


def mean_structure(x: Tensor) -> Tensor:
    """The mean of structures (F, N, 3) laid upon each other, in the frame of their own mean, (N, 3)."""
    mean = x[0] - x[0].mean(dim=0)
    for _ in range(_ROUNDS):
        mean = aligned(x, mean.expand_as(x)).mean(dim=0)
    shown = x - x.mean(dim=1, keepdim=True)
    return aligned(mean, shown.mean(dim=0)) if _same_way(shown, mean) else mean


def _same_way(shown: Tensor, mean: Tensor) -> bool:
    """Whether structures stand more or less in one pose, so that their mean has an upright."""
    plain = shown.mean(dim=0).square().sum()
    return bool(plain > 0.5 * mean.square().sum())
