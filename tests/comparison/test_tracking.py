"""Cells in Weights & Biases, offline: one run each, and online only with an account."""

import pytest
from PIL import Image

from eqvae.comparison.tracking import log_cell, log_page

CELL = {"arm": "hard", "scenario": "se2", "seed": 0}


@pytest.fixture(autouse=True)
def _no_account(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_cell_is_one_offline_run_that_names_its_group(tmp_path):
    row = {"elbo": 1.5, "dial": None, "status": "finished"}
    log_cell(tmp_path, "atlas_smoke", "hard-se2-s0", CELL, row, "offline")
    (file,) = (tmp_path / "wandb" / "hard-se2-s0").glob("wandb/offline-run-*/run-*.wandb")
    text = file.read_bytes()
    for known in (b"atlas_smoke", b"hard-se2-s0", b"elbo"):
        assert known in text


def test_disabled_writes_no_run(tmp_path):
    log_cell(tmp_path, "atlas_smoke", "hard-se2-s0", CELL, {"elbo": 1.5}, "disabled")
    assert not list(tmp_path.rglob("*.wandb"))


def test_online_needs_an_account(tmp_path):
    with pytest.raises(ValueError, match="needs a Weights & Biases account"):
        log_cell(tmp_path, "atlas_smoke", "hard-se2-s0", CELL, {"elbo": 1.5}, "online")


def test_the_page_and_its_figures_are_one_offline_run(tmp_path):
    page = tmp_path / "atlas" / "atlas.html"
    page.parent.mkdir()
    page.write_text("<p>the page</p>")
    for name in ("gaps", "data_se2", "other"):
        Image.new("RGB", (4, 4)).save(page.with_name(f"{name}.png"))
    log_page(tmp_path, "atlas_smoke", page, "offline")
    names = {file.name.split("_")[0] for file in tmp_path.rglob("wandb/**/media/images/*.png")}
    assert names == {"gaps", "data"}
    assert list(tmp_path.rglob("wandb/**/media/html/*.html"))
