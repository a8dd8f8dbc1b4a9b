"""`eqvae subset` as a user meets it, and that its script hides no module of Python's own."""

import re
import shutil
import subprocess
import sys

import mrcfile
import numpy as np
import pytest

from eqvae.cli.embed import main as embed
from eqvae.cli.subset import main
from eqvae.config import CONFIG_DIR
from eqvae.data import Cs
from eqvae.data.formats.star import StarFile
from eqvae.embedding import Embedding
from eqvae.symmetry.motions import shift_of
from tests.data.test_cs import written as written_cs
from tests.data.test_star import written

SCRIPTS = CONFIG_DIR.parent / "scripts"


def run(*arguments):
    main([str(argument) for argument in arguments])


def test_help_answers_without_torch():
    script = str(SCRIPTS / "subset.py")
    code = (
        f"import runpy, sys; sys.argv = [{script!r}, '--help']; runpy.run_path({script!r}, None, "
    )
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("table=", "clusters=", "min_probability=", "where=", "write=", "out="):
        assert option in done.stdout


def test_no_script_hides_a_module_of_python():
    """The folder of a script comes first where Python looks for modules."""
    assert not {file.stem for file in SCRIPTS.glob("*.py")} & set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def particles(_trained_run, tmp_path_factory):
    """A run's embedding of the particles of a STAR file, written as one."""
    folder = tmp_path_factory.mktemp("particles")
    star, _, _ = written(folder, size=33)
    data = ["data=star", f"data.source.path={star}", "clusters=2", "averages=false", "write=star"]
    embed([f"ckpt={_trained_run}", *data, f"out={folder / 'embedding'}"])
    (folder / "embedding" / "binary").write_bytes(b"\xff\xfe\x00")
    return folder


def test_a_subset_of_particles_is_a_star_file_of_them(particles, capsys):
    whole, folder = Embedding.read(particles / "embedding"), particles / "embedding"
    chosen = int(whole.column("cluster")[0])
    rows = np.flatnonzero(whole.column("cluster") == chosen)
    run(f"table={folder}", f"clusters=[{chosen}]", "write=[star,list,parquet,csv]")
    out = folder / "subset"
    assert f"{len(rows)} of 6 images" in capsys.readouterr().out
    before = StarFile.read(particles / "particles.star").tables["particles"]
    embedded = StarFile.read(folder / "particles.star").tables["particles"]
    after = StarFile.read(out / "particles.star").tables["particles"]
    for name in embedded.columns:
        assert after.text(name) == [embedded.text(name)[i] for i in rows]
    assert after.text("rlnMine") == [before.text("rlnMine")[i] for i in rows]
    assert (out / "rows.txt").read_text().splitlines() == after.text("rlnImageName")
    some = Embedding.read(out)
    assert some.table.equals(whole.table.take(rows)) and some.columns == whole.columns
    run(f"table={folder}", f"rows={out / 'rows.txt'}", "write=list", f"out={out / 'listed'}")
    assert (out / "listed" / "rows.txt").read_text() == (out / "rows.txt").read_text()
    (out / "numbers.txt").write_text("5\r\n1\r\n")
    run(f"table={folder}", f"rows={out / 'numbers.txt'}", "write=parquet", f"out={out / 'listed'}")
    assert Embedding.read(out / "listed").column("index").tolist() == [1, 5]
    run(f"table={out}", "where=index>=0", "write=star", f"out={out / 'again'}")
    again = StarFile.read(out / "again" / "particles.star")
    assert again.tables["particles"].words == after.words


def test_particles_that_moved_are_found_and_others_refused(particles, tmp_path, capsys):
    moved = tmp_path / "moved.star"
    shutil.copy(particles / "particles.star", moved)
    own = [f"table={particles / 'embedding'}", "where=index<2", "write=star", f"out={tmp_path}"]
    run(*own, f"data.source.path={moved}")
    assert len(StarFile.read(tmp_path / "particles.star").tables["particles"]) == 2
    moved.write_text(moved.read_text().replace("000002@", "000009@"))
    with pytest.raises(SystemExit):
        run(*own, f"data.source.path={moved}")
    assert "is not what was embedded: row 2 has 000009@Extract/a.mrcs" in capsys.readouterr().err


def test_particles_of_cryosparc_that_were_resampled_are_answered_in_their_own_pixels(
    _trained_run, tmp_path, capsys
):
    path, _, _ = written_cs(tmp_path, size=66)
    data = ["data=cs", f"data.source.path={path}", "data.canvas.size=33", "clusters=2"]
    embed([f"ckpt={_trained_run}", *data, "write=cs,h5ad", f"out={tmp_path / 'all'}"])
    assert "as cs:" in capsys.readouterr().out and (tmp_path / "all" / "embedding.h5ad").exists()
    with mrcfile.open(tmp_path / "all" / "averages.mrcs") as file:
        assert file.voxel_size.x == 3.0  # of 1.5 Angstrom, resampled by 2
    run(f"table={tmp_path / 'all'}", "where=index>=2", "write=cs", f"out={tmp_path / 'some'}")
    table, found = Embedding.read(tmp_path / "all"), Cs(str(tmp_path / "some" / "particles.cs"))
    poses, before = found.load().poses, np.load(path)
    assert np.load(found.path)["uid"].tolist() == before["uid"][2:].tolist()
    for i, axis in enumerate("xy"):
        expected = 2 * table.column(f"{axis}_pixels")[2:]
        np.testing.assert_allclose(shift_of(poses)[:, i], expected, atol=1e-4)
    assert found.load().labels is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clusters=1"], "give either ckpt=RUN_FOLDER or table=FOLDER"),
        (["table={t}", "ckpt={t}", "clusters=1"], "give either ckpt=RUN_FOLDER or table=FOLDER"),
        (["table={t}/nowhere", "clusters=1"], "embed the images first"),
        (["table={t}"], "say which images: clusters=, min_probability=, where= or rows="),
        (["table={t}", "clusters=one"], "clusters must be numbers of clusters"),
        (["table={t}", "clusters=9"], "clusters must be of those that the embedding has"),
        (["table={t}", "min_probability=2"], "min_probability must be a number from 0 to 1"),
        (["table={t}", "where=x>1"], "got 'x'"),
        (["table={t}", "where=index>9"], "none of the 6 images is left"),
        (
            ["table={t}", "rows={t}/nowhere.txt"],
            "rows must be a file that lists images; there is no",
        ),
        (["table={t}", "rows={t}/binary"], "rows must be a list in text"),
        (
            ["table={t}", "rows={t}/config.yaml"],
            "rows must list images of the embedding, by name or",
        ),
        (["table={t}", "where=index<9", "write=xls"], "write must be words out of parquet, .*list"),
        (["table={t}", "where=index<9", "write=cs"], "write=cs needs the particles of a .cs file"),
        (["table={t}", "where=index<9", "out={t}"], "out must be another folder"),
        (["table={t}", "where=index<9", "data/pose=rotated"], "data/pose can't change"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence_and_exit_code_2(particles, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run(*(argument.format(t=particles / "embedding") for argument in arguments))
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert re.search(message, said)
