"""What the suites of the orbit benchmark measure."""

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
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from eqvae.config import build, compose
from eqvae.evaluation.held_out import HeldOut
from eqvae.evaluation.suites.pose import pose as pose_suite
from eqvae.metrics.clustering.partitions import contingency, matched_accuracy
from eqvae.metrics.generation.features import SMALLEST, image_features
from eqvae.metrics.generation.frechet import frechet, halves_distance
from eqvae.metrics.generation.neighbours import precision_recall
from eqvae.metrics.intervals import Resampling
from eqvae.symmetry.motions import angle_of
from eqvae.training.checkpoint import load_vae
from eqvae.training.prior import encoded
from eqvae.training.run import prepare, train

QUIET = ["logger=none", "callbacks.progress=null", "callbacks.pictures=null"]
SAMPLES = 2000


def trained(overrides: list[str], folder: Path) -> tuple[Any, Any, dict[str, float]]:
    """The model of a run folder and its data, trained there if it is not yet, and what its run measured."""
    config = compose([*QUIET, *overrides])
    if not (folder / "metrics.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        train(prepare(config, folder))
    data = build(config["data"], path="data")
    data.setup()
    metrics = json.loads((folder / "metrics.json").read_text())
    kept = {"free_energy": "test/free_energy", "training_seconds": "train/seconds"}
    kept |= {"prior_seconds": "prior/seconds"}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = {name: metrics[key] for name, key in kept.items() if key in metrics}
    return load_vae(folder).to(device), data, found


def likelihood_gain(folder: Path) -> dict[str, float]:
    """How much the fitted prior raises the test ELBO, in all and by block, nats."""
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {"elbo": metrics["test/elbo"], "elbo_gain": metrics["test/prior_gap"]}
    for name, fitted in metrics.items():
        if name.startswith("test/fitted/kl/"):
            block = name.removeprefix("test/fitted/kl/")
            before = metrics.get(f"test/kl/{block}")
            if before is not None:
                found[f"elbo_gain_{block}"] = before - fitted
    return found


@torch.no_grad()
def generation(model: Any, data: Any, seed: int) -> dict[str, float]:
    """FD-posed of samples, of the oracle row and of real halves; precision and recall; memorisation."""
    test = data.test[:SAMPLES].image
    if test.shape[-1] < SMALLEST:
        return {}
    generator = torch.Generator().manual_seed(seed)
    some = data.train[:SAMPLES]
    q = encoded(model, data.train, len(some))
    samples = model.sample(SAMPLES, generator).cpu()
    rough = model.sample(SAMPLES, generator, rounds=0).cpu()
    oracle = _decoded(model, q.rsample())
    again = _decoded(model, q.mode)
    real, known = image_features(test), image_features(data.train[:4000].image)
    drawn = image_features(samples.clamp(0, 1))
    parts = {"fd_samples": drawn, "fd_oracle": image_features(oracle)}
    parts |= {"fd_reconstructions": image_features(again)}
    parts |= {"fd_samples_unsettled": image_features(rough.clamp(0, 1))}
    found = {name: frechet(real, features) for name, features in parts.items()}
    found["fd_halves"] = halves_distance(real, SAMPLES, Resampling(None, 0, seed))
    found["fd_ratio"] = found["fd_samples"] / found["fd_oracle"]
    for name, score in precision_recall(real, drawn, resamples=0).items():
        found[name.removesuffix("_posed")] = score.value
        found[f"{name.removesuffix('_posed')}_ceiling"] = score.ceiling
    found["memorisation"] = _nearest(drawn, known) / _nearest(real, known)
    labels = data.train[:4000].label
    if labels is not None and bool((labels >= 0).all()):
        found |= _recognised(known, labels.numpy(), real, data.test[:SAMPLES].label.numpy(), drawn)
    return found


def _decoded(model: Any, z: Tensor) -> Tensor:
    like = next(model.parameters())
    parts = [model.decode(part.to(like)).cpu() for part in z.split(250)]
    return torch.cat(parts).clamp(0, 1)


def _nearest(x: np.ndarray, known: np.ndarray) -> float:
    """Median distance to the nearest training image."""
    distance = torch.cdist(torch.from_numpy(x), torch.from_numpy(known))
    return float(distance.amin(1).median())


def _recognised(
    known: np.ndarray, labels: np.ndarray, real: np.ndarray, truth: np.ndarray, drawn: np.ndarray
) -> dict[str, float]:
    """Share of samples whose class is clearer than that of the least clear 5 % of real test images."""
    spread = known.std(axis=0) + 1e-9
    with threadpool_limits(1):
        model = LogisticRegression(max_iter=500, C=0.3).fit(known / spread, labels)
    clear = model.predict_proba(real / spread).max(axis=1)
    limit = np.quantile(clear, 0.05)
    sure = model.predict_proba(drawn / spread).max(axis=1)
    accuracy = float(model.score(real / spread, truth))
    return {"recognised": float((sure >= limit).mean()), "recogniser_accuracy": accuracy}


def poses(held_out: HeldOut) -> dict[str, float]:
    """Error against the true pose with one gauge per class, consistency, and coverage of credible sets."""
    scores = pose_suite(held_out).scores
    wanted = {
        "pose_degrees": "error/angle_median",
        "consistency_degrees": "consistency/angle_median",
        "coverage50": "calibration/angle/coverage_50",
        "coverage90": "calibration/angle/coverage_90",
        "coverage95": "calibration/angle/coverage_95",
        "shift_pixels": "error/shift_median",
    }
    found = {n: scores[key].value for n, key in wanted.items() if key in scores}
    for key in scores:
        if "angle" in key and ("p95" in key or "95" in key):
            found.setdefault(key.replace("/", "_"), scores[key].value)
    return {name: value for name, value in found.items() if value is not None}


def understanding(
    model: Any, data: Any, seed: int, archive: dict[str, np.ndarray] | None = None
) -> dict[str, float]:
    """What content knows: classes by groups of components, neighbours, a linear probe; shapes."""
    train_q, test_q = _content(model, data.train), _content(model, data.test)
    found: dict[str, float] = {}
    labels, known = data.test[:].label, data.train[:].label
    if labels is not None and bool((labels >= 0).all()):
        y, classes = labels.numpy(), int(labels.max()) + 1
        like = next(model.parameters())
        if model.prior.knows_kinds(classes):
            own = model.prior.kinds(torch.from_numpy(test_q).to(like), classes, seed)
            found["components"] = _accuracy(own.argmax(1).cpu().numpy(), y)
        best = model.prior.kinds(torch.from_numpy(test_q).to(like)).argmax(1).cpu().numpy()
        found["component_purity"] = _purity(best, y)
        found["number_of_components"] = float(len(model.prior.weights))
        with threadpool_limits(1):
            kmeans = KMeans(classes, n_init=10, random_state=seed).fit_predict(test_q)
            found["kmeans"] = _accuracy(kmeans, y)
            near = KNeighborsClassifier(5).fit(train_q, known.numpy())
            found["knn"] = float(near.score(test_q, y))
            spread = train_q.std(axis=0) + 1e-9
            linear = LogisticRegression(max_iter=400).fit(train_q / spread, known.numpy())
            found["linear_probe"] = float(linear.score(test_q / spread, y))
        found["type_accuracy"] = _type_accuracy(test_q, y)
    if archive is not None and "elongation" in archive:
        rows = data.test.indices.numpy()
        shape = np.column_stack([np.log(archive["area"][rows]), archive["elongation"][rows]])
        found["shape_r2"] = _shape_r2(test_q, shape, archive["source"][rows])
    return found


@torch.no_grad()
def _content(model: Any, part: Any) -> np.ndarray:
    like, rows = next(model.parameters()), []
    for first in range(0, len(part), 500):
        q = model.encode(part[first : first + 500].to(like)).settled()
        rows.append(q.content.loc.cpu())
    return torch.cat(rows).numpy()


@torch.no_grad()
def wrong_frames(model: Any, data: Any, digits: tuple[int, ...]) -> dict[str, float]:
    """Share of the images of a class that are turned by more than 60 degrees against it."""
    like, found, turns = next(model.parameters()), {}, []
    for first in range(0, len(data.test), 500):
        batch = data.test[first : first + 500]
        pose = model.encode(batch.to(like)).pose.mode.cpu()
        turns.append(torch.stack([angle_of(pose) - angle_of(batch.pose), batch.label], 1))
    off, label = torch.cat(turns).T
    for digit in digits:
        d = off[label == digit]
        gauges = torch.linspace(0, 2 * np.pi, 361)[:-1]
        error = ((d[:, None] - gauges + np.pi) % (2 * np.pi) - np.pi).abs()
        found[f"wrong_frame_{digit}"] = float((error > np.pi / 3).float().mean(0).min())
        found[f"pose_degrees_{digit}"] = float(error.median(0).values.min().rad2deg())
    return found | {"wrong_frame": float(np.mean([found[f"wrong_frame_{d}"] for d in digits]))}


def _accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    count = max(clusters.max(), labels.max()) + 1
    return float(matched_accuracy(contingency(clusters, labels, (count, count))))


def _purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    table = contingency(clusters, labels, (clusters.max() + 1, labels.max() + 1))
    return float(np.asarray(table).max(axis=1).sum() / len(labels))


def _type_accuracy(content: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the classes by a balanced linear classifier on content, 5 folds."""
    code = (content - content.mean(axis=0)) / (content.std(axis=0) + 1e-9)
    model = LogisticRegression(max_iter=500, class_weight="balanced")
    with threadpool_limits(1):
        guess = cross_val_predict(model, code, labels, cv=StratifiedKFold(5))
    return float(balanced_accuracy_score(labels, guess))


def _shape_r2(content: np.ndarray, shape: np.ndarray, sources: np.ndarray) -> float:
    """R^2 of log area and elongation from content by boosted trees, source images held out in turn."""
    folds = GroupKFold(5)
    with threadpool_limits(1):
        model = HistGradientBoostingRegressor()
        found = [
            r2_score(y, cross_val_predict(model, content, y, groups=sources, cv=folds))
            for y in shape.T
        ]
    return float(np.mean(found))
