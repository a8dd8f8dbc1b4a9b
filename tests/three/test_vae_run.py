"""Structures through the one way of training: command's configuration, checkpoint, resume, evaluation."""

import json
import signal

import numpy as np
import pytest
import torch

import eqvae
from eqvae.cli.evaluate import main as evaluate
from eqvae.config import build, compose
from eqvae.training.interruption import Interrupted
from eqvae.training.run import prepare, stored_config, train
from tests.training.test_run import SignalAt

TINY = [
    *("data=chains", "logger=none", "trainer.accelerator=cpu", "trainer.num_sanity_val_steps=0"),
    *("data.source.num_structures=60", "data.source.num_atoms=10", "data.batch_size=12"),
    *(
        "trainer.max_epochs=2",
        "trainer.check_val_every_n_epoch=1",
        "callbacks.last.every_n_epochs=1",
    ),
    *("model.encoder.hidden=16", "model.decoder.hidden=16", "callbacks.pictures.num_structures=2"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs by model."""
    found = {}
    for model in ("se3", "plain_structures"):
        folder = tmp_path_factory.mktemp(model)
        found[model] = (folder, train(prepare(compose([f"model={model}", *TINY]), folder)))
    return found


@pytest.mark.parametrize("model", ["se3", "plain_structures"])
def test_a_run_leaves_what_every_run_leaves(runs, model):
    folder, metrics = runs[model]
    assert np.isfinite(metrics["test/elbo"])
    for name in ("metrics.json", "metrics.csv", "config.yaml", "checkpoints/best.ckpt"):
        assert (folder / name).is_file()
    assert (folder / "pictures" / "reconstructions.png").is_file()
    again = eqvae.load_vae(folder)
    assert again.domain.num_atoms == 10 and not again.training
    data = build(stored_config(folder)["data"])
    data.setup()
    with torch.no_grad():
        assert again.encode(data.test[:2]).mode.shape == (2, again.representation.dim)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(runs, tmp_path):
    folder, metrics = runs["se3"]
    run = prepare(compose(["model=se3", *TINY]), tmp_path)
    run.trainer.callbacks.insert(0, SignalAt(4, signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(run)
    again = train(prepare(stored_config(tmp_path), tmp_path, resume=True))
    timed = {"train/seconds", "train/processor_seconds"}
    assert {k: v for k, v in again.items() if k not in timed} == {
        k: v for k, v in metrics.items() if k not in timed
    }
    first, second = eqvae.load_vae(folder), eqvae.load_vae(tmp_path)
    assert torch.equal(first.decoder.reference, second.decoder.reference)


def test_the_evaluation_has_suites_of_its_own(runs, tmp_path):
    hard, plain = tmp_path / "hard", tmp_path / "plain"
    evaluate([f"ckpt={runs['se3'][0]}", f"out={hard}", "wandb=false"])
    evaluate(
        [f"ckpt={runs['plain_structures'][0]}", f"out={plain}", "wandb=false", "suites=content"]
    )
    found = json.loads((hard / "metrics.json").read_text())
    control = json.loads((plain / "metrics.json").read_text())
    assert found["content/change/relative"]["value"] < 1e-10
    assert control["content/change/relative"]["value"] > 1e-2
    assert found["equivariance/encoder/rotation"]["value"] < 1e-10
    assert found["pose/follows/angle"]["value"] < 1e-4
    assert (hard / "report.html").is_file()


def test_files_of_one_s_own_are_read(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 5, 3))
    np.savez(tmp_path / "mine.npz", positions=x)
    own = [f"data.source.path={tmp_path / 'mine.npz'}", "data.source.element=C", "data/pose=moved"]
    data = build(compose(["data=structures", *own, "model=se3"])["data"])
    data.setup()
    batch = data.train[:]
    back = data.domain.group.inverse(batch.pose)
    rows = batch.index.numpy()
    assert np.allclose(data.domain.act(back, batch.image)[:, 0], x[rows], atol=1e-5)


@pytest.mark.parametrize("choice", ["model=se3", "model=plain_structures", "experiment=adk"])
def test_choices_compose(choice):
    config = compose([choice])
    assert config["domain"]["_target_"] == "eqvae.three.points.Points"
    assert config["callbacks"]["start"]["_target_"].endswith("StartFromMean")
