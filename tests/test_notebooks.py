"""Notebooks run from top to bottom in their fast mode, beside the source they were made of."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

from eqvae.config import compose

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


CLEAN = "%reset -f"  # names are forgotten; what was imported stays, which takes seconds in each new kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel for one notebook after the other, and the folder that it works in."""
    folder = tmp_path_factory.mktemp("notebooks")
    paths = {"EQVAE_RUNS": folder / "runs", "PYTHONPATH": NOTEBOOKS[0].parents[1]}
    paths["JUPYTER_RUNTIME_DIR"] = folder / "jupyter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQVAE_FAST", "1")
        for name, path in paths.items():
            patch.setenv(name, str(path))
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel(cwd=str(folder))
        yield manager, folder
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(source, kernel):
    manager, folder = kernel
    notebook = jupytext.read(source)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(CLEAN))
    NotebookClient(
        notebook, km=manager, timeout=None, resources={"metadata": {"path": str(folder)}}
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
