"""Threads: one for small matrices, all for convolutions, and the user's word counts."""

import os
import subprocess
import sys

import pytest
import torch

from eqvae.config import build, compose
from eqvae.threads import threads_for


@pytest.fixture
def two_threads(monkeypatch):
    """torch on two threads, as nobody asked for a number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def made(model: str) -> torch.nn.Module:
    return build(compose([f"model={model}"], image_shape=(1, 33, 33))["model"], path="model")


@pytest.mark.parametrize(
    ("model", "threads"),
    [("harmonic", 1), ("pose", 1), ("plain", 2), ("steerable", 2), ("canonicalised", 2)],
)
def test_small_matrices_train_on_one_thread(model, threads, two_threads):
    with threads_for(made(model)):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_what_the_user_sets_counts(two_threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with threads_for(made("harmonic")):
        assert torch.get_num_threads() == 2


def test_an_interrupted_training_puts_the_number_back(two_threads):
    with pytest.raises(KeyboardInterrupt), threads_for(made("harmonic")):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("set_by_user", "expected"), [(None, "passive"), ("active", "active")])
def test_every_command_has_its_threads_sleep_before_torch_comes(set_by_user, expected):
    look = (
        "import os, sys; import eqvae.cli.main; "
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {} if set_by_user is None else {"OMP_WAIT_POLICY": set_by_user}
    done = subprocess.run(
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected, "False"]
