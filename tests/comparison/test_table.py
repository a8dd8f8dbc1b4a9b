"""Results are whole or not there, and a table from before counts."""

import json
from pathlib import Path

import pytest

from eqvae.comparison.table import COLUMNS, Results, read_table, write_table
from eqvae.files import write_whole

ROW = {
    "block": "scenarios",
    "arm": "hard",
    "scenario": "se2",
    "images": 100,
    "seed": 3,
    "elbo": 1.5,
}


def test_a_table_survives_the_disk(tmp_path):
    rows = [
        {**ROW, "status": "finished", "cell": "a"},
        {**ROW, "status": "diverged", "step": 7, "cell": "b"},
    ]
    write_table(rows, tmp_path / "t.parquet")
    again = read_table(tmp_path / "t.parquet")
    assert list(again[0]) == list(COLUMNS)
    assert again[0]["elbo"] == 1.5 and again[0]["step"] is None and again[1]["step"] == 7
    assert [row["cell"] for row in again] == ["a", "b"]
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"], "each table once"


def test_finished_and_diverged_cells_are_done_and_failed_ones_are_not(tmp_path):
    results = Results(tmp_path)
    for status in ("finished", "diverged", "failed"):
        results.put(status, {"status": status})
    assert [results.done(name) for name in ("finished", "diverged", "failed", "never")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_table_from_before_counts_and_newer_files_win(tmp_path):
    rows = [{**ROW, "status": s, "cell": s} for s in ("finished", "failed")]
    write_table(rows, tmp_path / "t.parquet")
    results = Results(tmp_path / "cells", tmp_path / "t.parquet")
    assert results.done("finished") and not results.done("failed")
    results.put("finished", {"status": "finished", "elbo": 9.0})
    assert results.get("finished")["elbo"] == 9.0


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "cell.json"
    write_whole(path, "{}")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, json.dumps({"status": "finished"}))
    assert path.read_text() == "{}" and list(tmp_path.iterdir()) == [path]
