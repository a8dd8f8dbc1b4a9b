"""`eqvae embed` as a user meets it: help, options, mistakes in one sentence, and what it writes."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from eqvae.cli.embed import FORMATS as FORMATS_OF_THE_COMMAND
from eqvae.cli.embed import main
from eqvae.config import CONFIG_DIR
from eqvae.embedding import Embedding
from eqvae.embedding.dataset import InOrder
from eqvae.embedding.files import PART, about_of
from eqvae.embedding.write import FORMATS

SCRIPT = CONFIG_DIR.parent / "scripts" / "embed.py"
STANDARD = {"embedding.parquet", "config.yaml", "manifest.json"}
FILES = STANDARD | {"embedding.csv"}
AVERAGES = {"averages.png", "averages.npz", "averages.mrcs", "averages.tiff", "frc.png"}


def run(*arguments: object) -> None:
    """The command within this process: importing torch anew takes most of its time."""
    main([str(argument) for argument in arguments])


def test_help_names_every_option_and_answers_without_torch():
    code = f"import runpy, sys; sys.argv = ['embed.py', '--help']; runpy.run_path({str(SCRIPT)!r}, None, "
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("ckpt=", "data=", "split=", "clusters=", "averages=", "batch=", "seed=", "out="):
        assert option in done.stdout


def test_results_are_written_beside_the_run_and_named(tiny_run, capsys):
    run(f"ckpt={tiny_run}", "clusters=3", "batch=50")
    out = tiny_run / "embedding"
    assert {f.name for f in out.iterdir()} == FILES | AVERAGES
    table = Embedding.read(out)
    assert table.column("index").tolist() == list(range(120))  # all splits, in the data's own order
    assert set(table.column("cluster")) <= {0, 1, 2}
    said = capsys.readouterr().out
    assert "120 images" in said
    for name in ("embedding.parquet", "averages.png", "frc.png"):
        assert str(out / name) in said.replace("\n", "")
    config = OmegaConf.load(out / "config.yaml")
    assert config.ckpt == str(tiny_run) and config.split == "all" and config.clusters == 3
    assert not (tiny_run / "wandb").exists()


def test_one_split_without_averages_has_the_labels_of_its_images(tiny_run, tmp_path):
    from eqvae.training.runs import subject_of

    run(f"ckpt={tiny_run}", "split=val", "averages=false", f"out={tmp_path / 'a'}")
    assert {f.name for f in (tmp_path / "a").iterdir()} == FILES
    table, val = Embedding.read(tmp_path / "a"), subject_of(tiny_run).data.val
    label = dict(zip(val.indices.tolist(), val.labels.tolist(), strict=True))
    assert table.column("index").tolist() == sorted(label)
    assert table.column("label").tolist() == [label[i] for i in sorted(label)]
    run(f"ckpt={tiny_run}", "split=val", "clusters=0", f"out={tmp_path / 'b'}")
    assert {f.name for f in (tmp_path / "b").iterdir()} == FILES  # nothing to average


def test_a_folder_of_files_keeps_their_names(tiny_run, tmp_path):
    draw = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in ("b", "a", "c"):
        pixels = draw.integers(0, 255, (33, 33)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    own = ["data=folder", f"data.source.path={tmp_path / 'images'}", "clusters=2"]
    run(f"ckpt={tiny_run}", *own, f"out={tmp_path / 'out'}")
    table = Embedding.read(tmp_path / "out")
    assert table.column("name").tolist() == ["a.png", "b.png", "c.png"]
    assert table.table.column("label").null_count == 3


def test_what_is_written_is_what_is_asked_for(tiny_run, tmp_path, capsys):
    assert set(FORMATS_OF_THE_COMMAND) == set(FORMATS)
    for write, files in {"none": set(), "[list, csv]": {"rows.txt", "embedding.csv"}}.items():
        out = tmp_path / write
        run(f"ckpt={tiny_run}", "split=val", "averages=false", f"write={write}", f"out={out}")
        assert {f.name for f in out.iterdir()} == STANDARD | files
        assert all(str(out / file) in capsys.readouterr().out for file in files & {"rows.txt"})
    rows = (out / "rows.txt").read_text().split()
    assert rows == list(map(str, Embedding.read(out).column("index")))


def test_stopping_keeps_what_is_done(tiny_run, tmp_path, monkeypatch, capsys):
    whole = InOrder.__iter__

    def stopped(self):
        for i, batch in enumerate(whole(self)):
            if i == 2:
                raise KeyboardInterrupt
            yield batch

    out = tmp_path / "out"
    how = (f"ckpt={tiny_run}", "batch=20", "averages=false", "write=none", f"out={out}")
    run(*how, "split=val", "clusters=2")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(InOrder, "__iter__", stopped)
        run(*how, "clusters=3")
    assert stop.value.code == 130
    assert "stopped; the rows that are done stay in" in capsys.readouterr().err
    after = {file.name: file.read_bytes() for file in out.iterdir()}
    assert after.pop(PART) and after == before
    run(*how, "clusters=3")
    assert len(Embedding.read(out)) > 40 and about_of(out)["clusters"] == 3
    assert {file.name for file in out.iterdir()} == STANDARD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ckpt={run}", "cluster=3"], "'cluster=3' is not an option: give KEY=VALUE with ckpt"),
        (["ckpt={run}", "all"], "'all' is not an option"),
        (["seed=3"], "ckpt must name one run folder or checkpoint.*got 0"),
        (["ckpt={run}", "ckpt={run}"], "ckpt must name one run.*got 2"),
        (["ckpt={run}/nowhere"], "nowhere does not exist"),
        (["ckpt={run}", "split=half"], "split must be one of all, train, val, test; got 'half'"),
        (["ckpt={run}", "averages=maybe"], "averages must be one of true, false; got 'maybe'"),
        (
            ["ckpt={run}", "write=[csv,xls]"],
            "write must be words out of parquet, csv, .*; got 'xls'",
        ),
        (["ckpt={run}", "write=none,csv"], "write=none stands alone; got none,csv"),
        (["ckpt={run}", "write=star"], "write=star needs the particles of a STAR file: data=star"),
        (["ckpt={run}", "clusters=-1"], "clusters must be a whole number >= 0; got '-1'"),
        (["ckpt={run}", "batch=0"], "batch must be a whole number >= 1; got '0'"),
        (["ckpt={run}", "seed=x"], "seed must be a whole number >= 0; got 'x'"),
        (["ckpt={run}", "data.pose.size=41"], "33 px; got 1 of 41 px"),
        (["ckpt={run}", "data=folder", "data.source.path=nowhere"], "there is no folder 'nowhere'"),
        (["ckpt={run}", "out={run}/metrics.json"], "metrics.json"),
        (["ckpt={run}", "out={run}/metrics.json/below"], "metrics.json"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence_and_exit_code_2(tiny_run, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run(*(argument.format(run=tiny_run) for argument in arguments))
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert re.search(message, said)
    assert not (tiny_run / "embedding").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_can_not_be_written_is_one_sentence(tiny_run, tmp_path, capsys):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(SystemExit) as stop:
        run(f"ckpt={tiny_run}", f"out={closed}")
    assert stop.value.code == 2 and "Permission denied" in capsys.readouterr().err
