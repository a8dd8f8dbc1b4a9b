"""Structures through the one way of training: command's configuration, checkpoint, resume, evaluation."""

import csv
import importlib
import json
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

import eqvae
from eqvae.cli.evaluate import main as evaluate
from eqvae.cli.fit_prior import main as fit_prior
from eqvae.cli.states import main as states
from eqvae.config import build, compose
from eqvae.domains import SquareGrid
from eqvae.evaluation.held_out import HeldOut
from eqvae.symmetry.space import spin
from eqvae.symmetry.space_motions import SpaceMotions, space_motion
from eqvae.three.points import Points
from eqvae.three.structures import read
from eqvae.three.vae import SpaceOrbitPosedPrior, SpaceOrbitPrior, StructurePictures
from eqvae.three.vae.alignment import aligned, laid_together, rmsd
from eqvae.three.vae.suites import content
from eqvae.training.checks import check_domain, check_first_batch
from eqvae.training.interruption import Interrupted
from eqvae.training.last import KeepLastStep
from eqvae.training.run import prepare, stored_config, train
from eqvae.training.runs import subject_of
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
    "callbacks.pictures.frames=4",
]
UNDRAWN = [arg for arg in TINY if "pictures" not in arg] + ["~callbacks.pictures"]
STILL = ("reconstructions", "samples", "orbit", "traversal", "clusters")


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
    found = {file.name for file in (folder / "pictures").iterdir()}
    assert found == {f"{name}.png" for name in STILL} | {"turning.gif"}
    again = eqvae.load_vae(folder)
    assert again.domain.num_atoms == 10 and not again.training
    data = build(stored_config(folder)["data"])
    data.setup()
    with torch.no_grad():
        assert again.encode(data.test[:2]).mode.shape == (2, again.representation.dim)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(runs, tmp_path):
    folder, metrics = runs["se3"]
    run = prepare(compose(["model=se3", *UNDRAWN]), tmp_path)
    run.trainer.callbacks.insert(0, SignalAt(4, signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(run)
    again = train(prepare(stored_config(tmp_path), tmp_path, resume=True))
    timed = {"train/seconds", "train/processor_seconds", "prior/seconds"}
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
    report = (hard / "report.html").read_text()
    assert "held-out structures of 10 atoms" in report
    shown = re.sub(r"<style.*?</style>|<[^>]*>", " ", report, flags=re.DOTALL)
    assert "structures" in shown and not re.search("image|pixel", shown)


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


@pytest.mark.parametrize("model", ["se3", "plain_structures"])
def test_the_prior_is_fitted_at_the_end_and_again_when_asked(runs, model, tmp_path, capsys):
    folder = shutil.copytree(runs[model][0], tmp_path / "run")
    assert np.isfinite(runs[model][1]["test/prior_gap"])
    first, before = eqvae.load_vae(folder), eqvae.load_vae(folder, fitted=False)
    assert isinstance(first.prior, SpaceOrbitPosedPrior | SpaceOrbitPrior)
    assert not isinstance(before.prior, SpaceOrbitPosedPrior | SpaceOrbitPrior)
    clusters = folder / "pictures" / "clusters.png"
    clusters.unlink(missing_ok=True)
    fit_prior([f"ckpt={folder}", "again=true", "components=2", "rank=1"])
    assert "clusters.png" in capsys.readouterr().out and clusters.is_file()
    again = eqvae.load_vae(folder)
    data = build(stored_config(folder)["data"])
    data.setup()
    q = again.encode(data.test[:4])
    assert q.cluster.shape == (4, 2)
    assert torch.allclose(q.cluster.exp().sum(dim=1), torch.ones(4), atol=1e-5)
    assert again.sample(3).isfinite().all()


def test_the_states_of_a_trajectory_are_told_and_averaged(runs, tmp_path, capsys):
    folder = runs["se3"][0]
    states([f"ckpt={folder}", f"out={tmp_path}", "samples=3"])
    assert "60 structures in 1 states" in capsys.readouterr().out
    with (tmp_path / "states.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(60))
    model, data = eqvae.load_vae(folder), build(stored_config(folder)["data"])
    data.setup()
    x = data.images.structures.positions
    g = torch.tensor(
        [[float(row[f"quaternion_{a}"]) for a in "wxyz"] for row in rows], dtype=x.dtype
    )
    shift = [[float(row[f"{a}_angstrom"]) for a in "xyz"] for row in rows]
    pose = space_motion(spin(torch.zeros(60), g), torch.tensor(shift, dtype=x.dtype))
    content = torch.tensor(
        [[float(row[f"content_{i}"]) for i in range(8)] for row in rows], dtype=torch.float32
    )
    handed = torch.tensor([[float(row[f"handedness_{i}"]) for i in range(2)] for row in rows])
    with torch.no_grad():
        template = model.decoder.template(torch.cat([content, handed], dim=1)).double()
    found = rmsd(SpaceMotions().act(pose, template), x)
    told = torch.tensor([float(row["rmsd_angstrom"]) for row in rows], dtype=x.dtype)
    assert torch.allclose(found, told, atol=1e-4)
    average, drawn = (read(tmp_path / f"{name}.pdb") for name in ("averages", "samples"))
    mean = laid_together(x).mean(dim=0)
    assert float(rmsd(aligned(average.positions[0], mean), mean)) < 0.01
    assert len(drawn) == 3 and (tmp_path / "states.png").is_file()


def test_states_are_of_runs_with_a_pose_and_no_more_than_the_prior_knows(runs, tmp_path, capsys):
    for model, more, why in (
        ("plain_structures", [], "states is for runs of structures with model=se3"),
        ("se3", ["states=5"], "states must be at most the kinds .* 1; got 5"),
    ):
        with pytest.raises(SystemExit) as stop:
            states([f"ckpt={runs[model][0]}", f"out={tmp_path / 'out'}", *more])
        assert stop.value.code == 2
        assert re.search(why, capsys.readouterr().err)


@pytest.mark.parametrize("command", ["embed", "explore", "export", "generate"])
@pytest.mark.parametrize("model", ["se3", "plain_structures"])
def test_commands_that_need_images_say_so_in_one_sentence(runs, model, command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        arguments = [f"ckpt={runs[model][0]}", f"out={tmp_path / 'out'}"]
        importlib.import_module(f"eqvae.cli.{command}").main(arguments)
    assert stop.value.code == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("error: ") and "structures" in said
    assert not (tmp_path / "out").exists()


def test_other_data_than_a_model_s_structures_are_refused_by_their_atoms(runs):
    with pytest.raises(ValueError, match="must be structures as .* got images"):
        subject_of(runs["se3"][0], ["data=sprites", "data.source.num_images=3"])
    with pytest.raises(ValueError, match="structures of 10 atoms .* got 8"):
        subject_of(runs["se3"][0], ["data.source.num_atoms=8"])


def test_structures_that_do_not_differ_have_no_rank_and_no_relative_change(runs, tmp_path):
    x = torch.randn(1, 10, 3, generator=torch.Generator().manual_seed(0)).expand(20, 10, 3).numpy()
    np.savez(tmp_path / "same.npz", positions=x, elements=["C"] * 10)
    own = [
        "data=structures",
        f"data.source.path={tmp_path / 'same.npz'}",
        "data.split=[0.4,0.3,0.3]",
    ]
    subject = subject_of(runs["se3"][0], own)
    scores = content(HeldOut.of(subject.model, subject.data)).scores
    for name in ("change/relative", "opening/as_given", "opening/moved"):
        assert scores[name].value is None and scores[name].reason
    assert scores["change/largest"].value < 1e-10


@pytest.mark.parametrize("behind", [0, 1])
def test_the_last_step_is_written_where_the_file_has_another(runs, tmp_path, behind):
    """A control: without a checkpoint that was asked for, nothing is written."""
    path, saved = runs["se3"][0] / "checkpoints" / "last.ckpt", []
    step = torch.load(path, weights_only=True)["global_step"] + behind
    trainer = SimpleNamespace(
        fast_dev_run=False,
        is_global_zero=True,
        global_step=step,
        checkpoint_callbacks=[ModelCheckpoint(tmp_path)],
        save_checkpoint=saved.append,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda true, all: true),
    )
    KeepLastStep(path).on_train_end(trainer, None)
    assert saved == [path] * behind
    trainer.checkpoint_callbacks = [ModelCheckpoint(tmp_path, monitor="val/elbo")]
    KeepLastStep(tmp_path / "none.ckpt").on_train_end(trainer, None)
    assert saved == [path] * behind


def test_a_run_between_two_checkpoints_keeps_its_last_step(tmp_path):
    short = [arg for arg in UNDRAWN if "every_n" not in arg]
    some = ["trainer.max_epochs=2", "data.source.num_structures=6", "data.limit=1"]
    metrics = train(prepare(compose(["model=se3", *short, *some]), tmp_path))
    assert np.isfinite(metrics["test/elbo"])  # of one structure, which has no spread
    stored = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["global_step"] == 2
    assert eqvae.load_vae(tmp_path).domain.num_atoms == 10


@pytest.mark.parametrize(
    "choices, sentence",
    [
        (
            ["model=se3", "callbacks=default"],
            "callbacks.pictures must draw .* callbacks=structures",
        ),
        (["model=se3", "symmetry=so2"], "symmetry must be of space, .* got SO.2."),
        (["model=se3", "latent=default"], "representation must be of space"),
        (["model=plain_structures", "latent=default"], "representation must be of space"),
        (["model=plain_structures", "symmetry=so2"], "symmetry must be of space"),
        (["arm=soft_lie", "model=plain_structures"], "symmetry must be of the plane .* got SE.3."),
    ],
)
def test_parts_of_the_plane_are_refused_before_training(choices, sentence, tmp_path):
    few = [arg for arg in TINY if not arg.startswith("callbacks.")]
    with pytest.raises(ValueError, match=sentence):
        prepare(compose([*choices, *few]), tmp_path)


def test_messages_call_structures_structures(runs, tmp_path):
    with pytest.raises(ValueError, match="model and objective can't judge the structures"):
        config = compose(["model=se3", *TINY])
        atoms = {"_target_": "eqvae.three.points.Points", "num_atoms": 9}
        config["model"]["decoder"]["domain"] = atoms
        prepare(config, tmp_path / "run")
    lost = SimpleNamespace(
        vae=SimpleNamespace(domain=Points(9)), objective=lambda *_: (torch.tensor(torch.nan), {})
    )
    with pytest.raises(ValueError, match="the loss of the first structures is nan"):
        check_first_batch(lost, "two")
    x = np.random.default_rng(0).normal(size=(3, 10, 3))
    for name, some in (("one", x[:1]), ("two", x[1:])):
        np.savez(tmp_path / f"{name}.npz", positions=some, elements=["C"] * 10)
    own = [
        f"data.source.{key}={tmp_path / name}"
        for key, name in (("path", "one.npz"), ("test", "two.npz"))
    ]
    data = build(compose(["data=structures", *own, "model=se3"])["data"])
    with pytest.raises(ValueError, match="needs at least 2 structures; there are 1"):
        data.setup()
    config = stored_config(runs["se3"][0])
    config["data"]["source"]["num_atoms"] = 12
    with pytest.raises(ValueError, match="data must be the structures that .* was 10 and is 12"):
        prepare(config, tmp_path / "again", resume=True)
    with pytest.raises(ValueError, match="the structures live on Points.* made for SquareGrid"):
        check_domain(SimpleNamespace(vae=SimpleNamespace(domain=SquareGrid(9))), Points(9))
    with pytest.raises(ValueError, match="StructurePictures draws structures, .* is of images"):
        StructurePictures().check(SimpleNamespace(domain=SquareGrid(9)))


@pytest.mark.parametrize(
    "choice",
    ["model=se3", "model=plain_structures", "experiment=adk", "experiment=conformers"],
)
def test_choices_compose(choice):
    config = compose([choice])
    assert config["domain"]["_target_"] == "eqvae.three.points.Points"
    assert config["callbacks"]["start"]["_target_"].endswith("StartFromMean")


def test_e3nn_is_imported_nowhere_but_in_functions_of_claims():
    root = Path(eqvae.__file__).parent
    importing = re.compile(r"^( *)(?:import|from) e3nn", flags=re.MULTILINE)
    for file in root.rglob("*.py"):  # that rooms import downwards only, test_layers holds
        for found in importing.finditer(file.read_text(encoding="utf-8")):
            assert file.is_relative_to(root / "claims") and found[1]
