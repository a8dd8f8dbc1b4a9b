"""The numbers of an evaluation: complete, right for a model that is exact, weighted by image."""

import math
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from eqvae.analysis.evaluation import Evaluation, evaluate, likelihood_metrics, sweep_figure
from eqvae.config import build, compose
from eqvae.data import ImageDataModule
from tests.toys import toy_vae

SIZE = 33
PARTS = ("encoder", "scenes/encoder", "round_trip", "floor", "decoder")
MOTIONS = ("rotation", "shift", "quarter_turn")


@pytest.fixture(scope="module")
def datamodule() -> ImageDataModule:
    data = build(compose(["experiment=smoke", "data.batch_size=5"])["data"], path="data")
    data.setup()
    assert data.image_shape == (1, SIZE, SIZE) and len(data.test) == 12  # batches of 5, 5 and 2
    return data


@pytest.fixture(scope="module")
def exact(datamodule: ImageDataModule) -> Evaluation:
    return evaluate(toy_vae(SIZE, render=True), datamodule, num_images=3, progress=False)


def test_every_number_is_there_and_finite(exact):
    expected = {f"test/equivariance/{part}/{kind}" for part in PARTS for kind in MOTIONS}
    scenes = "test/equivariance/scenes"
    expected |= {
        f"{scenes}/{term}/{k}" for term in ("elbo_change", "elbo_change_nats") for k in MOTIONS
    }
    expected |= {f"test/equivariance/decoder/eq_{kind}_db" for kind in "rt"}
    terms = ("elbo", "log_likelihood", "kl", "free_energy", "squared_error")
    blocks = ("position", "psi0", "psi1")
    expected |= {f"test/{name}" for name in (*terms, *(f"kl/{block}" for block in blocks))}
    assert set(exact.metrics) == expected
    assert all(isinstance(v, float) and math.isfinite(v) for v in exact.metrics.values())
    assert set(exact.sweep) == {"angle", *PARTS}
    assert all(len(errors) == 71 for errors in exact.sweep.values())
    assert exact.sweep["angle"] == pytest.approx(range(5, 360, 5))


def test_an_exact_model_shows_no_error_beyond_rounding_and_resampling(exact):
    found = {name.removeprefix("test/equivariance/"): v for name, v in exact.metrics.items()}
    for kind in MOTIONS:
        assert found[f"scenes/encoder/{kind}"] < 1e-4  # tails of the scenes at the border
        assert found[f"decoder/{kind}"] < 1e-5
    assert found["encoder/quarter_turn"] < 1e-5
    assert found["floor/quarter_turn"] == 0
    assert found["encoder/rotation"] < 0.1  # sharp shapes: moments feel the resampling
    assert found["decoder/eq_r_db"] > 80 and found["decoder/eq_t_db"] > 80
    assert found["scenes/elbo_change/rotation"] < 1e-3


def test_a_biased_model_shows_it(datamodule, exact):
    biased = evaluate(toy_vae(SIZE, bias=1.0), datamodule, num_images=3, progress=False).metrics
    for part in ("encoder", "scenes/encoder", "round_trip", "decoder"):
        name = f"test/equivariance/{part}/rotation"
        assert biased[name] > 0.02
        assert biased[name] > 2 * exact.metrics[name]
    # a bias is a shift, which commutes with shifts
    assert biased["test/equivariance/scenes/encoder/shift"] < 1e-3


def batches(datamodule: ImageDataModule) -> Iterable[dict[str, Tensor]]:
    return datamodule.loader(datamodule.test)


def test_averages_count_every_image_once(datamodule):
    vae = toy_vae(SIZE)
    with torch.no_grad():
        kl = vae(datamodule.test.images).kl_total.mean().item()
    assert likelihood_metrics(vae, batches(datamodule))["test/kl"] == pytest.approx(kl, rel=1e-5)


def test_the_seed_decides(datamodule):
    vae = toy_vae(SIZE)
    first, again, other = (likelihood_metrics(vae, batches(datamodule), seed) for seed in (0, 0, 1))
    assert first == again and first["test/elbo"] != other["test/elbo"]
    assert first["test/kl"] == other["test/kl"]


def test_the_figure_is_written(exact, tmp_path: Path):
    sweep_figure(exact.sweep, tmp_path / "sweep.png")
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.width > 600
