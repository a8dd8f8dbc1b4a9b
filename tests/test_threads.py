"""Threads: few for small matrices, all for convolutions and large images, and the user's word counts."""

import os
import subprocess
import sys
from functools import cache

import pytest
import torch

from eqvae.config import build, compose
from eqvae.threads import sleep_while_waiting, threads_for


@pytest.fixture(params=["passive", None])
def waiting(request, monkeypatch):
    """torch on four threads, as nobody asked for a number; how they wait."""
    for variable in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(variable, raising=False)
    if request.param:
        monkeypatch.setenv("OMP_WAIT_POLICY", request.param)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield request.param
    torch.set_num_threads(before)


@cache
def made(model: str) -> torch.nn.Module:
    return build(compose([f"model={model}"], image_shape=(1, 33, 33))["model"], path="model")


@pytest.mark.parametrize("model", ["harmonic", "pose"])
def test_small_matrices_take_two_threads_that_sleep_or_one_that_spins(model, waiting):
    with threads_for(made(model), 64):
        assert torch.get_num_threads() == (2 if waiting else 1)
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("model", ["plain", "steerable", "canonicalised"])
def test_convolutions_take_all(model, waiting):
    with threads_for(made(model), 33):
        assert torch.get_num_threads() == 4


def test_large_images_take_all(waiting):
    with threads_for(made("harmonic"), 65):
        assert torch.get_num_threads() == 4


def test_no_thread_is_added(waiting):
    torch.set_num_threads(1)
    with threads_for(made("harmonic"), 33):
        assert torch.get_num_threads() == 1


def test_what_the_user_sets_counts(waiting, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with threads_for(made("harmonic"), 33):
        assert torch.get_num_threads() == 4


def test_an_interrupted_training_puts_the_number_back(waiting):
    with pytest.raises(KeyboardInterrupt), threads_for(made("harmonic"), 33):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 4


def test_nothing_is_claimed_once_torch_is_there(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    sleep_while_waiting()
    assert "OMP_WAIT_POLICY" not in os.environ


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
