"""Checkpoints of a stranger: parts of the wrong kind are refused in one sentence."""

import shutil
from pathlib import Path

import pytest
import torch

from eqvae.training.checkpoint import load_vae
from eqvae.training.run import train
from tests.training.runs import NO_PICTURES, tiny_run


@pytest.fixture(scope="module")
def _trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(tiny_run(folder, "model=plain", NO_PICTURES, "prior=normal"))
    return folder / "checkpoints" / "best.ckpt"


@pytest.fixture
def path(_trained, tmp_path) -> Path:
    return shutil.copy(_trained, tmp_path / "best.ckpt")


ODD_PARTS = {
    "weights in a list": {"state_dict": [1]},
    "weights without names": {"state_dict": {1: torch.zeros(1)}},
    "weights of text": {"state_dict": {"vae.x": "1"}},
    "averages in a list": {"ema": [1]},
    "a prior in a list": {"prior": [1]},
    "a prior of numbers": {"prior": {"config": 3, "weights": 4}},
}
ODD_MODELS = {"table": {"a": 1}, "list": [1], "number": 3, "text": "encoder", "nothing": None}


@pytest.mark.parametrize("kind", ODD_PARTS)
def test_parts_of_the_wrong_kind_are_refused(kind, path):
    torch.save({**torch.load(path, weights_only=True), **ODD_PARTS[kind]}, path)
    with pytest.raises(ValueError, match="best.ckpt"):
        load_vae(path)


@pytest.mark.parametrize("part", ["encoder", "decoder", "prior", "likelihood"])
@pytest.mark.parametrize("kind", ODD_MODELS)
def test_a_model_of_odd_parts_is_refused(part, kind, path):
    stored = torch.load(path, weights_only=True)
    model = stored["hyper_parameters"]["model"]
    if part not in model:
        pytest.skip("a model without it")
    model[part] = ODD_MODELS[kind]
    torch.save(stored, path)
    with pytest.raises(ValueError, match="best.ckpt"):
        load_vae(path)
