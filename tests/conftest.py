"""What all tests share: quiet, offline, on one thread, and one tiny trained run."""

import gc
import os
import shutil
import socket
from pathlib import Path

gc.disable()  # until all is imported, of which little is garbage
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when torch is imported
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "agg"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
for variable in ("WANDB_API_KEY", "EQVAE_DEBUG", "EQVAE_FAST", "EQVAE_RUNS"):
    os.environ.pop(variable, None)

import pytest  # noqa: E402
import torch  # noqa: E402

from tests.shared import made_once  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """What was imported stays, and the collector need not look through all of it again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 30)
    gc.enable()


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts with the same random numbers and leaves the default type as it was."""
    # torch.manual_seed would also format the stack three times, for devices that may come
    torch.default_generator.manual_seed(0)
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


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk():
    """No test cuts the power: what is written need not have reached the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def _trained_run(tmp_path_factory):
    return made_once(tmp_path_factory, "trained", _train) / "smoke" / "first"


def _train(folder: Path) -> None:
    from eqvae.config import compose
    from eqvae.training.run import prepare, train

    run = folder / "smoke" / "first"
    run.mkdir(parents=True)
    train(prepare(compose(["experiment=smoke", "logger=none"]), run))


@pytest.fixture
def tiny_run(_trained_run, tmp_path):
    """A run folder of `experiment=smoke`, a copy for each test: <tmp>/runs/smoke/first."""
    folder = tmp_path / "runs" / "smoke" / "first"
    shutil.copytree(_trained_run, folder)
    return folder
