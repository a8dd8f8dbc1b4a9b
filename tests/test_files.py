"""Files are whole under their names: errors, killed processes and two writers leave no half of one."""

import subprocess
import sys

import pytest

from eqvae.files import written


def test_a_file_stands_under_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with written(path) as partial:
        partial.write_text("new")
        assert not path.exists() and partial.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), written(path) as partial:
        partial.write_text("ne")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, sys; from eqvae.files import written\nwith written(sys.argv[1]) as partial:\n"
    )
    code += "    partial.write_text('ne'); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)
    assert done.returncode == -9 and path.read_text() == "old"
    assert [file.suffix for file in tmp_path.glob(".*")] == [".part"]
    assert list(tmp_path.glob("*.txt")) == [path]  # no pattern of the real name finds the half


def test_who_writes_nothing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError), written(tmp_path / "a.txt"):
        pass
