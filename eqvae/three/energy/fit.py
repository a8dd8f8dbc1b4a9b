"""Fit a force field to frames.

    loss = mean_i |F_i - F_i*| / s + w |E - E*| / s,     s the spread of a force's components

Weights are averaged over steps, and the average that is best on the validation frames is kept.
"""

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from eqvae.three.energy.curl import CurlPenalty
from eqvae.three.energy.forces import ForceField
from eqvae.three.energy.frames import Frames
from eqvae.training.divergence import Diverged
from eqvae.training.schedules import cosine
from eqvae.watch import Watch, unwatched


@dataclass(frozen=True)
class Fit:
    """How to train.

    Attributes:
        epochs: passes over the training frames.
        batch_size: frames of a step.
        lr: of AdamW, at its highest.
        warmup: fraction of the steps in which it climbs.
        energy_weight: w, 1/Angstrom; without an energy it counts for nothing.
        average: weight of the past in the running average of the weights.
        checks: times that the average is judged on the validation frames, the last time at the end.
        penalty: on curl, of direct forces.
        seed: of the order of frames and of the penalty's directions.
    """

    epochs: int = 20
    batch_size: int = 10
    lr: float = 1e-2
    warmup: float = 0.05
    energy_weight: float = 0.1
    average: float = 0.99
    checks: int = 5
    penalty: CurlPenalty | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr", "checks"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a Fit must be positive; got {getattr(self, name)}.")


@dataclass(frozen=True)
class Fitted:
    """What a training did.

    Attributes:
        steps: number of them.
        seconds: of processor time.
        validation: force errors of the averaged weights at each check, eV/Angstrom.
        best: number of the check whose weights were kept.
    """

    steps: int
    seconds: float
    validation: tuple[float, ...]
    best: int


def fit(
    model: ForceField,
    training: Frames,
    validation: Frames,
    how: Fit | None = None,
    watch: Watch = unwatched,
) -> Fitted:
    """Train a model in place; it ends with the averaged weights that were best on the validation frames.

    Args:
        model: whose atoms are those of the frames.
        training: frames with forces, and with energies if the model has any.
        validation: frames with forces, that select; never those of a test.
        how: to train.
        watch: shows the progress, see `eqvae.watch`.

    Raises:
        ValueError: if the atoms differ, forces or energies are missing, or the penalty has nothing to judge.
        Diverged: if the loss is no number.
    """
    how = how or Fit()
    x, forces, energies = _prepared(model, training, validation, how)
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=how.lr, weight_decay=0.0)
    size = min(how.batch_size, len(x))
    per_epoch = len(x) // size
    steps = how.epochs * per_epoch
    schedule = cosine(optimizer, steps, warmup=how.warmup)
    averaged = copy.deepcopy(model)
    average = [p.detach() for p in averaged.parameters()]
    checks = {steps * (k + 1) // how.checks for k in range(how.checks)}
    generator = torch.Generator().manual_seed(how.seed)
    best, found, kept, begin, order = float("inf"), [], model.state_dict(), time.process_time(), []
    model.train()
    for step in watch(range(1, steps + 1), "force field"):
        order = order or list(torch.randperm(len(x), generator=generator).split(size)[:per_epoch])
        rows = order.pop()
        loss = _loss(
            model, x[rows], forces[rows], None if energies is None else energies[rows], how
        )
        if how.penalty is not None and step % how.penalty.every == 0:
            loss = loss + how.penalty(model, x[rows], generator)
        if not bool(loss.isfinite()):
            raise Diverged(step)
        _descend(loss, weights, optimizer)
        schedule.step()
        decay = min(how.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [w.detach() for w in weights], 1 - decay)
        if step in checks:
            error = averaged.predict(validation.positions).forces - validation.labelled("forces")
            found.append(float(error.abs().mean()))
            if found[-1] < best:
                best = found[-1]
                kept = {name: value.clone() for name, value in averaged.state_dict().items()}
    model.load_state_dict(kept)
    model.eval()
    return Fitted(steps, time.process_time() - begin, tuple(found), found.index(min(found)))


def _prepared(
    model: ForceField, training: Frames, validation: Frames, how: Fit
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What the loss compares with, in units that the model gets here."""
    for frames in (training, validation):
        if frames.elements != model.elements:
            raise ValueError(
                f"atoms of {frames.source} must be those of the model, {' '.join(model.elements)}; got "
                f"{' '.join(frames.elements)}."
            )
        frames.labelled("forces")
    if how.penalty is not None:
        how.penalty.check(model)
    forces = training.labelled("forces")
    like = next(model.parameters())
    model.scale = forces.std().clamp(min=1e-9).to(like)
    energies = None
    if not model.forces.vectors:
        model.shift = training.labelled("energies").mean().double()
        energies = (training.labelled("energies") - model.shift).to(like)
    return training.positions.to(like), forces.to(like), energies


def _loss(
    model: ForceField, x: Tensor, forces: Tensor, energies: Tensor | None, how: Fit
) -> Tensor:
    found = model(x)
    loss = ((found.forces - forces) / model.scale).norm(dim=-1).mean()
    if energies is not None and found.energies is not None:
        difference = (found.energies - energies) / model.scale
        loss = loss + how.energy_weight * difference.abs().mean()
    return loss


def _descend(loss: Tensor, weights: list[Tensor], optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights, 5.0)
    optimizer.step()
