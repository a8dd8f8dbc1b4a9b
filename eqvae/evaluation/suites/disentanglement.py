"""Does each irrep block carry its own factor?"""

import math

import torch
from torch import Tensor

from eqvae.evaluation.findings import Findings, picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.disentanglement.lsbd import d_lsbd
from eqvae.metrics.disentanglement.suite import disentanglement_scores
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import angle_of, motion, shift_of

PLACE = 70


def disentanglement(held_out: HeldOut) -> Findings:
    """Whether each irrep block carries its own factor; and, on orbits, how linear the action is."""
    scores = {f"d_lsbd/{name}": score for name, score in _linearity(held_out).items()}
    factors, rows = _factors(held_out)
    if len(factors) < 2:
        reason = f"needs two known factors that vary; the data know {len(factors)}"
        return Findings(scores | {"infomec": Score.null(reason)})
    scores |= disentanglement_scores(
        held_out.encoding.posterior.mode[rows],
        factors,
        blocks=held_out.blocks,
        preset=held_out.preset,
        groups=picked(held_out.groups, rows),
        seed=held_out.seed,
    )
    return Findings(scores)


def _linearity(held_out: HeldOut) -> dict[str, Score]:
    """D_LSBD on orbits: each image turned to 16 angles and shifted, so no true pose is needed."""
    latent = held_out.representation
    n, turns = min(len(held_out.batch), 60 if held_out.fast else 200), 16
    generator = torch.Generator().manual_seed(held_out.seed)
    shifts = torch.rand(turns, 2, generator=generator) * 4 - 2
    motions = motion(angle=torch.arange(turns) * (2 * math.pi / turns), shift=shifts)
    z = held_out.encode_moved(motions, n, "orbits")
    moving = [block for block in latent.blocks if block.frequency > 0]
    if not moving:
        return {"d_lsbd": Score.null("no block of the latent turns or shifts with the object")}
    turning = [block for block in moving if block.slice != latent.slices.position]
    each = motions.repeat_interleave(n, dim=0)
    return d_lsbd(
        z.reshape(turns * n, -1),
        angle_of(each),
        blocks={block.name: held_out.blocks[block.name] for block in moving},
        frequencies={block.name: block.frequency for block in turning},
        positions=shift_of(each) if latent.position else None,
        objects=torch.arange(n).repeat(turns),
        seed=held_out.seed,
    )


def _factors(held_out: HeldOut) -> tuple[dict[str, Tensor], Tensor]:
    """Known factors that vary, and the rows for which all of them mean something."""
    rows, factors = torch.ones(len(held_out.batch), dtype=torch.bool), {}
    turning = True
    if isinstance(held_out.orders, dict) and held_out.poses is not None:
        asymmetric = torch.tensor([held_out.orders[int(c)] == 1 for c in held_out.labels])
        # the angle of an object that looks the same in several poses is no factor
        turning = len(held_out.labels[asymmetric].unique()) > 1
        rows = asymmetric if turning else rows
    if held_out.labels is not None and len(held_out.labels[rows].unique()) > 1:
        factors["class"] = held_out.labels[rows]
    if held_out.poses is not None:
        angle, shift = angle_of(held_out.poses[rows]), shift_of(held_out.poses[rows])
        if turning and angle.std() > 0:
            factors["angle"] = torch.stack([angle.cos(), angle.sin()], dim=1)
        if shift.std() > 0:
            factors["position"] = shift
    return factors, rows
