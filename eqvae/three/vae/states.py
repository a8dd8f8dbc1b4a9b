"""A row for each structure: what shape it has, how it lies, which state it is in; and the mean of each state.

index, split                 number of the conformation in its source, and its part of the data
content_0, ...               invariants 0e of the shape, whatever the pose
handedness_0, ...            pseudoscalars 0o, which a mirror image has with the other sign
quaternion_w, _x, _y, _z     the rotation R of the likeliest pose: the structure is R template + shift
x_angstrom, y_, z_           the shift: where its centroid lies
rotation_sd_degrees          standard deviation of the rotation about its least certain axis
rmsd_angstrom                to its reconstruction
log_likelihood               ELBO at the mean content, nats
state, state_probability     kind of the fitted prior, the heaviest first; empty where it knows none
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.data.served import SPLITS
from eqvae.symmetry.space_motions import translation_of, turn_of
from eqvae.three.vae.alignment import aligned, laid_together, rmsd
from eqvae.three.vae.datamodule import StructureDataModule
from eqvae.three.vae.model import SpaceVAE
from eqvae.three.vae.posing import Still
from eqvae.watch import Watch, unwatched

_AT_ONCE = 250  # structures


@dataclass(frozen=True)
class Described:
    """What a model says of structures, as they lie in their source.

    Attributes:
        index: their numbers, (F,).
        split: of `SPLITS`, (F,).
        content: means of 0e and 0o, (F, m).
        pose: likeliest motions, (F, 8).
        rotation_sd: degrees, (F,).
        rmsd: to the reconstruction, Angstrom, (F,).
        log_likelihood: nats, (F,).
        upright: the structures in the template's pose and order of atoms, (F, N, 3).
        state: p(state | x), (F, K); no column where the prior knows no kinds.
    """

    index: Tensor
    split: Tensor
    content: Tensor
    pose: Tensor
    rotation_sd: Tensor
    rmsd: Tensor
    log_likelihood: Tensor
    upright: Tensor
    state: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Tensor) -> "Described":
        return Described(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def number(self) -> Tensor:
        """The likeliest state of each structure, 0 where none are known, (F,)."""
        return self.state.argmax(dim=1) if self.state.shape[1] else torch.zeros_like(self.index)

    def members(self, states: Tensor, onto: Tensor, most: int = 6) -> Iterator[Tensor]:
        """Some members of each state (S,), laid upon its mean (S, N, 3): (S, N, 3) at a time."""
        rows = [(self.number == state).nonzero()[:, 0] for state in states]
        for k in range(most):
            chosen = torch.stack([own[k * len(own) // most] for own in rows])
            yield aligned(self.upright[chosen].to(onto), onto)

    def rows(self, even: int) -> Iterator[dict[str, Any]]:
        """A row for each structure, see the module; the first `even` coordinates of content are 0e."""
        names = [f"content_{i}" for i in range(even)]
        names += [f"handedness_{i}" for i in range(self.content.shape[1] - even)]
        turns, shifts = turn_of(self.pose)[:, 1:], translation_of(self.pose)
        number, known = self.number.tolist(), self.state.shape[1] > 0
        for i in range(len(self)):
            row = {"index": int(self.index[i]), "split": SPLITS[int(self.split[i])]}
            row |= dict(zip(names, self.content[i].tolist(), strict=True))
            row |= {f"quaternion_{a}": v for a, v in zip("wxyz", turns[i].tolist(), strict=True)}
            row |= {f"{a}_angstrom": v for a, v in zip("xyz", shifts[i].tolist(), strict=True)}
            row["rotation_sd_degrees"] = float(self.rotation_sd[i])
            row["rmsd_angstrom"] = float(self.rmsd[i])
            row["log_likelihood"] = float(self.log_likelihood[i])
            row["state"] = number[i] if known else None
            row["state_probability"] = float(self.state[i].max()) if known else None
            yield row


@dataclass(frozen=True)
class States:
    """The mean structure of each state, over those that are in it.

    Attributes:
        number: of the state, (S,).
        members: how many structures are in it, (S,).
        mean: laid upon each other, all states in one pose, (S, N, 3).
        spread: root mean square distance of its members' atoms from the mean, Angstrom, (S,).
    """

    number: Tensor
    members: Tensor
    mean: Tensor
    spread: Tensor


@torch.no_grad()
def describe(
    model: SpaceVAE,
    data: StructureDataModule,
    splits: tuple[str, ...] = SPLITS,
    states: int | None = None,
    seed: int = 0,
    watch: Watch = unwatched,
) -> Described:
    """What the model says of structures, in the order of their source.

    Args:
        model: in eval mode.
        data: set up; structures are taken as the source has them, whatever posing trained.
        splits: which parts.
        states: how many groups of the prior's kinds; None for the kinds themselves.
        seed: of the grouping.
        watch: shows the progress.

    Raises:
        ValueError: if the prior can't tell so many states apart.
    """
    if states is not None and not model.prior.knows_kinds(states):
        known = len(model.prior.weights) if model.prior.knows_kinds() else "none"
        raise ValueError(
            f"states must be at most the kinds that the fitted prior knows, {known}; got {states}. "
            "scripts/fit_prior.py components=K again=true fits one that knows K."
        )
    parts = [(SPLITS.index(split), data.posed(split, Still())) for split in splits]
    chunks = [
        (number, part, rows)
        for number, part in parts
        for rows in torch.arange(len(part)).split(_AT_ONCE)
    ]
    found = [
        _described(model, part[rows], number) for number, part, rows in watch(chunks, "structures")
    ]
    joined = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    kinds = torch.zeros(len(joined["index"]), 0)
    if model.prior.knows_kinds():  # as many groups as kinds are the kinds, the heaviest first
        states = states or len(model.prior.weights)
        content = joined["content"].to(next(model.parameters()))
        kinds = model.prior.kinds(content, states, seed).cpu()
    return Described(**joined, state=kinds)[joined["index"].argsort()]


def _described(model: SpaceVAE, batch: Batch, split: int) -> dict[str, Tensor]:
    """What one batch says of itself: all of `Described` but the states."""
    batch = batch.to(next(model.parameters()))
    q = model.encode(batch)
    noise = torch.zeros(len(batch), model.representation.dim).to(q.content.loc)
    made = model.reconstruct(batch, q)[:, 0]
    found = {
        "index": batch.index,
        "split": torch.full((len(batch),), split),
        "content": q.content.loc,
        "pose": q.pose.mode,
        "rotation_sd": torch.rad2deg(q.pose.freedom[:, 0]),
        "rmsd": rmsd(batch.image[:, 0], made),
        "log_likelihood": model.elbo(batch, noise),
        "upright": model.upright(batch, q),
    }
    return {name: value.cpu() for name, value in found.items()}


def mean_structures(found: Described) -> States:
    """The mean of the structures in each state that has any, the fullest state's pose for all."""
    state = found.number
    numbers, members = state.unique(return_counts=True)
    whole = laid_together(found.upright.double())
    means, spreads = [], []
    for number in numbers.tolist():
        own = laid_together(whole[state == number])
        mean = own.mean(dim=0)
        means.append(mean)
        spreads.append((own - mean).square().sum(2).mean().sqrt())
    return States(numbers, members, torch.stack(means), torch.stack(spreads))


@torch.no_grad()
def drawn_structures(model: SpaceVAE, count: int, seed: int = 0) -> Tensor:
    """Structures from the prior in the template's pose, (count, N, 3), Angstrom."""
    generator = torch.Generator().manual_seed(seed)
    z = model.settle(model.prior.sample(count, generator), generator)
    return model.decoder.template(model.content_latent(z)).cpu()
