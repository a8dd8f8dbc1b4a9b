"""How many threads training takes, and how they wait for each other.

torch splits every operation among its threads and waits for the last of them, hundreds of times in a step of
the harmonic and pose models. Two things follow on a machine whose other core is busy with something else:

- OpenMP's threads spin while they wait, so the waiting one keeps the core that the late one needs. Threads
  that sleep instead (OMP_WAIT_POLICY=passive) lose a share of the core, not factors of 3 to 20.
- For the small matrices of these models a second thread costs about as much in waiting as it saves in work,
  even on quiet cores, so they train on one. Convolutions gain nearly a factor of two from it and keep all.

`benchmarks/threads.py` measures both. Who sets OMP_NUM_THREADS or OMP_WAIT_POLICY is obeyed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def sleep_while_waiting() -> None:
    """Have OpenMP's threads sleep while they wait; must come before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextmanager
def threads_for(model: "nn.Module") -> Iterator[None]:
    """Inside, torch computes on as many threads as suit the training of a model on the CPU.

    One for a model without convolutions, all for others; as many as OMP_NUM_THREADS says where it is set.
    """
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ and not _convolves(model):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _convolves(model: "nn.Module") -> bool:
    """Whether there is a convolution, torch's or escnn's: Conv2d, ConvTranspose2d, R2Conv, ..."""
    return any("Conv" in type(module).__name__ for module in model.modules())
