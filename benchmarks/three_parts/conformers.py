"""Ethanol at 500 K: most of a path in one pose for training, its end at every pose for the test.

python benchmarks/three_parts/conformers.py

The SE(3)-VAE that knows that the hydrogens of the methyl group are alike, the same without that, and plain
models, with the same steps. Beside them stands what needs no model: the mean structure, principal motions,
and the most similar training frame. Epochs and the first variance were chosen on validation frames.
"""

import json
import math
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from torch import Tensor
from trained import AUGMENTED, Trained, trained

from eqvae.config import compose
from eqvae.data.batch import Batch
from eqvae.three.vae import SpaceOrbitPosedPrior
from eqvae.three.vae.alignment import aligned, laid_together, rmsd
from eqvae.three.vae.datamodule import PosedStructures
from eqvae.three.vae.orders import all_orders
from eqvae.three.vae.suites import content_of

_PLAIN = ["model=plain_structures", "~model.equivalent"]
ARMS = {  # overrides, seeds
    "se3": ([], 3),
    "se3, all atoms told apart": (["model.equivalent=null"], 1),
    "plain": (_PLAIN, 3),
    "plain, augmented": ([*_PLAIN, *AUGMENTED], 1),
}
SHOWN = {
    "rmsd": "reconstruction/rmsd/turned",
    "rmsd_laid_upon": "reconstruction/rmsd/turned_laid_upon",
    "rmsd_own_pose": "reconstruction/rmsd/as_given",
    "content_change": "content/change/largest",
    "content_change_relative": "content/change/relative",
    "spearman_gyration": "content/opening/moved",
    "pose_degrees": "pose/kabsch/angle_median",
    "encoder_law": "equivariance/encoder/rotation",
}
TORSION = (0, 1, 2, 3)  # C-C-O-H of ase's ethanol
ACTIVE = 0.3  # standard deviation of a coordinate's mean over frames; that of the prior is 1
MOTIONS = (3, 10)  # principal ones; the latent has content of 10 coordinates


