"""What is measured of every arm, the same for all, on held-out images.

Errors of equivariance are relative to chance: E |f(g x) - g f(x)|^2 over the same for the f of another image,
and the root of it, so that 0 is exact, 1 is no better than a random partner, and a collapsed latent is not
called equivariant.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.evaluation.held_out import HeldOut
from eqvae.losses import dials
from eqvae.metrics.clustering.clusterers import varying
from eqvae.metrics.clustering.partitions import contingency, matched_accuracy
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.likelihood.streaming import estimate_bound
from eqvae.metrics.pose.error import pose_errors
from eqvae.models.model import Model
from eqvae.symmetry import angle_of, motion

_SOME = 200  # images whose equivariance and marginal likelihood are estimated


def measure(held_out: HeldOut) -> dict[str, float | None]:
    """Every score of a trained model on held-out images; None where the data do not allow it."""
    found: dict[str, float | None] = {"iwae": importance_bound(held_out)}
    found |= equivariance(held_out.model, held_out.batch, held_out.seed)
    labels = None if held_out.labels is None else held_out.labels.numpy()
    known = held_out.poses is not None and held_out.has_pose
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
    found["dial"] = mean_residual(held_out.model)
    return found


def mean_residual(model: nn.Module) -> float | None:
    """How far the soft layers left the equivariant ones, their mean; None without any."""
    residuals = [value for name, value in dials(model).items() if name.endswith("residual")]
    return float(np.mean(residuals)) if residuals else None


@torch.no_grad()
def importance_bound(held_out: HeldOut, draws: int = 50) -> float:
    """IWAE bound: mean of log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x) over the first images, nats."""
    model, batch = held_out.model, held_out.batch[:_SOME]
    with torch.random.fork_rng():
        torch.manual_seed(held_out.seed)
        q = model.encode(batch)

        def draw(count: int) -> Tensor:
            z = [q.rsample() for _ in range(count)]
            weights = [
                model.log_prob(batch, k) + model.prior.log_prob(k) - q.log_prob(k) for k in z
            ]
            return torch.stack(weights)

        return float(estimate_bound(draw, draws).bounds[draws].mean())


@torch.no_grad()
def equivariance(model: Model, batch: Batch, seed: int = 0) -> dict[str, float]:
    """Errors of encoder (under rotations, under shifts) and decoder (under rotations), 0 exact, 1 chance."""
    batch, generator = batch[:_SOME], torch.Generator().manual_seed(seed)
    angles = torch.rand(len(batch), generator=generator) * (2 * math.pi)
    shifts = torch.rand(len(batch), 2, generator=generator) * 4 - 2  # pixels
    turn, move = motion(angle=angles), motion(shift=shifts)
    z, act, domain = model.encode(batch).mode, model.representation.act, model.domain
    mask = domain.mask().to(batch.image)
    decoded = model.decode(z)

    def encoder(g: Tensor) -> float:
        return _relative(model.encode(batch.act(g, domain, "fourier")).mode, act(g, z))

    turned = domain.act(turn, decoded, "fourier") * mask
    again = model.decode(act(turn, z)) * mask
    return {
        "encoder_error": encoder(turn),
        "encoder_shift_error": encoder(move),
        "decoder_error": _relative(again.flatten(1), turned.flatten(1)),
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
    if poses is None or content.shape[1] == 0 or float(angle_of(poses).std()) == 0:
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
