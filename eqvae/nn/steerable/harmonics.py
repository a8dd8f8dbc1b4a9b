"""Disk harmonics that fit a grid, and what the fibre network gives to them."""

from itertools import zip_longest

import torch
from torch import Tensor, nn

from eqvae.nn.harmonics import DiskHarmonics
from eqvae.nn.network import refuse_scale
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class Synthesis(nn.Module):
    """Scalar maps about a position from one vector of irreps, in two qualities.

    Args:
        sharp: harmonics of the first maps, as many as its channels.
        smooth: harmonics of the others.
    """

    def __init__(self, sharp: DiskHarmonics, smooth: DiskHarmonics):
        super().__init__()
        self.sharp, self.smooth = sharp, smooth
        self.representation = _sum(sharp.representation, smooth.representation)
        in_first = _owned_by_first(self.representation, sharp.representation)
        self.register_buffer("in_sharp", in_first.nonzero()[:, 0], persistent=False)
        self.register_buffer("in_smooth", (~in_first).nonzero()[:, 0], persistent=False)

    def forward(self, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The sharp maps and the smooth ones, (B, maps, H, H), from irreps (B, dim) about t (B, 2)."""
        sharp = self.sharp.by_channel(a[:, self.in_sharp])
        smooth = self.smooth.by_channel(a[:, self.in_smooth])
        return self.sharp.synthesise(sharp, t), self.smooth.synthesise(smooth, t)


def fibre_symmetry(symmetry: PlaneMotions) -> PlaneMotions:
    """The group of the read-out: SO(2) or O(2), which hold every C_N or D_N."""
    return PlaneMotions(reflections=symmetry.reflections)


def check_steerable(representation: Representation, symmetry: PlaneMotions, frequency: int) -> None:
    """Refuse latents that a steerable network can't carry.

    Raises:
        ValueError: if there is no position, no irrep but signs, or a frequency that the symmetry can't
            tell from lower ones or the fibre network does not reach.
    """
    if not representation.position:
        raise ValueError(
            "representation must carry a position for a steerable network, which reads and writes "
            "its features there; got position=False. Set latent.position=true."
        )
    refuse_scale(representation, symmetry, "a steerable network")
    if not any(representation.multiplicities):
        raise ValueError(
            f"multiplicities must name at least one irrep for a steerable network; got "
            f"{list(representation.multiplicities)}. Try [16, 8, 4]."
        )
    representation.check(symmetry)
    if representation.max_frequency > frequency:
        raise ValueError(
            f"multiplicities holds frequency {representation.max_frequency}, above the network's "
            f"band limit frequency={frequency}, where it would stay zero. Drop it or raise frequency."
        )


def _sum(first: Representation, second: Representation) -> Representation:
    """The direct sum, the copies of the first before those of the second in every block."""
    pairs = zip_longest(first.multiplicities, second.multiplicities, fillvalue=0)
    return Representation(tuple(m + n for m, n in pairs), position=False)


def _owned_by_first(total: Representation, first: Representation) -> Tensor:
    """For every coordinate of `_sum(first, second)` whether it is one of the first's, (dim,)."""
    owned = torch.zeros(total.dim, dtype=torch.bool)
    for block in total.blocks:
        if block.frequency < len(first.multiplicities):
            size = first.multiplicities[block.frequency] * block.dim
            owned[block.start : block.start + size] = True
    return owned
