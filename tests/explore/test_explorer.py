"""The explorer compares models fairly, and its sliders do what they say."""

from copy import deepcopy

import ipywidgets as widgets
import pytest
import torch

from eqvae.config import build, compose
from eqvae.explore.explorer import TraversalExplorer
from eqvae.explore.widget import sliders
from eqvae.training.checkpoint import load_vae
from eqvae.training.runs import held_out_images, load_or_train, newest_run

QUIET = ["logger=none", "callbacks.pictures=null"]


def untrained(*overrides):
    return build(compose(["experiment=smoke", *overrides], image_shape=(1, 33, 33))["model"]).eval()


@pytest.fixture(scope="module")
def explorer(_trained_run):
    models = {"hard": load_vae(_trained_run), "plain": untrained("model=plain")}
    return TraversalExplorer(models, held_out_images(_trained_run, 3))


def collapsed_copy(vae):
    """A copy of the model whose decoder shows 0.1 everywhere, whatever the latent."""
    copy = deepcopy(vae)
    copy.decode = lambda z: torch.full((len(z), 1, 33, 33), 0.1)
    return copy


def controls_of(explorer):
    widget = sliders(explorer)
    found = {}

    def walk(part):
        if isinstance(part, widgets.FloatSlider | widgets.IntSlider | widgets.Button):
            found[part.description] = part
        for child in getattr(part, "children", ()):
            walk(child)

    walk(widget)
    return widget, found


def columns(widget):
    """The PNG bytes of each column: image, moved; then encode, act for each model."""
    return [
        [part.value for part in column.children if isinstance(part, widgets.Image)]
        for column in widget.children[1].children
    ]


def test_only_the_hard_model_agrees_with_itself(explorer):
    percent = explorer.both_ways(index=1, angle=90.0, content={("psi0", 0): 0.5}).difference_percent
    assert percent["hard"] < 1  # the position's soft-argmax sees the grid
    assert percent["plain"] > 10


def test_a_constant_model_agrees_with_itself_and_is_wrong(explorer):
    """Agreement alone proves nothing: the collapsed model is the control."""
    collapsed = collapsed_copy(explorer.models["plain"])
    seen = TraversalExplorer({"collapsed": collapsed}, explorer.images).both_ways(angle=90.0)
    assert seen.difference_percent["collapsed"] == 0
    assert seen.error_percent["collapsed"] > 50


def test_doing_nothing_changes_nothing(explorer):
    seen = explorer.both_ways(index=2)
    assert torch.equal(seen.moved, explorer.images.image[2])
    for name in explorer.models:
        torch.testing.assert_close(seen.encoded[name], seen.acted[name])


@pytest.mark.parametrize("name", ["angle, deg", "x, pixels", "y, pixels"])
def test_pose_sliders_move_everything(explorer, name):
    widget, controls = controls_of(explorer)
    before = columns(widget)
    controls[name].value = 3.0
    after = columns(widget)
    assert after[0][0] == before[0][0]  # the image itself stays
    assert after[0][1] != before[0][1]
    assert all(a != b for a, b in zip(after[1], before[1], strict=True))
    controls["reset"].click()
    assert columns(widget) == before


def test_every_direction_has_a_slider_that_changes_the_model_only(explorer):
    widget, controls = controls_of(explorer)
    before = columns(widget)
    for block, copy in explorer.directions:
        name = next(key for key in controls if key.startswith(f"{block}[{copy}]"))
        controls[name].value = 90.0 if name.endswith("deg") else 2.5
    after = columns(widget)
    assert after[0] == before[0]
    assert all(a != b for a, b in zip(after[1], before[1], strict=True))


def test_image_slider_takes_another_image(explorer):
    widget, controls = controls_of(explorer)
    before = columns(widget)
    controls["image"].value = 2
    assert all(a != b for a, b in zip(columns(widget)[0], before[0], strict=True))


def test_models_with_other_latents_are_refused(explorer):
    other = untrained("latent.multiplicities=[2,1]")
    with pytest.raises(ValueError, match="must share one latent.*'other'"):
        TraversalExplorer({**explorer.models, "other": other}, explorer.images)
    with pytest.raises(ValueError, match="at least one model"):
        TraversalExplorer({}, explorer.images)


def test_runs_are_found_or_made(tiny_run, tmp_path):
    assert newest_run(tiny_run.parents[1]) == tiny_run
    assert newest_run(tmp_path / "nothing") is None
    stamp = (tiny_run / "metrics.json").stat().st_mtime_ns
    load_or_train(tiny_run)
    assert (tiny_run / "metrics.json").stat().st_mtime_ns == stamp
    vae = load_or_train(tmp_path / "new" / "one", ["experiment=smoke", *QUIET])
    assert not vae.training
    assert newest_run(tmp_path) == tmp_path / "new" / "one"
    assert newest_run(tmp_path, "smoke") is None
