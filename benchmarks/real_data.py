"""Files of the user's own, measured: a million images, images stored in four ways, particles in STAR.

    python benchmarks/real_data.py large --count 1000000      memory, images a second, killed and resumed
    python benchmarks/real_data.py versions --seeds 0 1 2     the same 2,000 images, stored in four ways
    python benchmarks/real_data.py star --seeds 0 1           10,000 particles through .mrcs and .star

Everything is generated. Runs are processes of their own, one thread each unless OMP_NUM_THREADS says more.
Writes benchmarks/results/real_data.json, a part for each suite; what is there of others stays.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIDE = 64
QUIET = ["logger=none", "callbacks.pictures=null"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", choices=("large", "versions", "star"))
    parser.add_argument("--count", type=int, default=1_000_000, help="images of `large`")
    parser.add_argument("--formats", nargs="+", default=["mrcs", "zarr"])
    parser.add_argument("--batches", type=int, default=1000, help="training batches of `large`")
    parser.add_argument("--part", type=int, default=100_000, help="images that are embedded twice")
    parser.add_argument("--all", action="store_true", help="embed all images of `large`, too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "real_data")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = {"large": large, "versions": versions, "star": star}[options.suite](options)
    path = options.results / "real_data.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known.setdefault(options.suite, {}).update(found)
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    print(json.dumps(found, indent=2, sort_keys=True))


def script(name: str, *arguments: str, kill_after: float | None = None) -> dict[str, float]:
    """Run a command; its seconds, the most memory that it held, and whether it was killed.

    Raises:
        RuntimeError: if it fails, with the end of what it said.
    """
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "CI": "1"}
    command = [sys.executable, "-W", "ignore", str(ROOT / "scripts" / f"{name}.py"), *arguments]
    begin = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
    )
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and kill_after is None:
        raise RuntimeError(f"{' '.join(command)}\n{said[-3000:]}")
    return {
        "seconds": time.monotonic() - begin,
        "gigabytes": usage.ru_maxrss / 2**20,
        "killed": float(process.returncode == -signal.SIGKILL),
    }


def large(options: argparse.Namespace) -> dict[str, Any]:
    """Train on many images of 64 px and embed them; memory must not grow with their number."""
    found: dict[str, Any] = {"count": options.count}
    for form in options.formats:
        path = options.folder / f"large.{form}"
        if not path.exists():
            write_apart(path, options.count)
        run = options.folder / f"large-{form}"
        shutil.rmtree(run, ignore_errors=True)
        data = ["data=stack", f"data.source.path={path}"]
        limits = [f"trainer.limit_train_batches={options.batches}", "trainer.limit_val_batches=20"]
        trained = script(
            "train",
            *data,
            *QUIET,
            *limits,
            "trainer.limit_test_batches=20",
            "trainer.max_epochs=1",
            "trainer.accelerator=cpu",
            "prior.images=5000",
            f"run_dir={run}",
        )
        seconds = json.loads((run / "metrics.json").read_text())["train/seconds"]
        found[f"{form}_train_images_per_second"] = 128 * options.batches / seconds
        found[f"{form}_train_gigabytes"] = trained["gigabytes"]
        part = options.folder / f"part.{form}"
        if not part.exists():
            write_apart(part, options.part)
        ask = [f"ckpt={run}", "averages=false", "write=none", "clusters=10"]
        some = [*ask, *data[:1], f"data.source.path={part}"]
        whole = script("embed", *some, f"out={run / 'whole'}")
        rate = options.part / whole["seconds"]
        found[f"{form}_embed_images_per_second"] = rate
        killed = script("embed", *some, f"out={run / 'killed'}", kill_after=whole["seconds"] / 2)
        again = script("embed", *some, f"out={run / 'killed'}")
        same = [(run / out / "embedding.parquet").read_bytes() for out in ("whole", "killed")]
        found[f"{form}_killed"] = killed["killed"]
        found[f"{form}_whole_seconds"] = whole["seconds"]
        found[f"{form}_resumed_seconds"] = again["seconds"]
        found[f"{form}_same_bytes"] = float(same[0] == same[1])
        if options.all:
            every = [*ask, f"out={run / 'all'}"]
            first = script("embed", *every, kill_after=0.4 * options.count / rate)
            second = script("embed", *every)
            found[f"{form}_all_seconds"] = first["seconds"] + second["seconds"]
            found[f"{form}_all_gigabytes"] = max(first["gigabytes"], second["gigabytes"])
            found[f"{form}_all_rows"] = rows_of(run / "all")
    return found


def rows_of(folder: Path) -> int:
    """Rows of an embedding."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(folder / "embedding.parquet").metadata.num_rows


