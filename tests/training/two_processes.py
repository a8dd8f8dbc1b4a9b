"""What each of two processes sees, started from `test_processes.py`: three runs.

The first is whole; in the second the last process alone is told to stop; the third goes on with the second.
What starts them is behind torchrun, which would let each of them import everything anew.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from eqvae.training.interruption import Interrupted
from eqvae.training.run import Run, train
from tests.training.runs import NO_PICTURES, resumed, tiny_run

HOW = [NO_PICTURES, "trainer.max_epochs=2", "trainer.devices=2", "data.source.num_images=133"]
IN_THE_MIDDLE = 3  # of the second epoch, which has as many batches for each of two processes


class Noted(pl.Callback):
    """Images of each epoch and of the test, a number drawn after each batch; and a signal, if asked for."""

    def __init__(self, stop_at: int | None = None):
        self.train: dict[int, list[int]] = {}
        self.test: list[int] = []
        self.drawn: list[float] = []
        self.stop_at = stop_at

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.train.setdefault(trainer.current_epoch, [])
        self.train[trainer.current_epoch] += batch.index.tolist()
        if trainer.global_step == self.stop_at and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_end(self, *_) -> None:
        with torch.random.fork_rng():
            self.drawn.append(float(torch.rand(1)))

    def on_test_batch_start(self, trainer, pl_module, batch, *_) -> None:
        self.test += batch.index.tolist()


def noted(run: Run, stop_at: int | None = None) -> dict:
    callback = Noted(stop_at)
    run.trainer.callbacks.insert(0, callback)
    found = {"stopped": None, "metrics": None}
    try:
        found["metrics"] = train(run)
    except Interrupted as stop:
        found["stopped"] = stop.signal
    sizes = {part: len(getattr(run.datamodule, part)) for part in ("train", "test")}
    return {
        **found,
        "train": list(callback.train.values()),
        "test": callback.test,
        "drawn": callback.drawn,
        "step": run.trainer.global_step,
        "sizes": sizes,
    }


def main(folder: Path) -> None:
    runs = [noted(tiny_run(folder / "whole", *HOW))]
    runs += [noted(tiny_run(folder / "parts", *HOW), stop_at=IN_THE_MIDDLE + 1)]
    runs += [noted(resumed(folder / "parts"))]
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(runs))


if __name__ == "__main__":
    standalone = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "two"}
    how = LaunchConfig(1, 1, nproc_per_node=2, start_method="fork", **standalone)
    elastic_launch(how, main)(Path(sys.argv[1]))
