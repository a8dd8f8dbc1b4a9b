"""One cell of a comparison: train an arm, measure it on held-out images, return one row of the table.

Everything is measured on the test split, and the same for every arm. Errors of equivariance are relative to
chance: E |f(g x) - g f(x)|^2 over the same for the f of another image, and the root of it, so that 0 is
exact, 1 is no better than a random partner, and a collapsed latent is not called equivariant.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.comparison.design import Cell
from eqvae.comparison.sizes import num_macs, num_parameters, with_values
from eqvae.config import compose
from eqvae.domains.grid import disc_mask
from eqvae.domains.square import act_on_image
from eqvae.evaluation.held_out import HeldOut
from eqvae.losses import dials
from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.clustering.partitions import contingency, matched_accuracy
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.pose.error import pose_errors
from eqvae.symmetry.motions import motion
from eqvae.training.divergence import Diverged
from eqvae.training.run import prepare, train

_QUIET = (
    "logger=none",
    "callbacks.early_stopping=null",
    "callbacks.pictures=null",
    "callbacks.progress=null",
    "+callbacks.diverged._target_=eqvae.training.divergence.StopWhenDiverged",
)
_SOME = 200  # images whose equivariance and marginal likelihood are estimated


def cell_config(
    cell: Cell, overrides: Sequence[str], widths: dict[str, int] | None = None
) -> dict[str, Any]:
    """The configuration of a cell's run.

    Args:
        cell: which.
        overrides: see `Design.settings`.
        widths: by configuration key, as `fit_widths` found them.
    """
    own = [
        f"arm={cell.arm}",
        *([] if cell.level == "none" else [f"level={cell.level}"]),
        *_QUIET,
        *overrides,
        f"data.limit={cell.images}",
        *(f"{key}={cell.seed}" for key in ("seed", "data.seed", "data.pose.seed")),
    ]
    if cell.lr is not None:
        own.append(f"optimizer.lr={cell.lr}")
    config = with_values(compose(own), dict(widths or {}))
    penalties = config["objective"].get("penalties") or {}
    weights = {
        f"objective.penalties.{name}.weight": cell.weight * penalty.get("weight", 1.0)
        for name, penalty in penalties.items()
    }
    for name, penalty in penalties.items():
        if "images" in penalty["term"]:  # a price that the training images share
            weights[f"objective.penalties.{name}.term.images"] = cell.images
    return with_values(config, weights)


def run_cell(config: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Train and measure; what diverges is recorded with the step.

    Args:
        config: of the run, see `cell_config`.
        seed: of the measurement's draws.

    Returns:
        Column -> value, with status "finished" or "diverged".
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order everywhere
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = prepare(config, Path(folder) / "run")
            vae, shape = run.module.vae, run.datamodule.image_shape
            row = {
                "lr": float(config["optimizer"]["lr"]),
                "parameters": num_parameters(vae),
                "macs": num_macs(vae, shape),
            }
            try:
                found = train(run)
            except Diverged as stop:
                return row | {"status": "diverged", "step": stop.step}
            if not math.isfinite(found["test/elbo"]):
                return row | {"status": "diverged", "step": int(run.trainer.global_step)}
            row |= {
                "status": "finished",
                "epochs": found["train/epochs"],
                "seconds": found["train/processor_seconds"],
                "wall_seconds": found["train/seconds"],
                "val_elbo": found["val/elbo"],
                **{
                    name: found[f"test/{name}"]
                    for name in ("elbo", "free_energy", "squared_error", "kl")
                },
            }
            return row | measure(HeldOut.of(vae.eval(), run.datamodule, seed=seed))
    finally:
        torch.set_num_threads(threads)


def measure(held_out: HeldOut) -> dict[str, float | None]:
    """Every score of a trained model on its held_out; None where the data do not allow it."""
    found: dict[str, float | None] = {"iwae": importance_bound(held_out)}
    found |= equivariance(held_out)
    labels = None if held_out.labels is None else held_out.labels.numpy()
    known = held_out.poses is not None and held_out.has_frame
    wrong = (
        pose_errors(held_out.pose, held_out.poses, classes=labels, orders=held_out.orders)
        if known
        else {}
    )
    found["pose_degrees"] = wrong["angle_median"].value if known else None
    found["shift_px"] = wrong["shift_median"].value if known else None
    content = held_out.content
    live = varying(content)
    found["leak_r2"] = _leak(content[:, live], held_out.poses, labels, held_out.seed)
    found["clustering"] = _clustering(content[:, live], labels, held_out.seed)
    residuals = [value for name, value in dials(held_out.vae).items() if name.endswith("residual")]
    found["dial"] = float(np.mean(residuals)) if residuals else None
    return found


@torch.no_grad()
def importance_bound(held_out: HeldOut, draws: int = 50) -> float:
    """IWAE bound: mean of log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x) over the first images, nats."""
    vae, x = held_out.vae, held_out.images[:_SOME]
    with torch.random.fork_rng():
        torch.manual_seed(held_out.seed)
        q = vae.encode(x)
        weights = []
        for _ in range(draws):
            z = q.rsample()
            weights.append(vae.log_prob(x, z) + vae.prior.log_prob(z) - q.log_prob(z))
    return float((torch.stack(weights).logsumexp(dim=0) - math.log(draws)).mean())


@torch.no_grad()
def equivariance(held_out: HeldOut) -> dict[str, float]:
    """Errors of encoder (under rotations, under shifts) and decoder (under rotations), 0 exact, 1 chance."""
    vae, x = held_out.vae, held_out.images[:_SOME]
    generator = torch.Generator().manual_seed(held_out.seed)
    angles = torch.rand(len(x), generator=generator) * (2 * math.pi)
    shifts = torch.rand(len(x), 2, generator=generator) * 4 - 2  # pixels
    turn = motion(angle=angles, shift=torch.zeros(len(x), 2))
    move = motion(angle=torch.zeros(len(x)), shift=shifts)
    z, act = vae.encode(x).mode, vae.representation.act
    mask = disc_mask(x.shape[-1]).to(x)
    decoded = vae.decode(z)

    def encoder(g: Tensor) -> float:
        return _relative(vae.encode(act_on_image(g, x, "fourier")).mode, act(g, z))

    turned = act_on_image(turn, decoded, "fourier") * mask
    return {
        "encoder_error": encoder(turn),
        "encoder_shift_error": encoder(move),
        "decoder_error": _relative((vae.decode(act(turn, z)) * mask).flatten(1), turned.flatten(1)),
    }


def _relative(a: Tensor, b: Tensor) -> float:
    """sqrt(E |a_i - b_i|^2 / E |a_i - b_j|^2), i and j different images; 1 where nothing varies."""
    chance = (a - b.roll(1, dims=0)).square().sum(dim=1).mean()
    if chance < 1e-12:
        return 1.0
    return float(((a - b).square().sum(dim=1).mean() / chance).sqrt())


def _leak(
    content: np.ndarray, poses: Tensor | None, labels: np.ndarray | None, seed: int
) -> float | None:
    """R^2 of the angle from content above shuffled poses; None where the angle is not known or fixed."""
    if poses is None or content.shape[1] == 0 or float(poses[:, 1].std()) == 0:
        return None
    probes = ("linear", "knn")  # boosted trees take longer than the training
    score = pose_leak(content, poses, probes=probes, classes=labels, seed=seed)["angle/best"]
    return None if score.value is None else float(score.value - (score.floor or 0.0))


def _clustering(content: np.ndarray, labels: np.ndarray | None, seed: int) -> float | None:
    """Accuracy of k-means with as many clusters as classes, under the best match."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    if labels is None or content.shape[1] == 0:
        return None
    count = len(np.unique(labels))
    with threadpool_limits(1):
        clusters = KMeans(count, n_init=5, random_state=seed).fit_predict(content)
    return float(matched_accuracy(contingency(clusters, labels, (count, count))))
