"""scripts/train.py as a user meets it: help, mistakes, Ctrl-C, and the command that continues."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eqvae.cli.console import pasted
from eqvae.cli.train import _shared_folder, main
from eqvae.config import CONFIG_DIR
from eqvae.training.checkpoint import read_checkpoint
from tests.training.runs import NO_PICTURES, TINY

ROOT = CONFIG_DIR.parent
COMMAND = [sys.executable, str(ROOT / "scripts" / "train.py")]
LAST = Path("checkpoints") / "last.ckpt"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["scripts/train.py"])


@pytest.fixture
def stopped(capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str]]:
    """Run the command within this process; its exit code and what it said on standard error."""

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        return stop.value.code, capsys.readouterr().err

    return run


def started(*arguments: str, **how) -> subprocess.Popen:
    """The command in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "EQVAE_DEBUG")}
    environment = {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*COMMAND, *arguments], env=environment, text=True, **how)


def wait_for(file: Path, process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + 100
    while not file.exists():
        alive = process is None or process.poll() is None
        assert alive and time.monotonic() < deadline, process and process.communicate()[1]
        time.sleep(0.05)


def test_help_answers_at_once_and_names_every_choice() -> None:
    began = time.monotonic()
    process = started("--help", stdout=subprocess.PIPE)
    said = process.communicate(timeout=60)[0]
    assert time.monotonic() - began < 2  # importing torch alone takes longer
    assert process.returncode == 0
    for file in CONFIG_DIR.glob("*/*.yaml"):
        assert (file.stem in said) == (file.name[0] != "_")
    assert f"python {COMMAND[1]} model=plain" in said


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("trainer.max_epoch=3", "max_epoch"),
        ("modle=plain", "modle"),
        ("model=plainn", "plainn"),
        ("model=[", "'model/['"),
        ("seed=1,2", "seed must have one value"),
        ("images.npz", "KEY=VALUE"),
    ],
)
def test_a_misspelt_key_or_choice_is_named(
    override: str, named: str, stopped: Callable, tmp_path: Path
) -> None:
    code, said = stopped(override)
    assert code == 2
    assert said.startswith("error: ") and named in said
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_one_sentence_and_exit_code_2(stopped: Callable, tmp_path: Path) -> None:
    code, said = stopped(*TINY, "+model.encoder.widht=3")
    assert code == 2
    assert said.startswith("error: model.encoder.widht is not an argument of")
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.glob("runs/*/*"))


def test_debugging_shows_the_traceback_of_a_misspelt_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.errors import ConfigCompositionException

    monkeypatch.setenv("EQVAE_DEBUG", "1")
    with pytest.raises(ConfigCompositionException, match="modle"):
        main(["modle=plain"])


def assert_told_how_to_go_on(said: str, folder: Path, script: str) -> None:
    assert "Traceback" not in said
    assert read_checkpoint(folder / LAST)["global_step"] > 0
    command = shlex.split(said.strip().splitlines()[-1])
    assert command == ["python", script, f"resume={folder}"]


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_the_command_that_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    how = [*TINY, NO_PICTURES, "trainer.max_epochs=100000", f"run_dir={folder}"]
    process = started(*how, stderr=subprocess.PIPE)
    wait_for(folder / LAST, process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGINT
    assert_told_how_to_go_on(said, folder, COMMAND[1])


@pytest.mark.slow
def test_a_stopped_run_goes_on(stopped: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "lr=0.1, (größe) it's"

    def stop() -> None:
        wait_for(folder / LAST)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    how = [*TINY, NO_PICTURES, "trainer.max_epochs=100000", f"run_dir={folder}"]
    code, said = stopped(*how)
    assert code == 128 + signal.SIGTERM
    assert_told_how_to_go_on(said, folder, "scripts/train.py")

    reached = read_checkpoint(folder / LAST)["global_step"]
    (printed,) = shlex.split(said.strip().splitlines()[-1])[2:]
    main([printed, f"trainer.max_epochs={reached // 4 + 2}"])
    assert (folder / "metrics.json").is_file()
    assert read_checkpoint(folder / LAST)["global_step"] > reached
    code, said = stopped(f"resume={folder}", "model=harmonic")
    assert code == 2
    assert "model can't change when a run is resumed" in said


@pytest.mark.parametrize("more", ["-m", "--cfg", "~callbacks.pictures", "images.npz"])
def test_with_resume_come_values_only(more: str, stopped: Callable) -> None:
    code, said = stopped("resume=runs/there", more)
    assert code == 2 and said.startswith("error: ") and len(said.strip().splitlines()) == 1


def test_a_run_that_is_not_there_can_not_be_resumed(stopped: Callable, tmp_path: Path) -> None:
    code, said = stopped("resume=runs/a=b, c", "trainer.max_epochs=3")
    assert code == 2 and "runs/a=b, c holds no config.yaml" in said
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_no_number_ends_in_a_sentence(stopped: Callable, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, said = stopped(*TINY, NO_PICTURES, "model=plain", "optimizer.lr=1e30", f"run_dir={run}")
    assert code == 1
    assert said.splitlines()[-1].startswith(
        "error: training diverged: the loss is not finite at step"
    )
    assert not (run / "metrics.json").exists()


def test_the_processes_of_a_run_share_its_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("EQVAE_RUN_FOLDER", "left by a run before")
    first = _shared_folder(Path("runs") / "name")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert _shared_folder(Path("runs") / "name") == first.resolve()
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert _shared_folder(Path("runs") / "name") != first


def test_the_processes_of_torchrun_share_a_folder_through_its_store(
    tmp_path: Path, monkeypatch
) -> None:
    from torch.distributed import TCPStore

    agent = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    known = {"RUN_ID": "a", "USE_AGENT_STORE": "True", "RESTART_COUNT": "0"}
    for name, value in known.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(agent.port))
    monkeypatch.chdir(tmp_path)
    folders = []
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        folders.append(_shared_folder(Path("runs") / "name"))
    assert len(set(folders)) == 1 and len(list((tmp_path / "runs" / "name").iterdir())) == 1
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    with pytest.raises(ValueError, match="run_dir must be given"):
        _shared_folder(Path("runs") / "name")


def test_a_command_that_is_printed_can_be_pasted() -> None:
    words = ["resume=a b", "x=it's", "y=$HOME", "z=größe"]
    assert shlex.split(pasted("train", *words)) == ["python", "scripts/train.py", *words]
