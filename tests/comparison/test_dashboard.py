"""Dashboards as code: every panel reads a column that the cells have, and serialises without an account."""

import json

from eqvae.comparison.dashboard import ALIKE, SCORES, TRADEOFFS, report, sections, workspace
from eqvae.comparison.table import COLUMNS
from eqvae.comparison.tracking import MEDIA

PLACE = ("team", "eqvae", "atlas_smoke")


def test_panels_read_what_cells_log():
    assert set(ALIKE) - {"tuning"} <= set(COLUMNS)
    axes = [name.removeprefix("config.") for pair in TRADEOFFS.values() for name in pair]
    assert {*axes, *(name for names in SCORES.values() for name in names)} <= set(COLUMNS)


def test_the_workspace_serialises_with_its_runs_grouped_by_arm():
    view = json.loads(workspace(*PLACE)._to_model().model_dump_json(by_alias=True))
    text = json.dumps(view)
    for name in (*SCORES, *(title for title in TRADEOFFS), *MEDIA, "atlas_smoke"):
        assert name in text, name
    keys = [g["name"] for g in view["spec"]["section"]["runSets"][0]["grouping"]]
    assert [key.removesuffix(".value") for key in keys] == ["images", "place"]


def test_the_report_tells_the_sentences_and_holds_every_section():
    import wandb_workspaces.reports.v2 as wr

    blocks = report(*PLACE, {"In short": ["hard wins by 3 nats"]}).blocks
    grids = [b for b in blocks if isinstance(b, wr.PanelGrid)]
    titles = [b.text for b in blocks if isinstance(b, wr.H2)]
    assert titles == ["In short", *sections()] and len(grids) == len(sections())
    (told,) = (b for b in blocks if isinstance(b, wr.UnorderedList))
    assert told.items == ["hard wins by 3 nats"]
    for grid, panels in zip(grids, sections().values(), strict=True):
        (runs,) = grid.runsets  # to serialise them asks for an account
        assert "atlas_smoke" in str(runs.filters)
        means = any(isinstance(panel, wr.BarPlot) for panel in grid.panels)
        assert means == ("tuning" in str(runs.filters)) == (runs.groupby != [])
        assert len(grid.panels) == len(panels)
        assert all(panel._to_model().model_dump_json(by_alias=True) for panel in grid.panels)
