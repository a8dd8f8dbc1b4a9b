"""`eqvae export` says what it wrote, and refuses mistakes before any work."""

import importlib.util
import re
import subprocess
import sys

import pytest

from eqvae.cli.export import main
from eqvae.export.artefact import Exported
from eqvae.export.check import Comparison


def refused(capsys, message: str, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert re.search(message, said)


def test_help_comes_without_torch():
    code = "import sys; from eqvae.cli.export import main; main(['--help'])"
    code += "; assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "Usage: " in said.stdout and "ckpt=" in said.stdout


def test_a_run_is_exported(tiny_run, capsys, monkeypatch):
    def written(model, images, folder, formats, *, opset, source, watch):
        assert images.shape[1:] == model.image_shape and not model.training
        assert (formats, opset, source) == (("torch",), 21, str(tiny_run))
        return [Exported(folder / "encode.pt2", Comparison(1e-7, 21, 2))]

    (tiny_run / "exported").mkdir(exist_ok=True)
    (tiny_run / "exported" / "encode.pt2").write_bytes(b"0" * 2000)
    monkeypatch.setattr("eqvae.export.export_model", written)
    main([f"ckpt={tiny_run}", "format=torch", "opset=21"])
    said = capsys.readouterr().out
    assert "encode.pt2        2 kB   difference 1.0e-07 of 21 images, 2 with several poses" in said
    assert f"{tiny_run / 'exported'}, " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ckpt=nowhere", "format=tflite"], "format must be words out of onnx, torch"),
        (["ckpt=nowhere", "opset=3"], "opset must be a whole number >= 20; got '3'"),
        (["ckpt=nowhere", "opset=999"], "opset must be from 20 to"),
        (["ckpt=nowhere"], "nowhere does not exist"),
        (["format=onnx"], "ckpt must name one run folder"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, message):
    refused(capsys, message, *arguments)


def test_a_missing_package_names_the_extra(capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    refused(capsys, r'onnxruntime: pip install "eqvae\[export\]"', "ckpt=nowhere")
