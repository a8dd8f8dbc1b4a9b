"""StartPrior: components begin at the epoch that was named, from what the model has learned by then."""

import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from eqvae.training.interruption import Interrupted
from eqvae.training.run import Run, train
from eqvae.training.start import StartPrior
from tests.training.runs import NO_PICTURES, resumed, tiny_run
from tests.training.test_run import SignalAt, comparable

CLUSTERS = [
    NO_PICTURES,
    "model=pose",
    "callbacks=clusters",
    "callbacks.start_prior.epoch=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
]
MIXTURE = ["model/prior=mixture", "model.prior.content.components=3"]


class Watch(pl.Callback):
    """Whether the prior had started, before and after each epoch."""

    def __init__(self) -> None:
        self.seen: list[tuple[bool, bool]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        prior = pl_module.vae.prior.content
        told = prior.responsibilities(torch.zeros(2, 16, device=pl_module.device))
        self.seen.append((bool(prior.started > 0), told is not None))


def watched(run: Run) -> list[tuple[bool, bool]]:
    watch = Watch()
    run.trainer.callbacks.append(watch)
    train(run)
    return watch.seen


def test_the_prior_starts_at_its_epoch_and_not_before(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, *CLUSTERS, *MIXTURE, "trainer.max_epochs=3")
    assert watched(run) == [(False, False), (True, True), (True, True)]
    prior = run.module.vae.prior.content
    shares = prior.responsibilities(prior.loc.detach())
    assert shares.shape == (3, 3)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))


def test_without_the_callback_it_never_starts(tmp_path: Path) -> None:
    """A control."""
    run = tiny_run(tmp_path, *CLUSTERS, *MIXTURE, "~callbacks.start_prior", "trainer.max_epochs=2")
    assert watched(run) == [(False, False)] * 2


@pytest.mark.parametrize(("asked", "seen"), [(100, 100), (110, 120), (1000, 240)])
def test_it_looks_at_as_many_images_as_it_was_told(
    asked: int, seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole batches of 20 out of 240."""
    how = [
        f"callbacks.start_prior.images={asked}",
        "data.source.num_images=300",
        "trainer.max_epochs=2",
    ]
    run = tiny_run(tmp_path, *CLUSTERS, *MIXTURE, *how)
    given = []
    prior = run.module.vae.prior.content
    start = prior.start

    def spy(coefficients: torch.Tensor, posterior: Any, seed: int) -> None:
        given.append((len(coefficients), len(posterior.loc), torch.is_grad_enabled()))
        start(coefficients, posterior, seed)

    monkeypatch.setattr(prior, "start", spy)
    train(run)
    assert given == [(seen, seen, False)]


LONG = [*(c for c in CLUSTERS if "limit_train" not in c), *MIXTURE, "trainer.max_epochs=3"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return comparable(train(tiny_run(tmp_path_factory.mktemp("runs") / "whole", *LONG)))


@pytest.mark.parametrize("step", [5, 9])  # in the middle of the epoch that it starts, and later
def test_resumed_equals_uninterrupted(step: int, whole: dict[str, float], tmp_path: Path) -> None:
    run = tiny_run(tmp_path, *LONG)
    run.trainer.callbacks.insert(0, SignalAt(step, signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(run)
    assert comparable(train(resumed(tmp_path))) == whole


def test_other_models_are_refused(tmp_path: Path) -> None:
    how = [choice for choice in CLUSTERS if choice != "model=pose"]
    with pytest.raises(ValueError, match="needs a model with a content prior; got VAE. Choose"):
        train(tiny_run(tmp_path, *how, "model=plain", "trainer.max_epochs=2"))


@pytest.mark.parametrize("epochs", [1, 2])
def test_runs_that_end_before_the_start_are_refused(epochs: int, tmp_path: Path) -> None:
    how = ["callbacks.start_prior.epoch=2", f"trainer.max_epochs={epochs}"]
    with pytest.raises(ValueError, match=f"below trainer.max_epochs={epochs}; got 2"):
        train(tiny_run(tmp_path, *CLUSTERS, *MIXTURE, *how))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"epoch": 0}, "epoch must be >= 1 and images >= 100; got 0 and 20000"),
        ({"images": 99}, "got 4 and 99"),
    ],
)
def test_numbers_are_checked(how: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StartPrior(**how)
