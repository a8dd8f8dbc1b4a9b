"""`eqvae fit_prior` as a user meets it: what it stores, what it leaves, and mistakes in one sentence."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import torch

from eqvae.cli.fit_prior import OWN, main
from eqvae.config import CONFIG_DIR
from eqvae.distributions.orbit import OrbitPrior
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.training.checkpoint import has_prior, load_vae, read_checkpoint, store_prior

SCRIPT = CONFIG_DIR.parent / "scripts" / "fit_prior.py"
FITTED = ("prior/seconds", "test/prior_gap", "test/fitted/elbo", "test/fitted/kl")


def run(*arguments: object) -> None:
    """The command within this process: importing torch anew takes most of its time."""
    main([str(argument) for argument in arguments])


@pytest.fixture
def without_prior(tiny_run):
    """The run as `prior=normal` leaves it."""
    path = tiny_run / "checkpoints" / "best.ckpt"
    checkpoint = read_checkpoint(path)
    del checkpoint["prior"]
    torch.save(checkpoint, path)
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    kept = {name: v for name, v in metrics.items() if "fitted" not in name and "prior" not in name}
    (tiny_run / "metrics.json").write_text(json.dumps(kept))
    (tiny_run / "pictures" / "clusters.png").unlink()
    return tiny_run


def test_help_names_every_option_and_answers_without_torch():
    code = f"import runpy, sys; sys.argv = ['fit_prior.py', '-h']; runpy.run_path({str(SCRIPT)!r}, None, "
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("ckpt", *OWN):
        assert f"  {option}=" in done.stdout


def test_a_prior_fitted_later_is_the_one_that_the_run_would_have_fitted(
    tiny_run, tmp_path, without_prior, _trained_run, capsys
):
    """Stored in the checkpoint, its numbers in metrics.json, its pictures drawn."""
    samples = tiny_run / "pictures" / "samples.png"
    before = json.loads((tiny_run / "metrics.json").read_text())
    samples.write_bytes(b"")
    run(f"ckpt={tiny_run}")
    wanted = json.loads((_trained_run / "metrics.json").read_text())
    found = json.loads((tiny_run / "metrics.json").read_text())
    assert set(found) == set(wanted) and list(found) == sorted(found)
    for name in before:
        assert found[name] == before[name]
    for name in FITTED[1:]:
        assert found[name] == pytest.approx(wanted[name], rel=1e-4)
    ours, theirs = (load_vae(folder).prior.centres() for folder in (tiny_run, _trained_run))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert samples.stat().st_size and (tiny_run / "pictures" / "clusters.png").is_file()
    said = capsys.readouterr().out
    assert "1 components" in said and "prior gap:" in said


def test_a_prior_that_is_there_stays(tiny_run, capsys):
    path = tiny_run / "checkpoints" / "best.ckpt"
    before = path.read_bytes()
    refused(capsys, "has a fitted prior already; again=true", f"ckpt={tiny_run}", "components=3")
    assert path.read_bytes() == before


def test_again_puts_another_one_in_its_place(tiny_run):
    run(f"ckpt={tiny_run}", "again=true", "components=3", "rank=2", "images=50", "seed=4")
    prior = load_vae(tiny_run).prior
    assert len(prior.weights) == 3 and prior.mixture.rank == 2
    state = read_checkpoint(tiny_run)["state_dict"]
    assert not any("mixture" in name for name in state)  # the model's own prior is as it was


def test_a_checkpoint_of_its_own_needs_data_and_gets_no_files(without_prior, tmp_path, capsys):
    alone = tmp_path / "alone" / "model.ckpt"
    alone.parent.mkdir()
    shutil.copy(without_prior / "checkpoints" / "best.ckpt", alone)
    refused(capsys, "holds no config.yaml; say which data", f"ckpt={alone}")
    settings = ["data=sprites", "data.source.num_images=60", "data.source.size=21"]
    settings += ["data.source.radius=[4.0,6.0]", "data.pose.size=33"]
    run(f"ckpt={alone}", *settings, "components=2")
    assert has_prior(alone) and [f.name for f in alone.parent.iterdir()] == ["model.ckpt"]


def refused(capsys, message: str, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    assert re.search(message, said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ckpt={run}", "components=0"], "components must be a whole number >= 1; got '0'"),
        (["ckpt={run}", "components=999"], "components must be from 1 to the 96 latents"),
        (["ckpt={run}", "rank=-1"], "rank must be a whole number >= 0; got '-1'"),
        (["ckpt={run}", "images=0"], "images must be a whole number >= 1; got '0'"),
        (["ckpt={run}", "again=yes"], "again must be one of true, false; got 'yes'"),
        (["ckpt={run}", "k=3"], "'k=3' is not an option"),
        (["components=3"], "ckpt must name one run folder or checkpoint"),
        (["ckpt={run}/nowhere"], "nowhere does not exist"),
        (["ckpt={run}", "data.pose.size=41"], "33 px; got 1 of 41 px"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence_and_exit_code_2(without_prior, capsys, arguments, message):
    refused(capsys, message, *(argument.format(run=without_prior) for argument in arguments))
    assert not has_prior(without_prior)


def test_stopping_leaves_the_checkpoint_as_it_was(without_prior, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("eqvae.training.prior.FitOrbitPrior.__call__", stopped)
    with pytest.raises(SystemExit) as stop:
        run(f"ckpt={without_prior}")
    assert stop.value.code == 130 and "as it was" in capsys.readouterr().err
    assert not has_prior(without_prior)


def test_a_prior_that_does_not_fit_the_model_is_replaced(tiny_run):
    """The refusal names the command that mends it."""
    path = tiny_run / "checkpoints" / "best.ckpt"
    store_prior(path, OrbitPrior(Representation((1, 1)), PlaneMotions.so2(), 2, 0))
    with pytest.raises(ValueError, match="Fit it again with scripts/fit_prior.py again=true"):
        load_vae(tiny_run)
    run(f"ckpt={tiny_run}", "components=1", "again=true")
    assert load_vae(tiny_run).prior.mixture.components == 1
