"""The suites of the pose and content benchmark: one function for each, one cell for each seed.

A cell trains, measures and returns a flat dictionary of numbers; `run.py` runs cells in processes of their
own and keeps what they return. Recipes stand here in full: nothing is chosen on test data.
"""

import resource
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from recipes import GALAXIES, NUCLEI, PARTICLES, REAL, SPRITES

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.pose.calibration import angle_calibration
from eqvae.metrics.pose.error import pose_errors
from eqvae.metrics.pose.gauge import apply_gauge, fit_gauge
from eqvae.metrics.pose.split import gauge_split
from eqvae.symmetry.motions import angle_of, shift_of

ASYMMETRIC_DIGITS = (2, 3, 4, 5, 6, 7, 9)  # 0, 1 and 8 look nearly the same after half a turn


def mnist_u(seed: int, folder: Path, options: Any) -> dict[str, Any]:
    """The full recipe: 53,333 training digits in any pose, 16 epochs, 10,000 test digits."""
    vae, data, seconds = measure.trained(
        ["experiment=mnist_u", f"data.source.root={options.data}", f"seed={seed}"], folder / "run"
    )
    found: dict[str, Any] = {"training_seconds": seconds}
    content, labels = measure.content_of(vae, data.test), data.test.labels.numpy()
    for name, clusters in measure.clusters_of(content, 10, seed).items():
        found[name] = measure.accuracy(clusters, labels)
        if name == "gmm":
            found |= _six_nine(clusters, labels)
    own = vae.prior.content.responsibilities(torch.from_numpy(content)).argmax(dim=1).numpy()
    found["mixture_prior"] = measure.accuracy(own, labels)
    found |= {f"mixture_prior_{k}": v for k, v in _six_nine(own, labels).items()}
    known = measure.content_of(vae, data.train)
    found |= measure.probes(known, data.train.labels.numpy(), content, labels)
    found["leak_r2"] = measure.leak(content, data.test.poses, labels, seed)
    found["elbo"] = float(measure.elbo_of(vae, data.test).mean())
    found["val_elbo"] = float(measure.elbo_of(vae, data.val).mean())
    turning = torch.isin(data.test.labels, torch.tensor(ASYMMETRIC_DIGITS))
    some = HeldOut(vae, data.test[turning][:500])
    found |= {f"consistency/{k}": v for k, v in measure.consistency(some, 1).items()}
    every = HeldOut(vae, data.test[:2000])
    found |= {f"cluster_change_percent/{k}": v for k, v in measure.changes(every, 10).items()}
    return found


