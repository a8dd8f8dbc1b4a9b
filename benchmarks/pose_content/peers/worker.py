"""Run a worker script of a peer in the peer's own environment: arrays in, arrays out."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent


def run_worker(
    python: str | Path, script: str, settings: dict, threads: int, **arrays: np.ndarray
) -> dict[str, np.ndarray]:
    """What `python script given.npz found.npz settings` leaves in found.npz.

    Args:
        python: interpreter that has the peer's package.
        script: file in this folder.
        settings: numbers and strings for the worker.
        threads: for OpenMP and BLAS.
        arrays: for the worker.

    Raises:
        RuntimeError: if the worker fails, with the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, **arrays)
        command = [python, "-W", "ignore", FOLDER / script, given, found, json.dumps(settings)]
        limits = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)
        )
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env={**os.environ, **limits}
        )
        if done.returncode:
            raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
        with np.load(found) as stored:
            return dict(stored)
