"""Half an hour of everything, with faults at random: what survives, what is lost, and what leaks.

    python benchmarks/soak.py --minutes 30

Rounds of train, resume, embed and evaluate in processes of their own. Each may be hit: killed at a random
time or at a random file, its disk full, its last checkpoint cut short or gone, its memory limited. After
every round each file must be whole, and the run must end as one that was not hit. A second process trains,
embeds and loads over and over without any fault, and counts its memory and open files. Writes the key `soak`
of benchmarks/results/trust.json; what is there of others stays.
"""

import argparse
import collections
import gc
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CI"] = "1"

from forked import Ended, command, forked, killed_at, limited, names, parts_of, warm  # noqa: E402
from trust import SMALL, files_of, keep, results  # noqa: E402

EVALUATE = ["preset=fast", "suites=likelihood"]
EMBED = ["split=all", "clusters=3", "batch=50"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    warm()
    with tempfile.TemporaryDirectory(prefix="eqvae_soak_") as place:
        folder = Path(place)
        found = rounds(folder, options.minutes * 50, random.Random(options.seed))
        found |= leaks(folder, options.minutes * 10)
    found["minutes"] = options.minutes
    keep(options.results / "trust.json", "soak", found)
    print(json.dumps(found, indent=2))


def rounds(folder: Path, seconds: float, draw: random.Random) -> dict[str, Any]:
    """Rounds for so long; what became of them."""
    log, whole = folder / "log", folder / "whole"
    for ask in (
        command("train", *SMALL, f"run_dir={whole}"),
        command("embed", f"ckpt={whole}", *EMBED),
    ):
        done = forked(ask, log)
        if done.code:
            raise RuntimeError(done.said)
    took, expected = done.seconds, (results(whole), files_of(whole / "embedding"))
    counts, faults = collections.Counter(), []
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        run = folder / f"run{number % 2}"
        number += 1
        shutil.rmtree(run, ignore_errors=True)
        for attempt in range(6):  # the last one is not hit
            ask, hit = training(run), fault(draw, took) if attempt < 5 else {}
            counts[hit.pop("name", "none")] += 1
            done = forked(ask, log, **hit)
            faults += judged(done, run, hit)
            if done.code == 0:
                break
            if draw.random() < 0.3:
                counts[damaged(run, draw)] += 1
        if done.code or results(run) != expected[0]:
            faults.append(f"training ended otherwise: {done.said[-300:]}")
            counts["lost"] += 1
            continue
        for attempt in range(3):
            hit = fault(draw, took) if attempt < 2 else {}
            counts[hit.pop("name", "none")] += 1
            done = forked(command("embed", f"ckpt={run}", *EMBED), log, **hit)
            faults += judged(done, run, hit)
            if done.code == 0:
                break
        made = files_of(run / "embedding")
        same = {k for k in expected[1] if made.get(k) == expected[1][k]}
        if done.code or not {"embedding.csv"} <= same:
            faults.append(f"embedding ended otherwise: {done.said[-300:]}")
            counts["lost"] += 1
        done = forked(command("evaluate", f"ckpt={run}", *EVALUATE), log)
        faults += judged(done, run, {})
        counts["evaluations"] += 1
    hits = sum(n for name, n in counts.items() if name not in ("none", "lost", "evaluations"))
    return {
        "rounds": number,
        "faults_made": hits,
        "by_kind": dict(sorted(counts.items())),
        "lost": counts["lost"],
        "problems": len(faults),
        "first_problems": names(faults),
    }


def training(run: Path) -> Callable[[], None]:
    """Start it, or go on."""
    if any((run / "checkpoints").glob("*.ckpt")):
        return command("train", f"resume={run}")
    shutil.rmtree(run, ignore_errors=True)
    return command("train", *SMALL, f"run_dir={run}")


def fault(draw: random.Random, seconds: float) -> dict[str, Any]:
    """What a process is hit by, as arguments of `forked`."""
    kind = draw.choice(["kill", "write", "disk", "memory"])
    if kind == "kill":
        return {"name": kind, "kill_after": draw.uniform(0, 2 * seconds)}
    if kind == "write":
        return {"name": kind, "first": killed_at(draw.randint(1, 30))}
    if kind == "disk":
        return {"name": kind, "first": limited(int(10 ** draw.uniform(1, 5.5)))}
    return {"name": kind, "first": without_memory(draw.randint(8, 200))}


def without_memory(megabytes: int) -> Callable[[], None]:
    """It may take so much more than it has."""

    def limit() -> None:
        with open("/proc/self/statm") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + megabytes * 2**20, resource.RLIM_INFINITY))

    return limit


def damaged(run: Path, draw: random.Random) -> str:
    """Cut the last checkpoint short, or take it away, as long as another one is there."""
    last = run / "checkpoints" / "last.ckpt"
    if not (last.is_file() and (run / "checkpoints" / "best.ckpt").is_file()):
        return "none"
    if (run / "metrics.json").is_file():  # of a finished run that is refused, rightly
        return "none"
    if draw.random() < 0.5:
        last.unlink()
        return "checkpoint gone"
    with last.open("r+b") as file:
        file.truncate(draw.randint(0, last.stat().st_size - 1))
    return "checkpoint cut short"


def judged(done: Ended, run: Path, hit: dict[str, Any]) -> list[str]:
    """What must never be: a traceback, half a file, a failure without a fault."""
    found = [f"traceback: {done.said[-400:]}"] if done.traceback else []
    found += [f"hung: {done.said[-300:]}"] if done.hung else []
    if not hit and done.code:
        found.append(f"failed without a fault: {done.said[-300:]}")
    damaged_by_us = "last.ckpt"
    halves = parts_of(run) if run.exists() else []
    return found + [half for half in halves if damaged_by_us not in half]


def leaks(folder: Path, seconds: float) -> dict[str, Any]:
    """Memory and open files of one process that does the same again and again."""
    out = folder / "leaks.json"

    def again() -> None:
        import torch

        from eqvae.config import compose
        from eqvae.embedding import embed
        from eqvae.training.checkpoint import load_vae
        from eqvae.training.run import prepare, train

        seen, end = [], time.monotonic() + seconds
        while time.monotonic() < end or len(seen) < 6:
            run = folder / "again"
            shutil.rmtree(run, ignore_errors=True)
            config = compose(SMALL)
            config["name"] = "again"
            train(prepare(config, run))
            model = load_vae(run)
            channels, size, _ = model.image_shape
            embed(model, torch.rand(100, channels, size, size), clusters=2)
            gc.collect()  # models and trainers refer to each other: else they wait for Python to look
            with open("/proc/self/statm") as file:
                held = int(file.read().split()[1]) * resource.getpagesize() / 2**20
            seen.append((held, len(os.listdir("/proc/self/fd"))))
        out.write_text(json.dumps(seen))

    done = forked(again, folder / "log")
    if done.code:
        raise RuntimeError(done.said)
    seen = json.loads(out.read_text())
    warmed = seen[len(seen) // 3 :]
    return {
        "repetitions": len(seen),
        "megabytes_first": seen[0][0],
        "megabytes_after_a_third": warmed[0][0],
        "megabytes_last": warmed[-1][0],
        "megabytes_each": (warmed[-1][0] - warmed[0][0]) / max(1, len(warmed) - 1),
        "files_first": seen[0][1],
        "files_last": seen[-1][1],
    }


if __name__ == "__main__":
    main()
