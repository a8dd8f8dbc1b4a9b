"""How many threads training takes, and how they wait for each other.

torch splits every operation among its threads and waits for the last of them, hundreds of times in a step of
the harmonic and pose models. By default OpenMP's threads spin while they wait, so that beside a busy core the
one that waits keeps the core that the late one needs. Threads that sleep instead (OMP_WAIT_POLICY=passive)
wake a little later and lose nothing else. Images of 50 pixels per second on two cores, from
`benchmarks/threads.py`:

                          harmonic              pose
                        quiet  one busy      quiet  one busy
    two that spin        1610       283       4043       524
    two that sleep       1425       871       3053      2107
    one                  1030      1144       3092      3207

So the commands have them sleep. That must be settled before torch is imported; a notebook that did not do so
trains small models on one thread. More than two threads bring small matrices nothing; convolutions and large
images gain from every one. Who sets OMP_NUM_THREADS or OMP_WAIT_POLICY is obeyed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_SMALL = 64  # side of an image, pixels: at 128 two threads are 1.7 times as fast as one


def sleep_while_waiting() -> None:
    """Have OpenMP's threads sleep while they wait, unless torch is imported, when it is too late."""
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextmanager
def threads_for(model: "nn.Module", size: int) -> Iterator[None]:
    """Inside, torch computes on as many threads as suit the training of a model on the CPU.

    A model without convolutions on images of at most 64 pixels takes two that sleep, or one if they would
    spin; all others take all. OMP_NUM_THREADS is obeyed where it is set.

    Args:
        model: what is trained.
        size: side of the images, pixels.
    """
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ and size <= _SMALL and not _convolves(model):
        sleep = os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"
        torch.set_num_threads(min(2 if sleep else 1, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _convolves(model: "nn.Module") -> bool:
    """Whether there is a convolution, torch's or escnn's: Conv2d, ConvTranspose2d, R2Conv, ..."""
    return any("Conv" in type(module).__name__ for module in model.modules())
