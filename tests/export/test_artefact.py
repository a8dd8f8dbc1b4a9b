"""What is written runs without eqvae, escnn and torch, and is held against the model."""

import json
import subprocess
import sys
from copy import deepcopy

import numpy as np
import onnx
import pytest
import torch

from eqvae.data.batch import Batch
from eqvae.export import DifferenceError, export_model
from eqvae.export.plain import plain
from eqvae.symmetry.motions import angle_of, motion
from tests.export.models import images, small
from tests.shared import made_once

ALONE = """
import runpy, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in sys.stdlib_module_names | {"numpy", "onnxruntime"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
for name in ("eqvae", "torch", "escnn", "onnx"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model, and the folder that it is written to."""
    return small("plain"), made_once(tmp_path_factory, "there", _export) / "exported"


def _export(folder):
    found = export_model(
        small("plain"), images(), folder / "exported", ["onnx"], source="a checkpoint"
    )
    assert all(part.comparison.difference <= 1e-5 for part in found)


def test_a_folder_runs_with_numpy_and_onnxruntime_alone(exported, tmp_path):
    model, folder = exported
    x = images(7)
    np.save(tmp_path / "images.npy", x.numpy())
    said = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder / "example.py"), "images.npy"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    g = motion(torch.pi / 6).expand(7, 4)
    # torch's group norm in float32 is itself 1e-4 away from this
    expected = deepcopy(model).double().transform(g.double(), Batch(x.double()))
    np.testing.assert_allclose(np.load(tmp_path / "turned.npy"), expected, rtol=0, atol=1e-5)
    told = [float(line.split(" degrees")[0].rsplit(" ", 1)[1]) for line in said]
    off = torch.tensor(told) - torch.rad2deg(angle_of(model.encode(Batch(x)).settled().pose.mode))
    assert len(said) == 7 and ((off + 180).remainder(360) - 180).abs().max() < 0.06


def test_the_card_says_what_goes_in_and_out(exported):
    _, folder = exported
    card = json.loads((folder / "model.json").read_text())
    assert card["opset"] == 20 and card["source"] == "a checkpoint"
    assert set(card["functions"]) == {"encode", "decode", "act", "read"}
    assert {path.name for path in folder.iterdir()} == {*card["files"], "model.json", "example.py"}
    for name, function in card["functions"].items():
        graph = onnx.load(folder / f"{name}.onnx")
        assert [o.version for o in graph.opset_import if not o.domain] == [20]
        assert not graph.functions and all(not node.domain for node in graph.graph.node)
        for side in ("inputs", "outputs"):
            values = list(getattr(graph.graph, side.removesuffix("s")))
            assert [value.name for value in values] == list(function[side])
            for value in values:
                batch, *shape = value.type.tensor_type.shape.dim
                assert batch.dim_param and not batch.dim_value
                assert ["B", *(d.dim_value for d in shape)] == function[side][value.name]["shape"]


def test_what_differs_is_not_written(tmp_path, monkeypatch):
    def perturbed(model):
        copied = plain(model)
        for parameter in copied.parameters():
            parameter.mul_(1.001)
        return copied

    (tmp_path / "model.json").write_text("{}")
    monkeypatch.setattr("eqvae.export.functions.plain", perturbed)
    with pytest.raises(DifferenceError, match="encode.pt2 differs from the model by"):
        export_model(small("plain"), images(), tmp_path, ["torch"])
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]  # the earlier one
    assert not tmp_path.with_name(tmp_path.name + ".part").exists()


def test_other_folders_are_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="out must be a new folder or an earlier export"):
        export_model(small("plain"), images(), tmp_path, ["torch"])
    assert (tmp_path / "thesis.tex").exists()
