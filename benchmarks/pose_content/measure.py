"""What the suites measure, each from content, poses and labels of held-out images."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.clustering.partitions import contingency, matched_accuracy
from eqvae.metrics.content.invariance import cluster_change
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.pose.consistency import pose_consistency
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import prepare, train

QUIET = [
    "logger=none",
    "prior=normal",  # clusters and densities are those of the prior that was trained
    "callbacks.progress=null",
    "callbacks.early_stopping=null",
    "callbacks.pictures=null",
]
# of variances in mixtures, in units of the mean variance: about what posteriors of content have
FLOOR = 0.03


def trained(overrides: list[str], folder: Path) -> tuple[Any, Any, float]:
    """The model of a run folder and its data, trained there if it is not yet; seconds of training."""
    config = compose([*QUIET, *overrides])
    if not (folder / "metrics.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        train(prepare(config, folder))
    data = build(config["data"], path="data")
    data.setup()
    seconds = json.loads((folder / "metrics.json").read_text())["train/seconds"]
    return load_vae(folder), data, seconds


@torch.no_grad()
def content_of(model: Any, part: Any, size: int = 500) -> np.ndarray:
    """Mean content of the images of a split, (N, m)."""
    starts = range(0, len(part), size)
    return torch.cat([model.content_of(part[i : i + size])[1].loc for i in starts]).numpy()


def elbo_of(model: Any, part: Any, seed: int = 0) -> np.ndarray:
    """One-sample ELBO of each image, nats."""
    return _each(part, lambda batch: model.score(batch).elbo, seed)


def rendered_elbo(model: Any, part: Any, seed: int = 0) -> np.ndarray:
    """log p(x|z) + log p(z) - log q(z|x) with z ~ q, the images rendered: as every other VAE is scored."""

    def value(batch: Batch) -> Tensor:
        q = model.encode(batch)
        z = q.rsample()
        return model.log_prob(batch, z) + model.prior.log_prob(z) - q.log_prob(z)

    return _each(part, value, seed)


@torch.no_grad()
def _each(part: Any, value: Any, seed: int, size: int = 250) -> np.ndarray:
    torch.manual_seed(seed)
    return torch.cat([value(part[i : i + size]) for i in range(0, len(part), size)]).numpy()


def shape_r2(content: np.ndarray, shape: np.ndarray, sources: np.ndarray) -> float:
    """R^2 of log area and elongation from content by boosted trees, source images held out in turn."""
    folds = GroupKFold(5)
    with threadpool_limits(1):
        found = [
            r2_score(
                y,
                cross_val_predict(
                    HistGradientBoostingRegressor(), content, y, groups=sources, cv=folds
                ),
            )
            for y in shape.T
        ]
    return float(np.mean(found))


def type_accuracy(content: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the classes by a balanced linear classifier on content, 5 folds."""
    code = (content - content.mean(axis=0)) / (content.std(axis=0) + 1e-9)
    model = LogisticRegression(max_iter=500, class_weight="balanced")
    with threadpool_limits(1):
        guess = cross_val_predict(model, code, labels, cv=StratifiedKFold(5))
    return float(balanced_accuracy_score(labels, guess))


def scaled(content: np.ndarray) -> np.ndarray:
    """Content about its mean, over one number, the root mean variance; 0 if it collapsed to a constant."""
    centred = content.astype(np.float64) - content.mean(axis=0, dtype=np.float64)
    return centred / np.sqrt(max(centred.var(axis=0).mean(), 1e-20))


def clusters_of(content: np.ndarray, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Clusters by the likeliest of 10 mixtures of full covariances, and by the best of 10 k-means."""
    code = scaled(content)
    with threadpool_limits(1):
        mixture = GaussianMixture(count, n_init=10, reg_covar=FLOOR, random_state=seed).fit(code)
        tied = GaussianMixture(
            count, covariance_type="tied", n_init=10, reg_covar=FLOOR, random_state=seed
        ).fit(code)
        return {
            "gmm": mixture.predict(code),
            "gmm_tied": tied.predict(code),
            "kmeans": KMeans(count, n_init=10, random_state=seed).fit_predict(code),
        }


def accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of images in the right cluster under the best one-to-one match."""
    count = max(clusters.max(), labels.max()) + 1
    return float(matched_accuracy(contingency(clusters, labels, (count, count))))


def probes(
    content: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> dict[str, float]:
    """Accuracy of a linear classifier and of 5 nearest neighbours on frozen content."""
    spread = content.std(axis=0) + 1e-9
    with threadpool_limits(1):
        linear = LogisticRegression(max_iter=400).fit(content / spread, labels)
        near = KNeighborsClassifier(5).fit(content, labels)
        return {
            "linear_probe": float(linear.score(test / spread, test_labels)),
            "knn": float(near.score(test, test_labels)),
        }


def leak(content: np.ndarray, poses: Tensor, classes: np.ndarray | None, seed: int = 0) -> float:
    """Best R^2 of the angle from content, above the same for shuffled poses."""
    found = pose_leak(content, poses, classes=classes, seed=seed)["angle/best"]
    return float(found.value - found.floor)


def consistency(held_out: HeldOut, orders: dict[int, int] | int) -> dict[str, float]:
    """Does the pose move with the image? Degrees and pixels."""
    moved = held_out.moved
    scores = pose_consistency(
        held_out.pose[: moved.n],
        moved.pose,
        moved.motions,
        orders=orders,
        classes=held_out.labels[: moved.n],
    )
    return {
        "median_degrees": scores["angle_median"].value,
        "p95_degrees": scores["angle_p95"].value,
        "shift_px": scores["shift_median"].value,
        "shift_p95_px": scores["shift_p95"].value,
    }


def changes(held_out: HeldOut, count: int, seed: int = 0) -> dict[str, float]:
    """Percent of images that change cluster when they move."""
    mixture = GaussianMixture(count, n_init=3, reg_covar=1e-3, random_state=seed)
    still = held_out.content
    live = still.std(axis=0) > 1e-6  # the frame vector is the same for all
    scale = np.sqrt(still[:, live].var(axis=0).mean())
    with threadpool_limits(1):
        mixture.fit(still[:, live] / scale)
        found = [
            mixture.predict(c[:, live] / scale)
            for c in (still[: held_out.moved.n], *held_out.moved.content.numpy())
        ]
    scores = cluster_change(found[0], np.stack(found[1:]), motions=held_out.moved.kinds)
    names = {"cluster_change": "any", "cluster_change/quarter_turn": "quarter_turn"}
    return {short: 100 * scores[name].value for name, short in names.items()}
