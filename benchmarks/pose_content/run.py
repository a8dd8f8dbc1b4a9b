"""Pose and content, measured: one command, one committed results file, one suite or all of them.

    python benchmarks/pose_content/run.py --data FOLDER                 everything, some hours on two cores
    python benchmarks/pose_content/run.py --suites sprites --seeds 0    a part; what is there is kept

FOLDER holds MNIST/raw, nuclei.npz and galaxies.npz. Cells (a suite and a seed) run in processes of their
own with one thread. Finished cells are kept as benchmarks/results/pose_content/SUITE-SEED.json and not run
again; failed ones are named and tried at the next call. To measure all anew, name another --results.
Peers that need packages of their own come from an environment that `peers/environment.py` makes: name its
interpreter by --peer-python, or they are left out.

Writes benchmarks/results/pose_content.json, pose_content.md and pose_content.png.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEEDED = ("mnist_u", "mnist_2d", "sprites", "particles", "nuclei", "galaxies")
ALONE = ("mnist_quick", "throughput", "growth", "growth_images")  # timings: nothing beside them
COUNTS = (1_000, 10_000, 100_000, 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="data", help="folder with MNIST/raw and the .npz files")
    parser.add_argument("--suites", nargs="+", choices=(*SEEDED, *ALONE), default=[*SEEDED, *ALONE])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time, one thread each")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "pose_content", help="models"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--peer-python", help="interpreter of the peers' environment")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)  # suite, seed
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        run_cell(options)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.results / "pose_content").mkdir(parents=True, exist_ok=True)
    cells = [
        (suite, seed, 0) for seed in options.seeds for suite in options.suites if suite in SEEDED
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda cell: start(*cell, options), cells))
    for suite in options.suites:
        if suite == "growth_images":
            for count in options.counts:
                start(suite, 0, count, options)
        elif suite in ALONE:
            for seed in options.seeds if suite == "mnist_quick" else [0]:
                start(suite, seed, 0, options)
    sys.path.insert(0, str(HERE))
    from report import write_report

    write_report(options.results / "pose_content", options.results)


def cell_path(results: Path, suite: str, seed: int, count: int) -> Path:
    return results / "pose_content" / (f"{suite}-{count}.json" if count else f"{suite}-{seed}.json")


def start(suite: str, seed: int, count: int, options: argparse.Namespace) -> None:
    """Run a cell in a process of its own, unless its result is there."""
    path = cell_path(options.results, suite, seed, count)
    if path.is_file():
        return
    begin = time.monotonic()
    command = [sys.executable, "-W", "ignore", __file__, "--cell", suite, str(seed)]
    command += [
        "--data",
        str(Path(options.data).resolve()),
        "--folder",
        str(options.folder.resolve()),
    ]
    command += ["--results", str(options.results.resolve()), "--count", str(count)]
    if options.peer_python:
        command += ["--peer-python", options.peer_python]
    environment = {**os.environ, "OMP_NUM_THREADS": "2" if suite in ALONE else "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    spent = time.monotonic() - begin
    if done.returncode:
        print(f"{path.stem} FAILED after {spent:.0f} s:\n{done.stderr[-1500:]}", flush=True)
    else:
        print(f"{path.stem}: {spent:.0f} s", flush=True)


def run_cell(options: argparse.Namespace) -> None:
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    import suites
    import torch

    suite, seed = options.cell[0], int(options.cell[1])
    torch.set_num_threads(1)
    folder = options.folder / f"{suite}-{seed}-runs"
    begin = time.monotonic()
    found = getattr(suites, suite)(seed, folder, options)
    found["cell_seconds"] = time.monotonic() - begin
    path = cell_path(options.results, suite, seed, options.count)
    path.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
