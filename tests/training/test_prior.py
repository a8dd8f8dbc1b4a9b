"""The last stage of a run: a prior is fitted to the latents of the trained encoder and stored beside it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import eqvae
from eqvae.data.batch import Batch
from eqvae.distributions.gaussian import GaussianPrior
from eqvae.distributions.orbit import OrbitPosedPrior, OrbitPrior, OrbitReader
from eqvae.distributions.priors import PosedPrior
from eqvae.symmetry import PlaneMotions, Representation
from eqvae.training.checkpoint import PRIOR, has_prior, read_checkpoint, store_prior
from eqvae.training.interruption import Interrupted
from eqvae.training.prior import FitOrbitPrior, KeepPrior, PriorStage, fit_prior
from eqvae.training.run import Run, train
from tests.training.runs import NO_PICTURES, resumed, tiny_run

QUICK = [
    NO_PICTURES,
    "prior=orbit",
    "trainer.limit_train_batches=2",
    "prior.components=2",
    "prior.rank=1",
]
KEPT = [NO_PICTURES, "trainer.limit_train_batches=2", "prior=normal"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, float]]:
    """A finished run, and its metrics."""
    run = tiny_run(tmp_path_factory.mktemp("runs") / "fitted", *QUICK)
    return run, train(run)


@pytest.fixture
def kept(tmp_path: Path) -> Run:
    """A finished run that kept the prior of training."""
    run = tiny_run(tmp_path / "kept", *KEPT)
    train(run)
    return run


def best(run: Run) -> Path:
    return run.folder / "checkpoints" / "best.ckpt"


class Counting(PriorStage):
    """Fits as another stage does, and counts how often; raises what it is given."""

    def __init__(self, stage: PriorStage, error: BaseException | None = None):
        self.stage, self.error, self.calls = stage, error, 0

    def __call__(self, model, data, watch):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.stage(model, data, watch)


def test_the_best_checkpoint_holds_the_fitted_prior(fitted):
    run, _ = fitted
    assert has_prior(run.folder) and set(read_checkpoint(best(run))[PRIOR]) == {"config", "weights"}
    assert not has_prior(run.folder / "checkpoints" / "last.ckpt")
    assert not list(run.folder.rglob("*.part"))
    vae, trained = eqvae.load_vae(run.folder), eqvae.load_vae(run.folder, fitted=False)
    assert isinstance(vae.prior, OrbitPrior) and isinstance(trained.prior, GaussianPrior)
    assert (vae.prior.mixture.components, vae.prior.mixture.rank) == (2, 1)
    assert not any(p.requires_grad for p in vae.prior.parameters()) and not vae.training
    z = vae.prior.sample(5, torch.Generator().manual_seed(0))
    again = eqvae.load_vae(run.folder).prior.log_prob(z)
    assert torch.equal(vae.prior.log_prob(z), again)
    assert not torch.equal(trained.prior.log_prob(z), again)


def test_posteriors_of_the_model_are_read_by_its_prior(fitted):
    run, _ = fitted
    vae, trained = eqvae.load_vae(run.folder), eqvae.load_vae(run.folder, fitted=False)
    batch = Batch(run.datamodule.test.images[:6])
    with torch.no_grad():
        q, plain = vae.encode(batch), trained.encode(batch)
    assert torch.equal(q.loc, plain.loc) and torch.equal(q.log_scale, plain.log_scale)
    assert isinstance(q.reader, OrbitReader) and q.cluster.shape == (6, 2)
    torch.testing.assert_close(q.cluster.exp().sum(1), torch.ones(6))
    assert plain.cluster is None


def test_the_gap_says_what_the_prior_wins(fitted):
    """Same weights, images and draws: only the KL differs, and the metrics hold all parts of it."""
    run, metrics = fitted
    written = json.loads((run.folder / "metrics.json").read_text())
    assert written == pytest.approx(metrics)
    kl = [v for name, v in metrics.items() if name.startswith("test/fitted/kl/")]
    assert sum(kl) == pytest.approx(metrics["test/fitted/kl"], rel=1e-5)
    assert metrics["test/prior_gap"] > 1  # after two steps N(0, I) is far from how latents lie
    gained = metrics["test/fitted/elbo"] - metrics["test/elbo"]
    noise = 5 * math.sqrt(run.module.vae.representation.dim / len(run.datamodule.test))
    assert metrics["test/prior_gap"] == pytest.approx(gained, abs=noise)
    assert metrics["prior/seconds"] > 0


def test_a_prior_that_is_there_is_not_fitted_again(fitted):
    run, metrics = fitted
    stage, before = Counting(run.prior_stage), best(run).read_bytes()
    model, found = fit_prior(stage, best(run), run.datamodule)
    assert stage.calls == 0 and best(run).read_bytes() == before
    assert isinstance(model.prior, OrbitPrior)
    assert found["test/prior_gap"] == pytest.approx(metrics["test/prior_gap"])


def test_a_stage_that_keeps_the_prior_leaves_the_run_as_it_was(kept):
    metrics = json.loads((kept.folder / "metrics.json").read_text())
    assert not has_prior(kept.folder)
    assert isinstance(eqvae.load_vae(kept.folder).prior, GaussianPrior)
    assert not [name for name in metrics if "prior" in name or "fitted" in name]
    before = best(kept).read_bytes()
    model, found = fit_prior(KeepPrior(), best(kept), kept.datamodule)
    assert found == {} and isinstance(model.prior, GaussianPrior)
    assert best(kept).read_bytes() == before


def test_a_run_that_kept_its_prior_can_get_one_later(kept):
    before = eqvae.load_vae(kept.folder)
    stage = Counting(FitOrbitPrior(components=3, rank=0, seed=1))
    state = torch.get_rng_state()
    model, found = fit_prior(stage, best(kept), kept.datamodule)
    assert torch.equal(state, torch.get_rng_state())
    assert stage.calls == 1 and found["test/prior_gap"] > 1
    loaded = eqvae.load_vae(kept.folder)
    assert loaded.prior.mixture.components == model.prior.mixture.components == 3
    same = dict(loaded.encoder.named_parameters()), dict(before.encoder.named_parameters())
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[1])


def test_the_pose_model_gets_a_posed_prior(tmp_path):
    run = tiny_run(tmp_path, *QUICK, "model=pose")
    metrics = train(run)
    vae, trained = eqvae.load_vae(tmp_path), eqvae.load_vae(tmp_path, fitted=False)
    assert isinstance(vae.prior, OrbitPosedPrior) and type(trained.prior) is PosedPrior
    assert {"test/prior_gap", "test/fitted/kl/pose"} <= set(metrics)
    with torch.no_grad():
        q = vae.encode(Batch(run.datamodule.test.images[:3]))
    assert q.cluster.shape == (3, 2)


def test_other_groups_and_fewer_images_can_be_asked_for(kept):
    stage = FitOrbitPrior(components=1, rank=0, symmetry=PlaneMotions.cyclic(4), images=30)
    seen = []
    stage.fit = replace(stage.fit, watch=lambda steps, what: steps)
    model = eqvae.load_vae(kept.folder)
    prior = stage(
        model, kept.datamodule, lambda steps, what: seen.append((what, len(steps))) or steps
    )
    assert prior.mixture.symmetry == PlaneMotions.cyclic(4) and prior.mixture.components == 1
    assert [what for what, _ in seen] == ["encoding", "encoding", "fitting the prior"]
    with pytest.raises(ValueError, match="images must be at least 1, or null for all; got 0"):
        FitOrbitPrior(images=0)
    with pytest.raises(ValueError, match=r"components must be from 1 to the 80 latents .* got 500"):
        FitOrbitPrior(components=500)(model, kept.datamodule)


def changed(run: Run, to: Path, change) -> Path:
    checkpoint = torch.load(best(run), weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, to)
    return to


def test_a_prior_of_other_latents_is_refused(fitted, tmp_path):
    run, _ = fitted
    file = changed(run, tmp_path / "other.ckpt", lambda c: c.pop(PRIOR))
    other = OrbitPrior(Representation((1, 1)), PlaneMotions.so2(), 2, 0)
    store_prior(file, other)
    with pytest.raises(
        ValueError,
        match=r"its fitted prior is of latents position \+ 1x0 \+ 1x1, its model's are .* Fit it again",
    ):
        eqvae.load_vae(file)
    eqvae.load_vae(file, fitted=False)  # the model itself is sound


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda prior: prior["weights"].pop("mixture.loc"), "is damaged"),
        (lambda prior: prior["weights"].update({"mixture.loc": torch.zeros(7)}), "is damaged"),
        (lambda prior: prior.pop("weights"), "is damaged"),
        (lambda prior: prior["config"].update(components=0), "components must be at least 1"),
        (lambda prior: prior["config"].update(_target_="os.system"), "refused|must start with"),
        (lambda prior: prior["config"].update(compnents=2), "compnents"),
    ],
)
def test_a_damaged_prior_is_refused_in_one_sentence(change, message, fitted, tmp_path):
    run, _ = fitted
    file = changed(run, tmp_path / "bad.ckpt", lambda c: change(c[PRIOR]))
    with pytest.raises(ValueError, match=r"bad.ckpt can't be rebuilt: its fitted prior.*") as error:
        eqvae.load_vae(file)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=message):
        eqvae.load_vae(file)


def test_a_stage_that_is_interrupted_goes_on_when_the_run_is_resumed(tmp_path):
    """What was trained and tested is written before; nothing is trained again."""
    run = tiny_run(tmp_path, *QUICK)
    run = replace(run, prior_stage=Counting(run.prior_stage, KeyboardInterrupt()))
    with pytest.raises(Interrupted) as stop:
        train(run)
    assert stop.value.checkpoint == tmp_path / "checkpoints" / "last.ckpt"
    before = json.loads((tmp_path / "metrics.json").read_text())
    assert "test/elbo" in before and "test/prior_gap" not in before
    assert not has_prior(tmp_path)
    weights = read_checkpoint(best(run))["state_dict"]
    metrics = train(resumed(tmp_path))
    assert has_prior(tmp_path) and metrics["test/prior_gap"] > 1
    assert metrics["test/elbo"] == before["test/elbo"]
    after = read_checkpoint(best(run))["state_dict"]
    assert all(torch.equal(weights[name], after[name]) for name in weights)
    assert json.loads((tmp_path / "metrics.json").read_text()) == pytest.approx(metrics)


def test_latents_that_allow_no_prior_keep_that_of_training(tmp_path):
    run = tiny_run(tmp_path, *QUICK)
    reason = ValueError("latents must be finite; 3 of 80 are not.")
    run = replace(run, prior_stage=Counting(run.prior_stage, reason))
    with pytest.warns(UserWarning, match="the prior of training stays: none could be .* 3 of 80"):
        metrics = train(run)
    assert not has_prior(tmp_path) and "test/prior_gap" not in metrics
    assert isinstance(eqvae.load_vae(tmp_path).prior, GaussianPrior)


def test_runs_of_before_go_on_without_a_stage(kept):
    """Their configuration has no `prior`: they keep the prior that they were trained with."""
    file = kept.folder / "config.yaml"
    config = OmegaConf.to_container(OmegaConf.load(file))
    config.pop("prior")
    config["trainer"]["max_epochs"] = 2
    OmegaConf.save(OmegaConf.create(config), file)
    run = resumed(kept.folder)
    assert isinstance(run.prior_stage, KeepPrior)
    metrics = train(run)
    assert not has_prior(kept.folder) and "test/prior_gap" not in metrics


def test_training_on_drops_a_prior_of_other_weights(tmp_path):
    """A prolonged run has other best weights, whose prior is fitted anew."""
    run = tiny_run(tmp_path, *QUICK, "scheduler=constant")
    train(run)
    before = eqvae.load_vae(tmp_path).prior.mixture.loc
    run = resumed(tmp_path)
    run.trainer.fit_loop.max_epochs = 3
    metrics = train(run)
    assert metrics["train/epochs"] == 3
    vae = eqvae.load_vae(tmp_path)
    assert not torch.equal(vae.prior.mixture.loc, before)
    stage = Counting(run.prior_stage)
    fit_prior(stage, best(run), run.datamodule)
    assert stage.calls == 0


@pytest.mark.parametrize(("order", "said"), [(8, True), (4, False)])
def test_a_symmetry_above_the_latent_is_said(order, said, recwarn):
    """Images of k-fold flowers, and a latent up to frequency 6."""
    from eqvae.config import build, compose
    from eqvae.training.prior import warn_of_symmetries

    model = build(compose([], image_shape=(1, 50, 50))["model"]).eval()
    harmonics = model.encoder.harmonics
    a = torch.zeros(20, harmonics.representation.dim)
    for block in harmonics.representation.blocks:
        if block.frequency in (0, order):
            a[:, block.slice] = 1.0
    images = harmonics.synthesise(harmonics.by_channel(a), torch.zeros(20, 2)).clamp(0, 1)
    batch = Batch(images)
    q = replace(model.encode(batch), loc=torch.zeros(20, model.representation.dim))
    warn_of_symmetries(model, batch, q)
    assert any("1/8 of a turn" in str(w.message) for w in recwarn.list) == said
