"""Whether several models that saw the same images find the same blocks."""

from collections.abc import Sequence

import torch

from eqvae.evaluation.findings import Findings
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.disentanglement.agreement import seed_agreement


def agreement(held_out_sets: Sequence[HeldOut]) -> Findings:
    """Scores of agreement; nothing unless there are several models, and all of them saw the same images.

    Meant for runs that differ in their seed alone.
    """
    first = held_out_sets[0]
    same = all(torch.equal(other.images, first.images) for other in held_out_sets[1:])
    if len(held_out_sets) < 2 or not same:
        return Findings()
    codes = [(other.encoding.posterior.mode, other.blocks) for other in held_out_sets]
    return Findings(seed_agreement(codes, groups=first.groups, seed=first.seed))
