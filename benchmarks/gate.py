"""Files of a stranger, changed at random: what they could do, how long and how much memory reading took.

    python benchmarks/gate.py --count 10000 --values 4000

Configurations, checkpoints, archives and images by turns, read as the commands read them, with an audit hook
that counts commands, connections and files written outside the run folder; then random values for the keys
of every family, each of which is refused or trains a finite step. Writes the key `gate` of
benchmarks/results/trust.json; what is there of others stays. One process, one thread.
"""

import argparse
import collections
import io
import json
import logging
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from eqvae.config import fill_data  # noqa: E402
from eqvae.training.run import train  # noqa: E402
from tests import mutations, strangers, values  # noqa: E402
from tests.training.runs import NO_PICTURES, tiny_config, tiny_run  # noqa: E402

HANGS = 10  # seconds
KINDS = ("configuration", "text of a configuration", "checkpoint", "archive", "PNG", "JPEG", "TIFF")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="files")
    parser.add_argument("--values", type=int, default=4_000, help="values of configurations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "files": files(options.count, options.seed, Path(folder)),
            "values": random_values(options.values, options.seed, Path(folder)),
        }
    path = options.results / "trust.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known["gate"] = {**known.get("gate", {}), **found}
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    print(json.dumps(found, indent=2, sort_keys=True))


def files(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """What became of changed files."""
    draw, wholes = random.Random(seed), _wholes(folder)
    place = folder / "read"
    place.mkdir()
    _read_all_once(wholes, place)
    before, slowest = _peak(), 0.0
    ends: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    signal.signal(signal.SIGALRM, _stop)
    began = time.monotonic()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        read, path, content = _changed(kind, wholes, draw, place)
        path.write_bytes(content)
        since = time.monotonic()
        signal.alarm(3 * HANGS)
        with strangers.watched(place) as done:
            try:
                said = mutations.outcome(read, place if "configuration" in kind else path)
                ends["read" if said == "read" else "refused"] += 1
            except Exception as error:
                ends["traceback"] += 1
                faults.append(f"{number} {kind}: {type(error).__name__}: {str(error)[:200]}")
        signal.alarm(0)
        slowest = max(slowest, time.monotonic() - since)
        ends["hangs"] += time.monotonic() - since > HANGS
        commands = [d for d in done if d.startswith(strangers._ACTS + strangers._NETWORK)]
        ends["commands"] += len(commands)
        ends["written outside"] += len(done) - len(commands)
        path.unlink()
    names = ("read", "refused", "traceback", "hangs", "commands", "written outside")
    return {
        "count": count,
        **{name.replace(" ", "_"): ends[name] for name in names},
        "faults": faults[:20],
        "slowest_seconds": round(slowest, 2),
        "seconds": round(time.monotonic() - began),
        "peak_mib_before": before >> 20,
        "peak_mib_after": _peak() >> 20,
    }


def _wholes(folder: Path) -> dict[str, Any]:
    run = folder / "run"
    train(tiny_run(run, "model=plain", NO_PICTURES, "prior=normal"))
    pixels = np.arange(625, dtype=np.uint8).reshape(25, 25)
    found: dict[str, Any] = {"checkpoint": (run / "checkpoints" / "best.ckpt").read_bytes()}
    for kind in ("PNG", "JPEG", "TIFF"):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind)
        found[kind] = out.getvalue()
    out = io.BytesIO()
    np.savez(out, images=np.stack([pixels, pixels.T, pixels[::-1], pixels.T[::-1]]))
    found["archive"] = out.getvalue()
    found["configuration"] = fill_data(tiny_config("model=plain"), (1, 28, 28), 80)
    return found


def _read_all_once(wholes: dict[str, Any], place: Path) -> None:
    """What is imported at the first reading is no part of the memory of others."""
    for kind in ("checkpoint", "archive", "PNG", "JPEG", "TIFF"):
        read, path, _ = _changed(kind, wholes, random.Random(0), place)
        path.write_bytes(wholes[kind])
        mutations.outcome(read, path)
        path.unlink()


def _changed(kind: str, wholes: dict[str, Any], draw: random.Random, place: Path) -> tuple:
    if kind == "configuration":
        content = mutations.dumped(mutations.mutated_config(wholes[kind], draw))
        return mutations.read_config, place / "config.yaml", content
    if kind == "text of a configuration":
        content = mutations.mutated(mutations.dumped(wholes["configuration"]), draw)
        return mutations.read_config, place / "config.yaml", content
    content = wholes[kind]
    if kind == "checkpoint":
        part = draw.choice((content[:20_000], content[-20_000:], content))
        changed = mutations.mutated(part, draw)
        content = content.replace(part, changed) if len(part) < len(content) else changed
        return mutations.read_checkpoint, place / "best.ckpt", content
    suffix = "npz" if kind == "archive" else kind.lower()
    return mutations.read_images, place / f"a.{suffix}", mutations.mutated(content, draw)


def random_values(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """What became of random values; every accepted one of a part that a step has takes one."""
    ends: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    began = time.monotonic()
    for number, config in enumerate(values.configurations()):
        whole = values.made_part(config, "data", folder)
        each = count // len(values.CHOICES)
        for key, value, changed in values.fuzzed(config, each, seed=1000 * seed + number):
            told = f"{key}={str(value)[:40]!r} of {values.CHOICES[number][0]}"
            try:
                part = values.made_part(changed, key.split(".")[0], folder)
            except (ValueError, TypeError, OSError) as error:
                ends["refused"] += 1
                if "\n" in str(error) or len(str(error)) > 700:
                    faults.append(f"{told}: no sentence: {str(error)[:200]}")
                continue
            except Exception as error:
                faults.append(f"{told}: {type(error).__name__}: {str(error)[:200]}")
                continue
            try:
                finite = values.trained_step(changed, part if key.startswith("data.") else whole)
                ends["accepted"] += 1
                if not finite:
                    faults.append(f"{told}: the step is not finite")
            except ValueError:
                ends["refused_at_the_first_images"] += 1
            except Exception as error:
                faults.append(f"{told}: in its step {type(error).__name__}: {str(error)[:200]}")
    return {
        "count": each * len(values.CHOICES),
        **ends,
        "faults": faults[:20],
        "fault_count": len(faults),
        "seconds": round(time.monotonic() - began),
    }


def _stop(*_: Any) -> None:
    raise TimeoutError("reading hangs")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
