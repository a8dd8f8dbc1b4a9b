"""Structures laid upon each other: Kabsch's rotation, and the mean of many (generalised Procrustes)."""

from torch import Tensor

from eqvae.three.vae.matrix_fisher import proper_svd

_ROUNDS = 20
_ONE_POSE = 0.5  # of the mean's square, left when structures are averaged as they stand


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


def laid_together(x: Tensor) -> Tensor:
    """Structures (F, N, 3) about their centroids, each turned onto the mean of all (generalised Procrustes).

    Where they stood in one pose more or less, the whole lies as they did.
    """
    shown = x - x.mean(dim=1, keepdim=True)
    mean = shown[0]
    for _ in range(_ROUNDS):
        mean = aligned(x, mean.expand_as(x)).mean(dim=0)
    upright = shown.mean(dim=0)
    if upright.square().sum() > _ONE_POSE * mean.square().sum():
        mean = aligned(mean, upright)
    return aligned(x, mean.expand_as(x))
