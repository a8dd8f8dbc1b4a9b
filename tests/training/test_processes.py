"""One run in two processes: each image once, other noise, one log, and all stop where one is told to."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import made_once
from tests.training.test_run import comparable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list, list]:
    """The folder, and what each process has seen of three runs; all of it in one start of two processes."""
    folder = made_once(tmp_path_factory, "processes", _run)
    return folder, *(json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))


def _run(folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CI": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.two_processes", str(folder)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_image_comes_twice_in_an_epoch_and_every_test_image_comes_once(seen):
    _, first, second = seen
    a, b = first[0], second[0]
    for mine, theirs in zip(a["train"], b["train"], strict=True):
        assert len(mine) == len(theirs) == a["sizes"]["train"] // 2
        assert len({*mine, *theirs}) == 2 * len(mine)
    assert a["train"][0] != a["train"][1]
    assert len({*a["test"], *b["test"]}) == len(a["test"]) + len(b["test"]) == a["sizes"]["test"]
    assert a["sizes"]["train"] % 2 == a["sizes"]["test"] % 2 == 1 or a["sizes"]["train"] > 100


def test_each_process_draws_its_own_noise_and_both_report_one_result(seen):
    _, first, second = seen
    assert len(first[0]["drawn"]) == len(second[0]["drawn"]) > 4
    assert not set(first[0]["drawn"]) & set(second[0]["drawn"])
    same = ("val/elbo", "test/elbo", "test/loss")
    assert [first[0]["metrics"][n] for n in same] == [second[0]["metrics"][n] for n in same]


def test_a_signal_to_one_of_them_stops_both_at_one_batch_and_the_run_goes_on_exactly(seen):
    folder, first, second = seen
    assert first[1]["stopped"] == second[1]["stopped"] == signal.SIGTERM
    assert first[1]["step"] == second[1]["step"] > 0
    assert first[2]["stopped"] is None and first[2]["step"] == first[0]["step"]
    for one in (first, second):
        assert comparable(one[2]["metrics"]) == comparable(one[0]["metrics"])
        assert one[1]["drawn"] + one[2]["drawn"] == one[0]["drawn"]
    tables = [(folder / name / "metrics.csv").read_bytes() for name in ("whole", "parts")]
    assert tables[0] == tables[1]