def write_apart(path: Path, count: int) -> None:
    """`write_large` in a process of its own: what this one holds would count as memory of those it starts."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import real_data; "
        "real_data.write_large(Path(sys.argv[2]), int(sys.argv[3]))"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", code, here, str(path), str(count)], check=True)


def write_large(path: Path, count: int) -> None:
    """Bright bars with a spot beside them, turned at random, in noise; uint8 (zarr) or 16-bit (mrcs)."""
    import mrcfile
    import zarr

    draw = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    angle, kind = draw.uniform(0, 2 * np.pi, (4000, 1, 1)), draw.integers(0, 4, (4000, 1, 1))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    objects = np.exp(-(u**2) / (120 + 120 * (kind // 2)) - v**2 / (20 + 30 * (kind % 2)))
    objects += 0.8 * np.exp(-((u - 8) ** 2 + (v - 5 * (kind - 1)) ** 2) / 12)
    objects = (100 * objects).astype(np.float32)
    shape = (count, SIDE, SIDE)
    if path.suffix == ".zarr":
        out = zarr.create_array(str(path), shape=shape, chunks=(256, SIDE, SIDE), dtype="u1")
    else:
        file = mrcfile.new_mmap(path, shape=shape, mrc_mode=6)
        out = file.data
    for first in range(0, count, 4096):
        n = min(4096, count - first)
        noise = draw.integers(0, 40, (n, SIDE, SIDE), dtype=np.uint8)
        images = objects[draw.integers(0, len(objects), n)] + noise
        out[first : first + n] = images.clip(0, 255).astype(out.dtype)
    if path.suffix != ".zarr":
        file.set_image_stack()
        file.voxel_size = 1.5
        file.close()


def versions(options: argparse.Namespace) -> dict[str, Any]:
    """Clusters and poses of 2,000 turned digits that are stored in four ways, beside those of other seeds."""
    import torch

    from eqvae.data import MNIST5k, RotatedShifted
    from eqvae.data.posing import pose_images

    source = MNIST5k().load()
    rows = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))[:2000]
    batch = pose_images(source, rows, RotatedShifted(size=40, shift_scale=2.0, max_shift=4.0))
    grey, labels = batch.image[:, 0].double().numpy(), batch.label.numpy()
    stored = {
        "uint8": (255 * grey).round().astype("u1"),
        "twelve_bits": (4095 * grey).round().astype("u2"),
        "white": 255 - (255 * grey).round().astype("u1"),
        "zscored": ((grey - grey.mean()) / grey.std()).astype("f4"),
    }
    for name, images in stored.items():
        np.savez(options.folder / f"{name}.npz", images=images, label=labels)

    def cell(name: str, seed: int) -> dict[str, np.ndarray]:
        run = options.folder / f"versions-{name}-{seed}"
        if not (run / "embedding" / "embedding.parquet").is_file():
            shutil.rmtree(run, ignore_errors=True)
            data = [f"data.source.path={options.folder / f'{name}.npz'}", "data.source.label=label"]
            script("train", "data=npz", *data, *QUIET, f"seed={seed}", f"run_dir={run}")
            ask = ["write=none", "averages=false", "clusters=10"]
            script("embed", f"ckpt={run}", *ask)
        return columns_of(run)

    cells = list(product(stored, options.seeds))
    with ThreadPoolExecutor(options.jobs) as pool:
        tables = dict(zip(cells, pool.map(lambda c: cell(*c), cells), strict=True))
    return compared(tables, list(stored), options.seeds, labels, batch.pose.numpy())


def compared(
    tables: dict[tuple[str, int], dict[str, np.ndarray]],
    names: list[str],
    seeds: list[int],
    labels: np.ndarray,
    true: np.ndarray,
) -> dict[str, Any]:
    """Of each version: accuracy of clusters, error of poses, and agreement with the first version."""
    from sklearn.metrics import adjusted_rand_score

    def agreement(a: tuple[str, int], b: tuple[str, int]) -> float:
        return adjusted_rand_score(tables[a]["cluster"], tables[b]["cluster"])

    found: dict[str, Any] = {"seeds": len(seeds)}
    for name in names:
        rows = [tables[name, seed] for seed in seeds]
        scores = {
            "ari": [adjusted_rand_score(labels, row["cluster"]) for row in rows],
            "angle_median": [angle_error(row, labels, true) for row in rows],
            "free_energy": [-float(row["log_likelihood"].mean()) for row in rows],
        }
        for key, values in scores.items():
            found[f"{name}_{key}"] = float(np.mean(values))
            found[f"{name}_{key}_std"] = float(np.std(values, ddof=1)) if len(seeds) > 1 else 0.0
        same = [agreement((name, s), (names[0], s)) for s in seeds]
        found[f"{name}_ari_with_{names[0]}_of_the_seed"] = float(np.mean(same))
    others = [agreement((names[0], a), (names[0], b)) for a in seeds for b in seeds if a < b]
    found["ari_between_seeds"] = float(np.mean(others)) if others else None
    return found


def columns_of(run: Path) -> dict[str, np.ndarray]:
    """The columns of a run's embedding."""
    from eqvae.embedding import Embedding

    table = Embedding.read(run / "embedding")
    return {name: table.column(name) for name in table.columns} | {"pose": table.pose.numpy()}


