"""Everything that is said of three dimensions, measured: groups, pose search, docking, SE(3)-VAE, energies.

    python benchmarks/three.py [parts=docking,vae] [processes=2]

Each part is a file of benchmarks/three_parts that runs alone too. The first run makes frames of ethanol (two
minutes) and fetches the conformations of adenylate kinase with pip (60 MB); both are kept. Parts that are not
asked for keep their numbers in benchmarks/results/three.json.
"""

import importlib
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from eqvae.files import write_whole

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "three.json"
PARTS = (
    "energy",
    "vae",
    "conformers",
    "docking",
    "rotations",
    "handedness",
    "groups",
)  # the long ones first
ALONE = {"docking": {"processes": 1}}  # parts that would start processes of their own


def measured(part: str) -> tuple[dict[str, Any], float]:
    """What a part finds, and its seconds."""
    import torch

    torch.set_num_threads(1)
    begin = time.monotonic()
    sys.path.insert(0, str(HERE / "three_parts"))  # as for a part that runs alone
    found = importlib.import_module(part).measure(**ALONE.get(part, {}))
    return found, time.monotonic() - begin


def measure(parts: tuple[str, ...], processes: int) -> tuple[dict[str, Any], list[str]]:
    """Parts by name, each with its rows and seconds, and what failed; told as they end."""
    found, failed = {}, []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(measured, part): part for part in parts}
        for done in as_completed(running):
            part = running[done]
            try:
                values, seconds = done.result()
            except Exception as error:  # of data that are not there, or a package; the others go on
                failed.append(f"{part}: {error}")
                print(f"{part} failed: {error}", file=sys.stderr, flush=True)
                continue
            found[part] = values | {"seconds": round(seconds, 1)}
            print(f"{part}: {seconds:.0f} s", flush=True)
    return found, failed


def main() -> None:
    given = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    parts = tuple(given.get("parts", ",".join(PARTS)).split(","))
    unknown = [*(set(given) - {"parts", "processes"}), *(set(parts) - set(PARTS))]
    if unknown:
        sys.exit(f"error: {unknown[0]!r} is no part or option; parts: {', '.join(PARTS)}.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes, which share the cores
    begin, known = time.monotonic(), {}
    if RESULTS.is_file():
        known = json.loads(RESULTS.read_text(encoding="utf-8"))["parts"]
    found, failed = measure(parts, int(given.get("processes", 2)))
    values = {part: (known | found)[part] for part in PARTS if part in known | found}
    seconds = round(time.monotonic() - begin, 1)
    result = {"command": "python benchmarks/three.py", "measured": parts, "seconds": seconds}
    write_whole(RESULTS, json.dumps(result | {"parts": values}, indent=1) + "\n")
    print(f"{RESULTS}: {seconds:.0f} s")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
