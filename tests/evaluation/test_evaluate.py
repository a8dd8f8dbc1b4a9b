"""An evaluation: every suite reports, what the data lack is said, what is wrong shows, files are complete."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from eqvae.config import build, compose
from eqvae.data import ImageDataModule
from eqvae.data.batch import Batch
from eqvae.evaluation import suites as package
from eqvae.evaluation.evaluate import (
    Evaluation,
    add_agreement,
    evaluate,
    log_evaluation,
    write_scores,
)
from eqvae.evaluation.findings import Findings
from eqvae.evaluation.held_out import HeldOut
from eqvae.evaluation.report import explanations
from eqvae.evaluation.suites import SUITES
from eqvae.evaluation.suites.pose import placed
from eqvae.metrics.equivariance.audit import PRESETS, Preset
from eqvae.metrics.score import Score
from eqvae.symmetry import Representation
from tests.toys import toy_vae

SIZE = 33


@pytest.fixture(scope="module")
def datamodule() -> ImageDataModule:
    overrides = ["experiment=smoke", "data.source.num_images=240", "data.split=[0.3,0.2,0.5]"]
    data = build(compose(overrides)["data"], path="data")
    data.setup()
    assert data.image_shape == (1, SIZE, SIZE) and len(data.test) == 120
    return data


@pytest.fixture(scope="module")
def exact(datamodule) -> Evaluation:
    return evaluate(HeldOut.of(toy_vae(SIZE, render=True), datamodule), "exact")


def test_every_suite_says_something(exact):
    assert list(exact.suites) == list(SUITES) == list(exact.seconds)
    for suite, found in exact.suites.items():
        if suite == "segmentation":  # of a model without masks: tests/models/test_object_mask.py
            continue
        assert any(s.value is not None for s in found.scores.values()), suite
        assert suite == "disentanglement" or found.figures
    for name, score in exact.scores.items():
        assert score.n > 0 or score.value is None, name
        assert score.reason or score.value is not None, name


def test_scores_say_what_they_are_held_against(exact):
    measured = {n: s for n, s in exact.scores.items() if s.value is not None}
    judged = [n for n, s in measured.items() if s.floor is not None or s.ceiling is not None]
    assert len(judged) > 0.8 * len(measured)
    unexplained = [n for n, s in measured.items() if s.page not in explanations()]
    assert not unexplained
    with_interval = [n for n, s in measured.items() if s.interval is not None]
    assert len(with_interval) > 0.7 * len(measured)
    for name in with_interval:
        low, high = measured[name].interval
        assert low - 1e-9 <= measured[name].value <= high + 1e-9, name


def test_an_exact_model_shows_no_error_beyond_rounding_and_resampling(exact):
    found = exact.values
    assert found["equivariance/decoder/quarter_turn"] < 1e-5
    assert found["equivariance/decoder/rotation"] < 1e-5
    assert found["equivariance/scenes/encoder/rotation"] < 1e-3
    assert found["equivariance/encoder/quarter_turn"] < 1e-5
    assert found["pose/consistency/shift_median"] < 0.1
    assert found["content/cluster_change/quarter_turn"] == 0
    # handedness is known to flip, and content that flips with it is still the same content
    assert found["content/change/mirror"] < 0.05 and found["content/retrieval/mirror"] > 0.9
    assert found["disentanglement/d_lsbd/position/d_lsbd"] < 1e-3


def test_a_biased_model_shows_it(datamodule, exact, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", Preset(8, 6, 4, 4, False))  # a bias shows at any angle
    suites = {name: SUITES[name] for name in ("equivariance", "pose")}
    biased = evaluate(HeldOut.of(toy_vae(SIZE, bias=1.0), datamodule), suites=suites).values
    for name in ("equivariance/scenes/encoder/rotation", "equivariance/decoder/rotation"):
        assert biased[name] > 0.02 and biased[name] > 10 * exact.values[name]
    # a bias of the position is no rotation about the centre: consistency sees it, and so does the orbit
    assert (
        biased["pose/consistency/shift_median"] > 5 * exact.values["pose/consistency/shift_median"]
    )


def test_the_first_images_are_a_fair_sample(datamodule):
    labels = HeldOut.of(toy_vae(SIZE), datamodule).labels
    assert len(set(labels[:20].tolist())) > 2
    again = HeldOut.of(toy_vae(SIZE), datamodule)
    assert torch.equal(again.labels, labels)
    assert not torch.equal(HeldOut.of(toy_vae(SIZE), datamodule, seed=1).labels, labels)
    torch.testing.assert_close(again.images.sum(), datamodule.test.images.sum())


def test_encoding_leaves_the_callers_random_numbers_alone(datamodule):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert HeldOut.of(toy_vae(SIZE), datamodule).encoding.elbo.isfinite().all()
    assert torch.equal(torch.rand(2), expected)


def test_a_position_that_the_latent_lacks_is_not_scored(datamodule):
    held_out = HeldOut.of(toy_vae(SIZE), datamodule)
    scores = {"shift_rmse": Score(0.0, n=1), "angle_mean": Score(1.0, n=1)}
    assert placed(held_out, scores) == scores
    vae = SimpleNamespace(representation=Representation((1, 1), position=False))
    found = placed(SimpleNamespace(representation=vae.representation), scores)
    assert found["shift_rmse"].reason == "the latent holds no position"
    assert found["angle_mean"].value == 1.0


def test_runs_are_compared_where_they_saw_the_same_images(datamodule):
    both = [HeldOut.of(toy_vae(SIZE), datamodule) for _ in range(2)]
    evaluations = [Evaluation("a"), Evaluation("b")]
    add_agreement(both, evaluations)
    assert evaluations[1].scores["agreement/agreement"].value == pytest.approx(1)
    others = [both[0], HeldOut.of(toy_vae(SIZE), datamodule, seed=1)]
    apart = [Evaluation("a"), Evaluation("b")]
    add_agreement(others, apart)
    assert not apart[0].suites
    with torch.no_grad():
        both[1].model.encoder.factor.fill_(float("nan"))
    del both[1].__dict__["encoding"]
    add_agreement(both, evaluations)
    assert "must be finite" in evaluations[0].scores["agreement/suite"].reason


def test_small_images_keep_their_reconstruction_scores():
    images = torch.rand(12, 1, 21, 21)
    scores = evaluate(
        HeldOut(toy_vae(21), Batch(images)), suites={"generation": SUITES["generation"]}
    ).scores
    assert scores["generation/psnr"].value is not None
    assert "needs images of 24 pixels; got 21" in scores["generation/fd_posed"].reason


def test_without_labels_and_poses_the_rest_is_still_measured(datamodule):
    known = HeldOut.of(toy_vae(SIZE), datamodule)
    held_out = replace(known, batch=Batch(known.images), symmetry_orders=None)
    suites = {n: SUITES[n] for n in ("pose", "content", "clustering", "disentanglement")}
    scores = evaluate(held_out, suites=suites).scores
    assert scores["pose/error"].reason == "the true poses are not known"
    assert scores["clustering/accuracy"].reason == "the data have no labels of two classes"
    assert "needs two known factors" in scores["disentanglement/infomec"].reason
    for name in (
        "pose/consistency/angle_median",
        "content/change",
        "disentanglement/d_lsbd/d_lsbd",
    ):
        assert scores[name].value is not None


def test_codes_that_are_not_finite_are_reported_and_lose_nothing(datamodule):
    vae = toy_vae(SIZE)
    with torch.no_grad():
        vae.encoder.factor.fill_(float("nan"))
    suites = {"content": SUITES["content"], "broken": lambda e: Findings({"one": Score(1.0, n=1)})}
    scores = evaluate(HeldOut.of(vae, datamodule), suites=suites).scores
    assert "must be finite" in scores["content/suite"].reason
    assert scores["broken/one"].value == 1.0


def test_the_seed_decides(datamodule):
    suites = {"likelihood": SUITES["likelihood"]}
    model, batch = toy_vae(SIZE).eval(), datamodule.test[:16]
    first, again, other = (
        evaluate(HeldOut(model, batch, seed=seed), suites=suites).values for seed in (0, 0, 1)
    )
    assert first == again and first["likelihood/elbo"] != other["likelihood/elbo"]
    assert first["likelihood/kl"] == other["likelihood/kl"]


def test_averages_count_every_image_once(datamodule, exact):
    with torch.no_grad():
        kl = toy_vae(SIZE).score(Batch(datamodule.test.images)).kl_total.mean().item()
    assert exact.values["likelihood/kl"] == pytest.approx(kl, rel=1e-5)


def test_files_hold_every_number(exact, tmp_path):
    write_scores([exact], tmp_path)
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert set(scores) == set(exact.scores)
    with (tmp_path / "metrics.csv").open() as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(exact.scores) and rows["likelihood/kl"]["run"] == "exact"
    assert float(rows["likelihood/kl"]["value"]) == scores["likelihood/kl"]["value"]
    count = sum(len(found.figures) for found in exact.suites.values())
    assert len(list((tmp_path / "pictures").glob("*.png"))) == count
    other = Evaluation("other", suites=exact.suites)
    write_scores([exact, other], tmp_path / "both", pictures=False)
    assert (tmp_path / "both" / "other" / "metrics.json").is_file()


def test_a_run_without_weights_and_biases_is_left_alone(exact, tiny_run):
    assert not log_evaluation(tiny_run, exact)


def test_a_new_suite_is_one_file(datamodule, tmp_path, monkeypatch):
    (tmp_path / "speed.py").write_text(
        "from eqvae.evaluation.findings import Findings\n"
        "from eqvae.metrics.score import Score\n\n"
        "PLACE = 35\n\n\n"
        "def speed(held_out):\n"
        "    return Findings({'images': Score(len(held_out.batch), n=1)})\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    found = package.registered()
    assert list(found)[2:5] == ["equivariance", "speed", "pose"]
    held_out = HeldOut.of(toy_vae(SIZE), datamodule)
    scores = evaluate(held_out, suites={"speed": found["speed"]}).scores
    assert scores["speed/images"].value == 120
