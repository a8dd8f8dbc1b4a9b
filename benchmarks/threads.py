"""What a busy second core costs training: by model, number of threads, and how threads wait.

    python benchmarks/threads.py        about two minutes; needs two quiet cores

Every figure is measured in a process of its own, since how OpenMP's threads wait is settled before torch is
imported: first alone, then beside a process that keeps one core busy. "ours" is what training takes itself,
see `eqvae.threads`. Writes benchmarks/results/threads.json.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
FAMILIES = ("harmonic", "pose", "plain")
WAYS = {  # what the environment says
    "torch's default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "ours": {"OMP_WAIT_POLICY": "passive"},
}
SECONDS = 4.0


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(rates(sys.argv[1] == "ours", sys.argv[2].split(","))))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    for way, settings in WAYS.items():
        results[way] = {"quiet": measured(way, settings)}
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            results[way]["busy"] = measured(way, settings)
        finally:
            busy.kill()
            busy.wait()
        print(way, json.dumps(results[way]), flush=True)
    about = {"cores": os.cpu_count(), "unit": "images/s, batches of 128 of 50 px"}
    (RESULTS / "threads.json").write_text(json.dumps({**about, **results}, indent=2) + "\n")


def measured(way: str, settings: dict[str, str]) -> dict[str, float]:
    """Images per second by family, in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    call = [sys.executable, "-W", "ignore", __file__, way, ",".join(FAMILIES)]
    done = subprocess.run(
        call, env=kept | settings, capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout.splitlines()[-1])


def rates(ours: bool, families: list[str]) -> dict[str, float]:
    import contextlib

    import torch

    from eqvae.config import build, compose
    from eqvae.data.batch import Batch
    from eqvae.threads import threads_for

    found = {}
    batch = Batch(torch.rand(128, 1, 50, 50))
    for family in families:
        config = compose([f"model={family}"], image_shape=(1, 50, 50))
        model, objective = build(config["model"]), build(config["objective"])
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        with threads_for(model, 50) if ours else contextlib.nullcontext():
            times, begin = [], time.perf_counter()
            while time.perf_counter() - begin < SECONDS or len(times) < 3:
                start = time.perf_counter()
                optimizer.zero_grad()
                objective(model, batch, 0)[0].backward()
                optimizer.step()
                times.append(time.perf_counter() - start)
        found[family] = round(len(batch) / statistics.median(times), 1)
    return found


if __name__ == "__main__":
    main()
