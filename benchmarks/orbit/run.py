"""The orbit prior, measured: one command, one committed results file, one suite or all of them.

    python benchmarks/orbit/run.py --data FOLDER                    everything, hours on two cores
    python benchmarks/orbit/run.py --suites mnist5k --seeds 0       a part; what is there is kept

FOLDER holds MNIST/raw, nuclei.npz and galaxies.npz. Cells (a suite and a seed) run in processes of their own
with one thread. Finished cells are kept as benchmarks/results/orbit/SUITE-SEED.json and not run again; failed
ones are named and tried at the next call. Writes benchmarks/results/orbit.json: means over seeds, and
standard deviations under `<name>_std`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEEDED = ("mnist5k", "sprites", "sprites_pose", "sprites_noisy_pose", "mnist_u", "mnist_u_pose")
SEEDED += ("galaxies", "galaxies_pose", "nuclei", "nuclei_pose", "particles", "particles_pose")
SIDE_BY_SIDE = (("sprites", "coverage90"), ("mnist_u", "wrong_frame"))
ALONE = ("fit_seconds", "invariance")  # timings: nothing beside them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="data", help="folder with MNIST/raw and the .npz files")
    parser.add_argument("--suites", nargs="+", choices=(*SEEDED, *ALONE), default=[*SEEDED, *ALONE])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time, one thread each")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "orbit", help="models")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--counts", type=int, nargs="+", default=[4_000, 60_000, 1_000_000])
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)  # suite, seed
    options = parser.parse_args()
    (options.results / "orbit").mkdir(parents=True, exist_ok=True)
    if options.cell:
        run_cell(options)
        return
    cells = [(suite, seed) for seed in options.seeds for suite in options.suites if suite in SEEDED]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda cell: start(*cell, options), cells))
    for suite in options.suites:
        if suite in ALONE:
            start(suite, 0, options)
    write_summary(options.results)


def start(suite: str, seed: int, options: argparse.Namespace) -> None:
    """Run a cell in a process of its own, unless its result is there."""
    if (options.results / "orbit" / f"{suite}-{seed}.json").is_file():
        return
    begin = time.monotonic()
    command = [sys.executable, "-W", "ignore", __file__, "--cell", suite, str(seed)]
    for name in ("data", "folder", "results"):
        command += [f"--{name}", str(Path(getattr(options, name)).resolve())]
    command += ["--counts", *map(str, options.counts)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    spent = time.monotonic() - begin
    failed = f" FAILED\n{done.stderr[-1500:]}" if done.returncode else ""
    print(f"{suite}-{seed}: {spent:.0f} s{failed}", flush=True)


def run_cell(options: argparse.Namespace) -> None:
    """One suite with one seed, in this process."""
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    import suites
    import torch

    suite, seed = options.cell[0], int(options.cell[1])
    torch.set_num_threads(1)
    begin = time.monotonic()
    found = getattr(suites, suite)(seed, options.folder / f"{suite}-{seed}", options)
    found["cell_seconds"] = time.monotonic() - begin
    path = options.results / "orbit" / f"{suite}-{seed}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")


def write_summary(results: Path) -> None:
    """orbit.json: of each suite means over the seeds, standard deviations, and how many seeds."""
    cells: dict[str, list[dict[str, float]]] = {}
    for path in sorted((results / "orbit").glob("*-*.json")):
        cells.setdefault(path.stem.rsplit("-", 1)[0], []).append(json.loads(path.read_text()))
    summary: dict[str, dict[str, float]] = {}
    for suite, rows in cells.items():
        found = summary.setdefault(suite, {"seeds": len(rows)})
        for name in rows[0]:
            values = [row[name] for row in rows if name in row]
            found[name] = float(np.mean(values))
            if len(values) > 1:
                found[f"{name}_std"] = float(np.std(values, ddof=1))
    for suite, name in SIDE_BY_SIDE:  # both models in the table of the data
        for model, where in (("harmonic", suite), ("pose", f"{suite}_pose")):
            for end in ("", "_std"):
                value = summary.get(where, {}).get(f"{name}{end}")
                if value is not None:
                    summary[suite][f"{name}_{model}{end}"] = value
    (results / "orbit.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