def measure(epochs: int | None = None) -> dict[str, Any]:
    """A row for each arm, the mean over its seeds and each seed's values, and one of what needs no model."""
    rows, config = [], compose(["experiment=conformers"])
    epochs = epochs or config["trainer"]["max_epochs"]
    how = ["experiment=conformers", f"trainer.max_epochs={epochs}"]
    (order,) = config["model"]["equivalent"]
    for name, (overrides, seeds) in ARMS.items():
        begin, found = time.perf_counter(), []
        for seed in range(seeds):
            one = trained([*how, *overrides], SHOWN, seed)
            more = content_found(one) | relabelled(one, order) | rotamers_found(one)
            found.append(one.scores | more)
        row = {"what": f"ethanol, {name}", "seeds": seeds}
        row |= {key: float(np.mean([each[key] for each in found])) for key in found[0]}
        rows.append(row | {"by_seed": found, "seconds": round(time.perf_counter() - begin, 1)})
    train, test = (part[:].image[:, 0].double() for part in (one.data.train, one.data.test))
    references = without_model(train, test, all_orders([order], train.shape[1]))
    rows.append({"what": "ethanol, no model"} | references)
    steps = epochs * -(-len(train) // config["data"]["batch_size"])
    return {"rows": rows, "steps": steps, "frames": [len(train), len(test)]}


def content_found(one: Trained) -> dict[str, float]:
    """Active coordinates, and rank correlations with C-C-O-H on test frames of the best one in training.

    |C-C-O-H| tells gauche from trans, its sine the two gauche forms, mirror images, from each other.
    """
    ways: dict[str, Callable[[Tensor], Tensor]] = {"folded": torch.abs, "signed": torch.sin}
    content, angles = {}, {}
    for name, part in (("train", one.data.train), ("test", one.data.test)):
        content[name] = _content(one, part)
        angles[name] = torsion(part[:].image[:, 0].double(), TORSION)
    found = {"active": float((content["test"].std(dim=0) > ACTIVE).sum())}
    for key, way in ways.items():
        ranks = _ranks(content["train"], way(angles["train"]))
        best = int(np.argmax(np.abs(ranks)))
        found[f"spearman_torsion_{key}"] = abs(_ranks(content["test"], way(angles["test"]))[best])
    return found


def relabelled(one: Trained, order: list[int]) -> dict[str, float]:
    """How much content changes when like atoms are renumbered, in units of how much frames differ in it."""
    model, batch = deepcopy(one.model).double(), one.data.test[:]
    batch = batch.replace(image=batch.image.double())
    c = content_of(model, batch)
    d = content_of(model, batch.replace(image=batch.image[:, :, order]))
    return {"relabelled": float(((c - d).norm(dim=1) / c.std(dim=0).norm()).mean())}


def rotamers_found(one: Trained) -> dict[str, float]:
    """Adjusted Rand index of trans and both gauche forms with as many groups of the fitted prior's kinds.

    0 is chance. A Gaussian mixture of three, fitted to the content of training frames, stands beside it.
    """
    prior, angle = one.model.prior, torsion(one.data.test[:].image[:, 0].double(), TORSION)
    trans = angle.abs() > math.radians(120)
    rotamer = torch.where(trans, 0, torch.where(angle > 0, 1, 2))
    c, known = _content(one, one.data.test), _content(one, one.data.train)
    mixture = GaussianMixture(3, n_init=5, random_state=0).fit(known.detach().numpy())
    found = {"rotamers_gaussian_mixture": mixture.predict(c.detach().numpy())}
    if isinstance(prior, SpaceOrbitPosedPrior) and prior.knows_kinds(3):
        found["rotamers"] = prior.kinds(c, 3).argmax(dim=1).numpy()
    return {key: float(adjusted_rand_score(rotamer.numpy(), each)) for key, each in found.items()}


def _content(one: Trained, part: PosedStructures) -> Tensor:
    """Content of structures at poses that are drawn anew."""
    batch: Batch = part[:]
    group = one.model.domain.group
    g = group.sample(len(batch), shift=0.0, generator=torch.Generator().manual_seed(1))
    return content_of(one.model, batch.act(g, one.model.domain))


def _ranks(content: Tensor, value: Tensor) -> list[float]:
    """Spearman's rank correlation of each coordinate; of constant ones it is 0."""
    return [
        float(spearmanr(c, value)[0]) if float(c.std()) > 0 else 0.0
        for c in content.detach().double().T
    ]


def torsion(x: Tensor, atoms: tuple[int, ...]) -> Tensor:
    """Torsions about the bond between the second and the third of four atoms, radians, (F,)."""
    a, b, c = (x[:, atoms[i + 1]] - x[:, atoms[i]] for i in range(3))
    first, second = torch.linalg.cross(a, b), torch.linalg.cross(b, c)
    sine = (torch.linalg.cross(first, second) * b).sum(1) / b.norm(dim=1)
    return torch.atan2(sine, (first * second).sum(1))


def without_model(train: Tensor, test: Tensor, orders: Tensor) -> dict[str, float]:
    """Mean RMSD of test frames from the training mean, from principal motions, and from the nearest frame.

    The mean and the motions know which atoms are alike: each frame is in its best order.
    """
    mean = laid_together(train).mean(dim=0)
    in_labels = rmsd(aligned(test, mean.expand_as(test)), mean).mean()
    for _ in range(10):
        mean = nearest_order(train, mean, orders).mean(dim=0)
    known, asked = (nearest_order(x, mean, orders) for x in (train, test))
    principal = torch.linalg.svd((known - mean).flatten(1), full_matrices=False)[2]
    rest, linear = (asked - mean).flatten(1), {}
    for count in MOTIONS:
        motions = principal[:count]
        made = mean + (rest @ motions.T @ motions).unflatten(1, (-1, 3))
        linear[f"principal_motions_{count}"] = float(rmsd(asked, made).mean())
    nearest = [
        rmsd(nearest_order(train, frame, orders), frame).min()
        for frame in test - test.mean(dim=1, keepdim=True)
    ]
    return {
        "spread": float(rmsd(asked, mean).mean()),
        "spread_all_atoms_told_apart": float(in_labels),
        **linear,
        "nearest_training_frame": float(torch.stack(nearest).mean()),
    }


def nearest_order(x: Tensor, onto: Tensor, orders: Tensor) -> Tensor:
    """Structures (F, N, 3) laid upon one (N, 3), their atoms in the order that fits best."""
    tried = aligned(x[:, orders], onto.expand(len(x), len(orders), -1, -1))
    best = rmsd(tried, onto).argmin(dim=1)
    return tried[torch.arange(len(x)), best]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