def angle_error(row: dict[str, np.ndarray], labels: np.ndarray, true: np.ndarray) -> float:
    """Median angle error in degrees, one frame for each class."""
    from eqvae.metrics.pose.error import pose_errors

    return pose_errors(row["pose"], true, classes=labels)["angle_median"].value


def star(options: argparse.Namespace) -> dict[str, Any]:
    """Particles with optics and as much noise as signal: from .mrcs and .star, and straight from memory."""
    recipe = ["image.radius=24", "model.prior.position_scale=2.0"]
    optics = ["data.source.defocus=[1.0,2.0]", "data.source.b_factor=0.0", "data.source.snr=1.0"]
    moved = ["data.pose.shift_scale=2.0", "data.pose.max_shift=4.0"]
    found: dict[str, Any] = {"seeds": len(options.seeds)}
    errors: dict[str, list[float]] = {"star": [], "memory": []}
    for seed in options.seeds:
        source = ["data=particles", "data.source.num_images=10000", *optics, *moved]
        source += [f"data.source.seed={seed}", f"data.pose.seed={seed}"]
        folder = options.folder / f"star-{seed}"
        labels, true = write_particles(source, folder)
        ways = {"memory": source, "star": ["data=star", f"data.source.path={folder / 'a.star'}"]}
        for name, data in ways.items():
            run = options.folder / f"star-{seed}-{name}"
            if not (run / "embedding" / "embedding.parquet").is_file():
                shutil.rmtree(run, ignore_errors=True)
                script("train", *data, *recipe, *QUIET, f"seed={seed}", f"run_dir={run}")
                script("embed", f"ckpt={run}", f"write={'star' if name == 'star' else 'none'}")
            errors[name].append(angle_error(columns_of(run), labels, true))
    for name, values in errors.items():
        found[f"{name}_angle_median"] = float(np.mean(values))
        found[f"{name}_angle_median_each"] = values
    return found


def write_particles(source: list[str], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Simulated particles as bright ones in a.mrcs and a.star; their classes and true motions."""
    import mrcfile
    import torch

    from eqvae.config import build, compose
    from eqvae.data.posing import pose_images

    folder.mkdir(parents=True, exist_ok=True)
    data = build(compose(source)["data"], path="data")
    images = data.source.load()
    batch = pose_images(images, torch.arange(len(images)), data.pose)
    if not (folder / "a.star").is_file():
        with mrcfile.new(folder / "a.mrcs", overwrite=True) as file:
            file.set_data((0.5 - batch.image[:, 0]).numpy())
            file.set_image_stack()
            file.voxel_size = data.source.pixel_size
        defocus = 1e4 * data.source._factors()[1].double()
        (folder / "a.star").write_text(star_text(defocus.tolist(), data.source))
    return batch.label.numpy(), batch.pose.numpy()


def star_text(defocus: list[float], source: Any) -> str:
    """Optics and particles as RELION 3.1 writes them; defoci in Angstrom."""
    optics = {
        "rlnOpticsGroup": 1,
        "rlnImagePixelSize": source.pixel_size,
        "rlnImageSize": source.size,
        "rlnVoltage": source.voltage,
        "rlnSphericalAberration": source.cs,
        "rlnAmplitudeContrast": source.amplitude_contrast,
    }
    rows = [f"{i + 1:06d}@a.mrcs {d:.2f} {d:.2f} 1" for i, d in enumerate(defocus)]
    particles = ("rlnImageName", "rlnDefocusU", "rlnDefocusV", "rlnOpticsGroup")
    lines = ["", "data_optics", "", "loop_"]
    lines += [f"_{name} #{i + 1}" for i, name in enumerate(optics)]
    lines += [" ".join(map(str, optics.values())), "", "data_particles", "", "loop_"]
    lines += [f"_{name} #{i + 1}" for i, name in enumerate(particles)]
    return "\n".join([*lines, *rows, ""])


if __name__ == "__main__":
    main()
