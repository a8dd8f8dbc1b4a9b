"""What must hold on a GPU, tried without one: no step waits for a number, compiled models train alike."""

import pytest
import torch

from eqvae.config import build, fill_data
from eqvae.data.batch import Batch
from eqvae.training.divergence import Diverged, StopWhenDiverged
from eqvae.training.run import train
from tests.training.runs import FAMILIES, NO_PICTURES, SOFT, tiny_config, tiny_run

OBJECTIVES = ("elbo", "elbo_soft")


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_asks_the_device_for_no_number(family, objective):
    """On the meta device tensors have no values, so that any step that reads one fails."""
    if objective == "elbo_soft" and family in (*SOFT, "pose"):
        pytest.skip("the family takes another objective")
    config = fill_data(tiny_config(f"model={family}", f"objective={objective}"), (1, 33, 33))
    model, objective = build(config["model"]).to("meta"), build(config["objective"])
    batch = Batch(torch.rand(8, 1, 33, 33, device="meta"))
    loss, terms = objective(model, batch, 0)
    loss.backward()
    assert loss.is_meta and all(t.is_meta for t in terms.values() if torch.is_tensor(t))


def test_the_control_a_step_that_asks_for_a_number_fails():
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(torch.rand((), device="meta") > 0)


class Strategy:
    root_device = torch.device("cuda")

    def reduce_boolean_decision(self, decision, all):
        return decision


class OnDevice:
    """A trainer of an accelerator, as far as callbacks ask."""

    strategy = Strategy()
    world_size, is_last_batch, global_step = 1, False, 0

    @property
    def fit_loop(self):
        return self

    @property
    def epoch_loop(self):
        return self

    @property
    def batch_idx(self):
        return self.global_step


def test_a_loss_that_is_no_number_is_told_with_its_step_a_little_later():
    trainer, stop = OnDevice(), StopWhenDiverged()
    with pytest.raises(Diverged) as raised:
        for step in range(200):
            trainer.global_step = step
            loss = torch.tensor(float("nan") if step >= 60 else 1.0)
            stop.on_train_batch_end(trainer, None, {"loss": loss})
    assert raised.value.step == 60 and trainer.global_step == 99
    trainer, stop = OnDevice(), StopWhenDiverged()
    trainer.is_last_batch = True  # before the checkpoint of the epoch
    with pytest.raises(Diverged):
        stop.on_train_batch_end(trainer, None, {"loss": torch.tensor(float("inf"))})


def test_encoder_and_decoder_are_compiled_as_asked(tmp_path, monkeypatch):
    """That is all that is ours; making graphs takes torch longer than all other tests of this file."""
    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **how: asked.append((self, how)))
    more = ["callbacks=compiled", "callbacks.compile.mode=max-autotune", "trainer.max_epochs=1"]
    run = tiny_run(tmp_path, NO_PICTURES, *more)
    train(run)
    how = {"backend": "inductor", "mode": "max-autotune"}
    assert asked == [(run.module.vae.encoder, how), (run.module.vae.decoder, how)]
    with pytest.raises(ValueError, match="mode must be default, reduce-overhead or max-autotune"):
        tiny_run(tmp_path / "other", NO_PICTURES, *more[:1], "callbacks.compile.mode=fast")


def test_layers_that_can_not_be_compiled_are_named(tmp_path):
    run = tiny_run(tmp_path, "model=steerable", NO_PICTURES, "callbacks=compiled")
    with pytest.raises(ValueError, match="works with model=harmonic and model=pose"):
        train(run)
