"""What all tests share: quiet, offline, on one thread, and one tiny trained run."""

import os
import shutil
import socket
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when torch is imported
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "agg"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
for variable in ("WANDB_API_KEY", "EQVAE_DEBUG", "EQVAE_FAST", "EQVAE_RUNS"):
    os.environ.pop(variable, None)

import pytest  # noqa: E402
import torch  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts with the same random numbers and leaves the default type as it was."""
    torch.manual_seed(0)
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """A test that reaches out of this machine fails."""
    connect = socket.socket.connect

    def guarded(self, address):
        local = not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")
        if not local:
            raise AssertionError(f"a test must not use the network; it wanted {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def _trained_run(tmp_path_factory):
    from eqvae.config import compose
    from eqvae.training.run import prepare, train

    folder = tmp_path_factory.mktemp("runs") / "smoke" / "first"
    folder.mkdir(parents=True)
    train(prepare(compose(["experiment=smoke", "logger=none"]), folder))
    return folder


@pytest.fixture
def tiny_run(_trained_run, tmp_path):
    """A run folder of `experiment=smoke`, a copy for each test: <tmp>/runs/smoke/first."""
    folder = tmp_path / "runs" / "smoke" / "first"
    shutil.copytree(_trained_run, folder)
    return folder
