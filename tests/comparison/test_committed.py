"""The tables in benchmarks/results are those of today's designs, each is kept once, and makes its page."""

import importlib.util
import shutil

import pytest

from eqvae.comparison.design import Design
from eqvae.comparison.plan import Plan
from eqvae.comparison.table import COLUMNS, read_table
from eqvae.config import CONFIG_DIR, compose

BENCHMARKS = CONFIG_DIR.parent / "benchmarks"
TABLES = sorted((BENCHMARKS / "results").rglob("atlas_*.parquet"))


def test_only_tables_are_kept():
    assert [table.stem for table in TABLES if table.stem != "atlas_full"] == [
        *("atlas_laptop", "atlas_real", "atlas_sprites"),
    ]
    ignored = (BENCHMARKS.parent / ".gitignore").read_text().splitlines()
    assert "/benchmarks/results/**/atlas_*/" in ignored


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_a_design_goes_on_from_its_committed_table(table, tmp_path):
    assert list(read_table(table)[0]) == list(COLUMNS)
    design = Design(**compose([f"experiment={table.stem}"], name="compare")["atlas"])
    plan = Plan(design, tmp_path, table)
    plan.refuse_other_designs()
    if table.stem == "atlas_full":  # of which a part was run
        arms = {row["arm"] for row in read_table(table)}
        assert plan.pending(design.part({"arms": sorted(arms)}).trials()) == []
        return
    assert plan.pending(design.trials()) == []
    cells = [cell for _, cell in design.cells(plan.rates())]
    assert plan.pending(cells) == [], "nothing is left to train"
    assert plan.rows() == read_table(table)


def test_one_command_makes_the_pages(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("pages", BENCHMARKS / "pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    (tmp_path / "real").mkdir()
    real = next(table for table in TABLES if table.stem == "atlas_real")
    shutil.copy(real, tmp_path / "real")
    shutil.copy(BENCHMARKS / "results" / "metrics.json", tmp_path)
    pages.main([str(tmp_path)])
    page = tmp_path / "real" / "atlas_real" / "atlas.html"
    assert capsys.readouterr().out == f"{tmp_path / 'metrics.md'}\n{page}\n"
    assert "|" in (tmp_path / "metrics.md").read_text()
    assert "Hard or soft: atlas_real" in page.read_text(encoding="utf-8")
    assert (page.parent / "atlas.json").is_file() and (page.parent / "gaps.png").is_file()