def mnist_2d(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Content of 2 coordinates, the size that TARGET-VAE reports."""
    vae, data, seconds = measure.trained(
        [
            "experiment=mnist_u",
            f"data.source.root={options.data}",
            f"seed={seed}",
            "latent.multiplicities=[2,1]",
            "model.decoder.hidden=384",
            "trainer.max_epochs=14",
        ],
        folder / "run",
    )
    content, labels = measure.content_of(vae, data.test), data.test.labels.numpy()
    clusters = measure.clusters_of(content, 10, seed)
    found = {f"{k}_2d": measure.accuracy(v, labels) for k, v in clusters.items()}
    own = vae.prior.content.responsibilities(torch.from_numpy(content)).argmax(dim=1).numpy()
    found["mixture_prior_2d"] = measure.accuracy(own, labels)
    return found | {"training_seconds": seconds}


def mnist_quick(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Wall seconds from posed images to 0.634 clustering accuracy, clustering included; two threads.

    Training starts from raw images; every 25 steps 3,000 validation contents are clustered by k-means,
    whose labels decide when to stop; the reported accuracy is that of the test contents at that moment.
    """
    from sklearn.cluster import KMeans

    torch.set_num_threads(2)
    torch.manual_seed(seed)
    overrides = [
        "experiment=mnist_u",
        f"data.source.root={options.data}",
        "model/prior=normal",
    ]
    data = build(compose(overrides)["data"], path="data")
    data.setup()
    config = compose(overrides, image_shape=data.image_shape)
    images, labels = Batch(data.train.images), data.val.labels.numpy()[:3000]
    begin = time.perf_counter()
    vae = build(config["model"], path="model")
    optimizer = torch.optim.AdamW(vae.parameters(), lr=4e-3)
    reached, step, best = None, 0, 0.0
    while reached is None and time.perf_counter() - begin < 300:
        for rows in torch.randperm(len(images)).split(256):
            vae.train()
            optimizer.zero_grad()
            (-vae.score(images[rows]).elbo.mean()).backward()
            torch.nn.utils.clip_grad_norm_(vae.parameters(), 1000.0)
            optimizer.step()
            step += 1
            if step % 25 == 0:
                vae.eval()
                with torch.no_grad():
                    code = vae.content_of(data.val[:3000])[1].loc.numpy()
                clusters = KMeans(10, n_init=3, random_state=seed).fit_predict(code)
                best = measure.accuracy(clusters, labels)
                if best >= 0.65:  # a little above, so that the test digits reach it too
                    reached = time.perf_counter() - begin
                    break
    content = measure.content_of(vae.eval(), data.test)
    clusters = KMeans(10, n_init=3, random_state=seed).fit_predict(content)
    return {
        "seconds_to_0634": reached if reached is not None else float("nan"),
        "test_accuracy_then": measure.accuracy(clusters, data.test.labels.numpy()),
        "images_seen": 256.0 * step,
    }


def throughput(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Training images per second at 50x50: ours and the plain CNN in turns in one process; pyroVED after."""
    found: dict[str, float] = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        images = Batch(torch.rand(256, 1, 50, 50))
        steps = {}
        for name, overrides, batch in (
            ("pose", ["model=pose"], 256),
            ("recipe", ["experiment=mnist_u"], 256),
            ("plain", ["model=plain"], 128),
        ):
            config = compose(overrides, image_shape=(1, 50, 50))
            vae, objective = build(config["model"]), build(config["objective"])
            optimizer = build(config["optimizer"], allow=("eqvae.", "torch.optim."))(
                vae.parameters()
            )

            def step(vae=vae, objective=objective, optimizer=optimizer, x=images[:batch]) -> int:
                optimizer.zero_grad()
                objective(vae, x, 0)[0].backward()
                optimizer.step()
                return len(x)

            step()
            steps[name] = step
        rates: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(6):
            for name, step in steps.items():
                begin, count = time.perf_counter(), 0
                while time.perf_counter() - begin < 2:
                    count += step()
                rates[name].append(count / (time.perf_counter() - begin))
        for name, values in rates.items():
            found[f"{name}_{threads}"] = float(np.median(values))
        if options.peer_python:
            from peers import pyroved_peer

            rate = pyroved_peer.throughput(
                options.peer_python, size=50, seconds=20, threads=threads
            )
            found[f"pyroved_{threads}"] = float(rate["images_per_second"])
    for other in ("plain", "pyroved"):
        ours, theirs = (max(found.get(f"{n}_{t}", np.nan) for t in (1, 2)) for n in ("pose", other))
        found[f"throughput_ratio/{other}"] = ours / theirs
    return found


def sprites(seed: int, folder: Path, options: Any) -> dict[str, Any]:
    """Shapes of C_1 .. C_4 and O(2) in noise 0.2, sizes within 10 %, poses known exactly."""
    seeds = [
        f"seed={seed}",
        f"data.seed={seed}",
        f"data.source.seed={seed}",
        f"data.pose.seed={seed}",
    ]
    vae, data, seconds = measure.trained([*SPRITES, *seeds], folder / "run")
    held_out = HeldOut.of(vae, data, seed=seed)
    orders, labels = held_out.orders, held_out.labels.numpy()
    errors = pose_errors(held_out.pose, held_out.poses, classes=labels, orders=orders)
    density = held_out.encoding.posterior.angle_log_density()
    fit, rest = gauge_split(labels, np.arange(len(labels)), seed=seed)
    gauges = fit_gauge(held_out.pose[fit], held_out.poses[fit], labels[fit], orders)
    truth = apply_gauge(held_out.poses[rest], gauges, labels[rest])
    covered = angle_calibration(density[rest], angle_of(truth), orders=orders, classes=labels[rest])
    found_order = held_out.encoding.posterior.pose.symmetry_order().numpy()
    true_order = np.array([orders[int(k)] for k in labels])
    clusters = measure.clusters_of(measure.content_of(vae, data.test), 6, seed)
    return {
        "training_seconds": seconds,
        "median_degrees": errors["angle_median"].value,
        "p95_degrees": errors["angle_p95"].value,
        "shift_median_px": errors["shift_median"].value,
        "coverage50": covered["coverage_50"].value,
        "coverage90": covered["coverage_90"].value,
        "coverage95": covered["coverage_95"].value,
        "symmetry_order_accuracy": float((found_order == true_order).mean()),
        "clustering_gmm": measure.accuracy(clusters["gmm"], data.test.labels.numpy()),
        "elbo": float(measure.elbo_of(vae, data.test).mean()),
        **{
            f"order_{k}_accuracy": float((found_order == true_order)[true_order == k].mean())
            for k in sorted(set(true_order.tolist()))
        },
    }


EPOCHS = {1.0: 6, 0.3: 6, 0.1: 12}  # by signal-to-noise ratio


def particles(seed: int, folder: Path, options: Any) -> dict[str, Any]:
    """Projections of 4 conformations behind a contrast transfer function, at three noise levels."""
    found: dict[str, Any] = {}
    for snr, epochs in EPOCHS.items():
        tag = f"snr{snr:g}".replace(".", "")
        seeds = [f"seed={seed}", f"data.seed={seed}", f"data.source.seed={seed}"]
        seeds.append(f"data.pose.seed={seed}")
        vae, data, seconds = measure.trained(
            [*PARTICLES, *seeds, f"data.source.snr={snr}", f"trainer.max_epochs={epochs}"],
            folder / f"run-{tag}",
        )
        held_out = HeldOut.of(vae, data, seed=seed)
        labels = held_out.labels.numpy()
        content = held_out.encoding.posterior.content.loc.numpy()
        clusters = measure.clusters_of(content, 4, seed)["gmm"]
        errors = pose_errors(held_out.pose, held_out.poses, classes=labels)
        found |= {
            f"{tag}/class_accuracy": measure.accuracy(clusters, labels),
            f"{tag}/median_degrees": errors["angle_median"].value,
            f"{tag}/shift_median_px": errors["shift_median"].value,
            f"{tag}/training_seconds": seconds,
        }
        if snr > 0.1:
            continue  # the peers are compared where it is hardest
        for name, peer in _peers(data, seed, seconds, options, clusters=4, radius=24).items():
            if _diverged(peer):
                found[f"{tag}/{name}/diverged"] = 1.0
                continue
            truth = data.test.labels.numpy()
            groups = measure.clusters_of(peer.content, 4, seed)["gmm"]
            found[f"{tag}/{name}/class_accuracy"] = measure.accuracy(groups, truth)
            found[f"{tag}/{name}/seconds"] = peer.seconds
            if peer.angle is not None and peer.shift is not None:
                poses = np.column_stack([np.zeros(len(truth)), peer.angle, peer.shift])
                wrong = pose_errors(poses, data.test.poses, classes=truth)["angle_median"].value
                found[f"{tag}/{name}/median_degrees"] = wrong
    return found


VARIANCE = 0.005  # where the peers start; their ELBOs are taken at the variance that suits them


def nuclei(seed: int, folder: Path, options: Any) -> dict[str, Any]:
    """Fluorescence nuclei, split by source image, shifted; what the content says of shape."""
    path = Path(options.data) / "nuclei.npz"
    seeds = [f"seed={seed}", f"data.seed={seed}", f"data.pose.seed={seed}"]
    vae, data, seconds = measure.trained(
        [*REAL, *NUCLEI, *seeds, f"data.source.path={path}"], folder / "run"
    )
    archive, rows = np.load(path), data.test.indices.numpy()
    shape = np.column_stack([np.log(archive["area"][rows]), archive["elongation"][rows]])
    sources = archive["source"][rows]
    content = measure.content_of(vae, data.test)
    motions = data.pose.draw(len(data.images))[data.test.indices]
    held_out = HeldOut(vae, data.test[:], groups=torch.from_numpy(sources).long())
    long = np.flatnonzero(archive["elongation"][rows] > 0.3)
    axis = -archive["axis_angle_rad"][rows] + angle_of(motions).numpy()
    truth = np.column_stack([np.zeros(len(axis)), axis, shift_of(motions).numpy()])
    wrong = pose_errors(held_out.pose[long], truth[long], orders=2, groups=sources[long])
    found = {
        "training_seconds": seconds,
        "elbo": float(measure.rendered_elbo(vae, data.test).mean()),
        "shape_r2": measure.shape_r2(content, shape, sources),
        "leak_r2": measure.leak(content, motions, None, seed),
        "axis_median_degrees": wrong["angle_median"].value,
        "axis_chance_degrees": 45.0,
    }
    for name, peer in _peers(data, seed, seconds, options, clusters=8, radius=28).items():
        if _diverged(peer):
            found[f"{name}/diverged"] = 1.0
            continue
        found[f"{name}/shape_r2"] = measure.shape_r2(peer.content, shape, sources)
        found |= _common(name, peer, motions, seed)
    return found


def galaxies(seed: int, folder: Path, options: Any) -> dict[str, Any]:
    """SDSS galaxies in 6 classes, shifted; what the content says of type."""
    path = Path(options.data) / "galaxies.npz"
    seeds = [f"seed={seed}", f"data.seed={seed}", f"data.pose.seed={seed}"]
    nuisance = ["model.localiser._target_=eqvae.nn.Localiser"]
    vae, data, seconds = measure.trained(
        [*REAL, *nuisance, *GALAXIES, *seeds, f"data.source.path={path}"], folder / "run"
    )
    labels, content = data.test.labels.numpy(), measure.content_of(vae, data.test)
    motions = data.pose.draw(len(data.images))[data.test.indices]
    found = {
        "training_seconds": seconds,
        "elbo": float(measure.rendered_elbo(vae, data.test).mean()),
        "type_balanced_accuracy": measure.type_accuracy(content, labels),
        "leak_r2": measure.leak(content, motions, None, seed),
        "chance_balanced_accuracy": 1 / 6,
    }
    for name, peer in _peers(data, seed, seconds, options, clusters=6, radius=28).items():
        if _diverged(peer):
            found[f"{name}/diverged"] = 1.0
            continue
        found[f"{name}/type_balanced_accuracy"] = measure.type_accuracy(peer.content, labels)
        found |= _common(name, peer, motions, seed)
    return found


def growth(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Training throughput and peak memory against image size; describing 1k to 1M generated images."""
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    for size in (32, 64, 128, 256):
        config = compose(["model=pose"], image_shape=(1, size, size))
        vae = build(config["model"], path="model")
        x = Batch(torch.rand(64, 1, size, size))
        optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3)
        begin, count = None, 0
        while begin is None or time.perf_counter() - begin < 4:
            optimizer.zero_grad()
            (-vae.score(x).elbo.mean()).backward()
            optimizer.step()
            if begin is None:
                begin = time.perf_counter()  # the first step makes tables
            else:
                count += len(x)
        found[f"size_{size}/images_per_second"] = count / (time.perf_counter() - begin)
        found[f"size_{size}/peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def growth_images(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """One pass of `embed` over n generated images, streamed: seconds and peak memory of the process."""
    import tempfile

    from eqvae.embedding import write_embedding

    torch.set_num_threads(1)
    config = compose(
        ["model=pose", "latent.multiplicities=[4,1]", "model.inference.fine_angles=64"],
        image_shape=(1, 32, 32),
    )
    vae, n = build(config["model"], path="model").eval(), options.count
    tile = torch.rand(500, 1, 32, 32)
    batches = (tile[: min(500, n - first)] for first in range(0, n, 500))
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        write_embedding(vae, batches, Path(out), clusters=4)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "images_per_second": n / seconds, "peak_mb": peak}


def _peers(
    data: Any, seed: int, seconds: float, options: Any, clusters: int, radius: float
) -> dict[str, Any]:
    """Content, pose and ELBO of the test images by every peer, on the same split.

    Those that train get as many seconds of the processor as our model took.
    """
    from peers import aligned_kmeans, plain_vae, power_spectrum

    parts = [getattr(data, name).images.numpy() for name in ("train", "val", "test")]
    found = {
        "power_spectrum": power_spectrum.fit_transform(*parts, seed=seed),
        "aligned_kmeans": aligned_kmeans.fit_transform(*parts, seed=seed, num_classes=clusters),
        "plain_vae": plain_vae.fit_transform(
            *parts, seed=seed, seconds=seconds, width=16, variance=VARIANCE
        ),
    }
    if options.peer_python:
        from peers import pyroved_peer, zernike

        python = options.peer_python
        found["zernike"] = zernike.fit_transform(*parts, seed=seed, python=python, radius=radius)
        found["pyroved"] = pyroved_peer.fit_transform(
            *parts, seed=seed, python=python, seconds=seconds, variance=VARIANCE
        )
    return found


def _diverged(peer: Any) -> bool:
    """Whether a peer's training ended in NaN."""
    return not np.isfinite(peer.content).all()


def _common(name: str, peer: Any, motions: Any, seed: int) -> dict[str, float]:
    """Leak, time and, of models that have one, ELBO of a peer."""
    found = {
        f"{name}/leak_r2": measure.leak(peer.content, motions, None, seed),
        f"{name}/seconds": peer.seconds,
    }
    if peer.elbo is not None:
        found[f"{name}/elbo"] = float(peer.elbo.mean())
    return found


def _six_nine(clusters: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Of the sixes and nines, how many lie in a cluster that the other of the two fills."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((10, 10))
    np.add.at(table, (clusters, labels), 1)
    row, column = linear_sum_assignment(-table)
    of = dict(zip(column, row, strict=True))  # digit -> cluster
    swapped = table[of[9], 6] + table[of[6], 9]
    return {"six_nine_swapped": float(swapped / np.isin(labels, (6, 9)).sum())}
