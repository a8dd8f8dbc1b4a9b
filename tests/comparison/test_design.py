"""From a short description to cells: full grids, shared cells, tuned rates, refusals."""

from functools import cache

import pytest

from eqvae.comparison.arms import arms
from eqvae.comparison.design import Cell, Design, choices
from eqvae.config import build, compose

DESIGNS = [name for name in choices("experiment") if name.startswith("atlas_")]
BLOCK = {"arms": ["plain", "hard"], "scenarios": ["se2"], "images": [100, 200], "seeds": [0, 1]}


def design(**changes):
    given = {
        "name": "test",
        "reference": {"arm": "hard", "widths": {}},
        "overrides": [],
        "blocks": {"scenarios": BLOCK},
        "rates": [0.01, 0.001],
        "tuning": {"scenario": "se2", "images": 100, "seed": 100},
    }
    return Design(**{**given, **changes})


def test_a_block_is_the_full_grid():
    cells = design().cells({"plain": 0.1, "hard": 0.2})
    assert len(cells) == 2 * 1 * 2 * 2 == len({cell.name for _, cell in cells})
    assert {(c.arm, c.lr) for _, c in cells} == {("plain", 0.1), ("hard", 0.2)}
    assert {c.images for _, c in cells} == {100, 200} and {c.seed for _, c in cells} == {0, 1}


def test_a_cell_that_two_blocks_share_has_one_name():
    both = design(blocks={"scenarios": BLOCK, "budgets": {**BLOCK, "images": [200, 400]}})
    cells = both.cells({"plain": 0.1, "hard": 0.2})
    assert len(cells) == 16 and len({cell.name for _, cell in cells}) == 12


def test_what_makes_cells_differ_is_in_their_names():
    base = Cell("plain", "se2", 100, lr=0.01)
    others = [
        Cell("hard", "se2", 100, lr=0.01),
        Cell("plain", "lit", 100, lr=0.01),
        Cell("plain", "se2", 101, lr=0.01),
        Cell("plain", "se2", 100, "macs", lr=0.01),
        Cell("plain", "se2", 100, weight=2.0, lr=0.01),
        Cell("plain", "se2", 100, seed=1, lr=0.01),
        Cell("plain", "se2", 100, lr=0.02),
    ]
    assert len({cell.name for cell in [base, *others]}) == len(others) + 1


def test_an_arm_s_own_settings_stand_behind_those_of_all():
    made = design(overrides=["seed=1"], own={"hard": ["seed=2"]})
    latent = {"hard": "latent.multiplicities=[4,2,2,2,2]", "plain": "latent.multiplicities=[18,1]"}
    assert made.settings("hard") == [latent["hard"], "seed=1", "seed=2"]
    assert made.settings("plain") == [latent["plain"], "seed=1"]


def test_rates_are_tuned_by_arm_on_validation():
    made = design()
    trials = made.trials()
    assert len(trials) == 4 and {cell.seed for cell in trials} == {100}
    scores = dict(zip([cell.name for cell in trials], [1.0, 2.0, 5.0, None], strict=True))
    assert made.tuned(scores) == {"plain": 0.001, "hard": 0.01}
    with pytest.raises(ValueError, match="no learning rate at which hard can be trained"):
        made.tuned({name: score for name, score in scores.items() if "plain" in name})
    single = design(rates=[0.5])
    assert single.trials() == [] and single.tuned({}) == {"plain": 0.5, "hard": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": {"b": {**BLOCK, "arms": ["hrad"]}}}, "blocks.b.arms must be among .*'hrad'"),
        (
            {"blocks": {"b": {**BLOCK, "scenarios": ["x"]}}},
            "blocks.b.scenarios must be among .*'x'",
        ),
        ({"blocks": {"b": {**BLOCK, "match": ["flops"]}}}, "none, parameters, macs; got 'flops'"),
        ({"blocks": {"b": {**BLOCK, "seed": [1]}}}, "blocks.b has no key 'seed'"),
        ({"blocks": {"b": {**BLOCK, "levels": ["se2"]}}}, "b.levels is called .*b.scenarios now"),
        ({"tuning": {"level": "se2", "images": 100, "seed": 100}}, "tuning.level is called"),
        ({"blocks": {"b": {**BLOCK, "images": []}}}, "blocks.b.images must list at least one"),
        ({"blocks": {"b": {**BLOCK, "seeds": [100]}}}, "tuning.seed must not be among"),
        ({"reference": {"arm": "x", "widths": {}}}, "reference.arm must be among"),
        ({"own": {"x": []}}, "atlas.own must be among"),
        ({"data": "mnits"}, "atlas.data must be among .*'mnits'"),
        ({"rates": []}, "rates must list at least one"),
    ],
)
def test_mistakes_are_named_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        design(**changes)


