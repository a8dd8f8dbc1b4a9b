"""Checkpoints rebuild a model alone, and never run what a stranger put into them."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch

import eqvae
from eqvae.config import build
from eqvae.data.batch import Batch
from eqvae.training.checkpoint import DESCRIPTION, FORMAT, load_weights, read_checkpoint, weights
from eqvae.training.run import train
from tests.training.runs import FAMILIES, NO_PICTURES, tiny_run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_run(folder, NO_PICTURES))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_save_then_load_gives_equal_output(family: str, tmp_path: Path) -> None:
    run = tiny_run(tmp_path, NO_PICTURES, f"model={family}", "trainer.limit_train_batches=2")
    train(run)
    trained = run.module.vae.eval()
    loaded = eqvae.load_vae(tmp_path, fitted=False)  # with the prior of training
    assert not loaded.training
    batch = Batch(run.datamodule.test.images[:4])
    with torch.no_grad():
        a, b = trained.encode(batch), loaded.encode(batch)
        assert torch.equal(a.z, b.z)
        assert torch.equal(trained.reconstruct(batch, a), loaded.reconstruct(batch, b))
        scored = [model.score(batch, sample=False).elbo for model in (trained, loaded)]
    assert torch.equal(*scored)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("saved_in", ["new", "train", "eval"])
@pytest.mark.parametrize("loaded_in", ["new", "train", "eval"])
def test_weights_load_from_any_mode_into_any_mode(
    family: str, saved_in: str, loaded_in: str, models: dict
) -> None:
    source, target, x = models[family]
    for model, mode in ((source, saved_in), (target, loaded_in)):
        if mode != "new":
            model.train(mode == "train")
    load_weights(target, weights(source))
    with torch.no_grad():
        a, b = source.eval().encode(Batch(x)).mode, target.eval().encode(Batch(x)).mode
    assert torch.equal(a, b)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """For each family two models with different weights, and images."""
    made = {}
    for family in FAMILIES:
        run = tiny_run(tmp_path_factory.mktemp(family), NO_PICTURES, f"model={family}")
        torch.manual_seed(1)
        other = build(run.config["model"])
        made[family] = (run.module.vae, other, run.datamodule.test.images[:2])
    return made


def test_best_is_found_in_a_run_folder_and_last_without_it(
    run_folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_folder / "checkpoints", copy / "checkpoints")
    eqvae.load_vae(copy)
    (copy / "checkpoints" / "best.ckpt").unlink()
    eqvae.load_vae(copy)
    eqvae.load_vae(copy / "checkpoints")
    (copy / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="holds no .ckpt"):
        eqvae.load_vae(copy)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        eqvae.load_vae(tmp_path / "nowhere")


def test_loading_leaves_the_random_state_alone(run_folder: Path) -> None:
    before = torch.get_rng_state()
    eqvae.load_vae(run_folder)
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_holds_plain_values_only(run_folder: Path) -> None:
    described = read_checkpoint(run_folder)[DESCRIPTION]
    assert described["format"] == FORMAT
    assert described["eqvae_version"] == eqvae.__version__

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return type(value) is dict and all(plain(v) for v in value.values())
        if isinstance(value, list):
            return all(plain(v) for v in value)
        return value is None or type(value) in (int, float, bool, str)

    assert plain(described)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_damaged_file_is_named(run_folder: Path, tmp_path: Path, kept: float) -> None:
    data = (run_folder / "checkpoints" / "best.ckpt").read_bytes()
    file = tmp_path / "cut.ckpt"
    file.write_bytes(data[: int(kept * len(data)) if kept == 0.5 else int(kept)])
    with pytest.raises(ValueError, match="cut.ckpt can't be read as a checkpoint: it is damaged"):
        eqvae.load_vae(file)


def test_other_files_are_not_taken_for_checkpoints(tmp_path: Path) -> None:
    file = tmp_path / "other.ckpt"
    file.write_text("hello")
    with pytest.raises(ValueError, match="damaged or cut short"):
        eqvae.load_vae(file)
    torch.save({"state_dict": {}}, file)
    with pytest.raises(ValueError, match="not an eqvae checkpoint"):
        eqvae.load_vae(file)
    torch.save([1, 2], file)
    with pytest.raises(ValueError, match="not an eqvae checkpoint"):
        eqvae.load_vae(file)


def changed(run_folder: Path, to: Path, change) -> Path:
    checkpoint = torch.load(run_folder / "checkpoints" / "best.ckpt", weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, to)
    return to


def test_another_format_is_named_with_its_version(run_folder: Path, tmp_path: Path) -> None:
    def change(checkpoint: dict) -> None:
        checkpoint[DESCRIPTION].update(format=99, eqvae_version="9.9")

    file = changed(run_folder, tmp_path / "new.ckpt", change)
    with pytest.raises(ValueError, match="checkpoint format 99, written by eqvae 9.9"):
        eqvae.load_vae(file)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "eqvae.config.importlib.import_module",
        "eqvae.models.vae.torch.load",
        "eqvae.config.build",
    ],
)
def test_a_foreign_target_is_refused(run_folder: Path, tmp_path: Path, target: str) -> None:
    def change(checkpoint: dict) -> None:
        checkpoint[DESCRIPTION]["model"]["encoder"]["representation"] = {
            "_target_": target,
            "command": f"touch {tmp_path / 'owned'}",
        }

    file = changed(run_folder, tmp_path / "evil.ckpt", change)
    with pytest.raises(ValueError, match=r"is refused: model.encoder.representation"):
        eqvae.load_vae(file)
    assert not (tmp_path / "owned").exists()


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickled_payload_is_not_run(run_folder: Path, tmp_path: Path, how: str) -> None:
    owned, file = tmp_path / "owned", tmp_path / "evil.ckpt"
    payload = {"hyper_parameters": Payload(f"touch {owned}")}
    if how == "torch":
        torch.save(payload, file)
    else:
        file.write_bytes(pickle.dumps(payload))
    with pytest.raises(ValueError, match="refused|damaged"):
        eqvae.load_vae(file)
    assert not owned.exists()
    pickle.loads(pickle.dumps(payload))  # the control: this payload does run where it may
    assert owned.exists()


def test_weights_of_another_shape_are_named(run_folder: Path, tmp_path: Path) -> None:
    def change(checkpoint: dict) -> None:
        name = next(k for k, v in checkpoint["state_dict"].items() if v.dim() > 1)
        checkpoint["state_dict"][name] = torch.zeros(3, 3, 3)

    file = changed(run_folder, tmp_path / "other.ckpt", change)
    with pytest.raises(ValueError, match=r"weights do not fit its model \(size mismatch"):
        eqvae.load_vae(file)
    file = changed(run_folder, tmp_path / "empty.ckpt", lambda c: c.pop("state_dict"))
    with pytest.raises(ValueError, match="weights do not fit its model"):
        eqvae.load_vae(file)


def test_a_model_that_is_no_vae_is_refused(run_folder: Path, tmp_path: Path) -> None:
    def change(checkpoint: dict) -> None:
        checkpoint[DESCRIPTION]["model"] = checkpoint[DESCRIPTION]["model"]["likelihood"]

    file = changed(run_folder, tmp_path / "other.ckpt", change)
    with pytest.raises(ValueError, match="its model is a GaussianLikelihood, not a Model"):
        eqvae.load_vae(file)
