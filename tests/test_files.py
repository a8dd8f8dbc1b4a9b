"""Files are whole under their names: errors, killed processes and two writers leave no half of one."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eqvae
from eqvae.files import check_listed, listed, write_manifest, write_whole, written, written_folder


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


def test_a_folder_takes_the_place_of_another_when_it_is_whole(tmp_path):
    place = tmp_path / "a"
    for content in ("old", "new"):
        with written_folder(place) as partial:
            (partial / "file").write_text(content)
            assert content == "old" or (place / "file").read_text() == "old"
    assert (place / "file").read_text() == "new" and list(tmp_path.iterdir()) == [place]
    with pytest.raises(KeyboardInterrupt), written_folder(place) as partial:
        raise KeyboardInterrupt
    assert (place / "file").read_text() == "new" and list(tmp_path.iterdir()) == [place]


def test_a_folder_that_was_put_aside_by_a_killed_process_comes_back(tmp_path):
    place = tmp_path / "a"
    with written_folder(place) as partial:
        (partial / "file").write_text("old")
    place.rename(tmp_path / ".a.before")  # where a process was killed between two names
    with pytest.raises(ValueError), written_folder(place):
        assert (place / "file").read_text() == "old"
        raise ValueError
    assert (place / "file").read_text() == "old"


def test_a_manifest_tells_a_file_from_another(tmp_path):
    for name in ("a", "b"):
        write_whole(tmp_path / name, name)
    check_listed(tmp_path / "a")  # there is no manifest
    write_manifest(tmp_path, ["a"])
    check_listed(tmp_path / "a")
    check_listed(tmp_path / "b")  # it is not listed
    assert set(listed(tmp_path)) == {"a"}
    write_whole(tmp_path / "a", "c")
    with pytest.raises(ValueError, match=r"a is not the file that manifest.json beside it lists"):
        check_listed(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": {"a": 1}}', "\x00"])
def test_a_damaged_manifest_is_one_sentence(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest.json is damaged .*Delete it"):
        listed(tmp_path)


def test_a_manifest_names_nothing_beyond_its_folder(tmp_path):
    text = '{"files": {"../a": {"sha256": ""}, "/etc/passwd": {"sha256": ""}}}'
    (tmp_path / "manifest.json").write_text(text)
    assert listed(tmp_path) == {}


_WHOLE = {
    "partial",
    "part",
    "file",
    "buffer",
}  # what is written to becomes a file later, or is in memory
_WRITERS = {
    *("write_text", "write_bytes", "save", "savefig", "imwrite", "to_csv"),
    *("savez", "savez_compressed"),
}


def in_place(code: str) -> list[str]:
    """Calls that write to something else than what a writer of whole files gives."""
    found = []
    for call in ast.walk(ast.parse(code)):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        mode = [a.value for a in call.args if isinstance(a, ast.Constant)]
        opened = call.func.attr == "open" and any(str(m)[:1] in "wax" for m in mode)
        names = {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
        if (call.func.attr in _WRITERS or opened) and not names & _WHOLE:
            found.append(ast.unparse(call))
    return found


def test_nothing_is_written_under_its_own_name():
    """The kind: a file that is written in place is half there when a process is killed."""
    assert in_place("(out / 'a.json').write_text(text)") == ["(out / 'a.json').write_text(text)"]
    assert in_place("path.open('w', newline='')") and not in_place("partial.open('w')")
    known = {
        "eqvae/export/graphs.py",  # into the folder that `written_folder` gives
        "eqvae/explore/page/make.py",
        "eqvae/explore/page/sheets.py",
        "eqvae/export/example.py",  # is copied for users
        "eqvae/embedding/stacks.py",  # the path is that of `written`
        "eqvae/explore/traversal.py",  # in memory
        "eqvae/explore/widget.py",
        "eqvae/cli/dashboard.py",  # on W&B
        "eqvae/files.py",
    }
    root = Path(eqvae.__file__).parents[1]
    found = {
        str(file.relative_to(root)): calls
        for file in sorted((root / "eqvae").rglob("*.py"))
        if (calls := in_place(file.read_text(encoding="utf-8")))
    }
    assert not {file: calls for file, calls in found.items() if file not in known}