def test_a_part_has_the_same_cells_but_fewer():
    whole = design(blocks={"scenarios": BLOCK, "weights": {**BLOCK, "weights": [0.1, 1.0]}})
    rates = {"plain": 0.1, "hard": 0.2}
    part = whole.part({"arms": ["hard"], "images": [200], "weights": [0.1]})
    assert [trial.arm for trial in part.trials()] == ["hard", "hard"]
    assert part.digest("hard") == whole.digest("hard")
    cells = part.cells(rates)
    assert {block for block, _ in cells} == {"weights"}, "a block without weights has weight 1"
    assert cells == [
        (block, cell)
        for block, cell in whole.cells(rates)
        if (cell.arm, cell.images, cell.weight) == ("hard", 200, 0.1)
    ]
    assert whole.part({}).cells(rates) == whole.cells(rates)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"arm": ["hard"]}, "part has no key 'arm'; it may have arms, scenarios,"),
        ({"levels": ["se2"]}, "part.levels is called part.scenarios now"),
        ({"arms": ["hrad"]}, "part.arms must be among plain, hard; got 'hrad'"),
        ({"images": [300]}, "part.images must be among 100, 200; got 300"),
        ({"seeds": 0}, r"part.seeds must be a list, such as \[0\]"),
        ({"arms": "hard"}, r"part.arms must be a list, such as \[hard\]"),
        ({"arms": []}, "part must leave a cell"),
    ],
)
def test_a_part_that_is_none_is_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        design().part(axes)


def test_data_come_before_the_overrides_that_change_them():
    made = design(data="sprites", overrides=["data.source.num_images=50"], own={"hard": ["seed=1"]})
    first, _, *rest = made.settings("hard")
    assert [first, *rest] == ["data=sprites", "data.source.num_images=50", "seed=1"]
    assert made.settings("plain")[2:] == ["data.source.num_images=50"]
    assert made.digest("plain") != design(overrides=["data.source.num_images=50"]).digest("plain")


def latent_dim(arm: str, *settings: str) -> int:
    return _latent_dim(arm, *(setting for setting in settings if "latent" in setting))


@cache
def _latent_dim(arm: str, *settings: str) -> int:
    return build(compose([f"arm={arm}", *settings])["latent"]).dim


@pytest.mark.parametrize("name", DESIGNS)
def test_the_published_designs_are_sound(name):
    made = Design(**compose([f"experiment={name}"], name="compare")["atlas"])
    rates = dict.fromkeys(made.arms, 0.01)
    assert made.name == name and made.cells(rates)
    assert set(made.arms) <= set(arms())
    sizes = {latent_dim(arm, *made.settings(arm)) for arm in made.arms}
    assert sizes == {22}, "every arm has a latent of the same dimension"
    if name != "atlas_smoke":
        assert all(len(grid["seeds"]) >= 5 for grid in made.blocks.values())
    if name in ("atlas_laptop", "atlas_full"):
        assert set(made.arms) == set(choices("arm"))
