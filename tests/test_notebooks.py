"""Notebooks run from top to bottom in their fast mode, beside the source they were made of."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from eqvae.config import compose

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(source, tmp_path, monkeypatch):
    monkeypatch.setenv("EQVAE_FAST", "1")
    monkeypatch.setenv("EQVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", str(source.parents[1]))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3


def test_the_models_of_the_walk_share_one_latent():
    """With the settings of a real run too: the fast ones of the tests have a latent of their own."""
    text = NOTEBOOKS[0].read_text()
    settings = ast.literal_eval(re.search(r"^SETTINGS = (\[.*?\])$", text, re.M)[1])
    assert "experiment=smoke" not in settings
    own = compose([])["latent"]
    for choices in ([], ["model=plain"], ["model=plain", "objective=elbo_soft"]):
        assert compose([*choices, *settings])["latent"] == own


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_executed_notebook_has_the_cells_of_its_source(source):
    executed = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    cells = [(cell.cell_type, cell.source) for cell in executed.cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")
