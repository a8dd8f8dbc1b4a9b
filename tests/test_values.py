"""Values of every key: each is refused in one sentence with key and value, or trains a finite step."""

import logging
import warnings

import pytest

from eqvae.config import build, fill_data
from eqvae.overrides import values
from eqvae.training.run import prepare
from tests.training.runs import NO_PICTURES, tiny_config
from tests.values import configurations, fuzzed, made_part, put, trained_step

NONSENSE = (
    *("objective.beta=nan", "objective.beta=inf", "objective.beta=-1", "optimizer.lr=inf"),
    *("optimizer.lr=nan", "optimizer.lr=-1", "optimizer.weight_decay=-1", "optimizer.lr=fast"),
    *("+optimizer.betas=[0.9,1.5]", "+optimizer.betas=[0.9,nan]", "+optimizer.eps=-1"),
    *("trainer.gradient_clip_val=-1.0", "trainer.gradient_clip_val=nan", "trainer.max_epochs=0"),
    *(
        "trainer.max_epochs=-2",
        "trainer.max_epochs=1.5",
        "+trainer.max_steps=0",
        "trainer.max_time=soon",
    ),
    *("trainer.log_every_n_steps=-7", "trainer.check_val_every_n_epoch=-10", "trainer.precision=7"),
    *(
        "trainer.limit_train_batches=0",
        "trainer.limit_train_batches=1.5",
        "trainer.limit_val_batches=-1",
    ),
    *(
        "+trainer.accumulate_grad_batches=0",
        "trainer.num_sanity_val_steps=-2",
        "trainer.deterministic=3",
    ),
    *("callbacks.early_stopping.patience=-1", "callbacks.early_stopping.min_delta=inf"),
    *("callbacks.early_stopping.min_delta=-1", "callbacks.early_stopping.mode=best"),
    *("+callbacks.best.save_top_k=-2", "+callbacks.best.every_n_epochs=0", "callbacks.best.mode=7"),
    *("model.likelihood.variance=inf", "model.likelihood.variance=0", "model.encoder.hidden=0"),
    *(
        "model.encoder.hidden=8.5",
        "model.encoder.harmonics=3",
        "model.encoder=null",
        "data.batch_size=0",
    ),
    *("data.split=[0.5,nan,0.5]", "data.split=7", "data.pose.shift_scale=nan", "data.memory=-1"),
    *("scheduler.warmup=2", "scheduler.final=-1", "scheduler.warmup=nan", "seed=a"),
    *("trainer.callbacks=[]", "trainer.logger=true", "trainer.default_root_dir=x"),
)


@pytest.mark.parametrize("override", NONSENSE)
def test_nonsense_is_refused_by_name(override, tmp_path):
    key, _, value = override.lstrip("+").partition("=")
    config = fill_data(tiny_config(NO_PICTURES), (1, 33, 33))
    put(config, key, values([f"{key}={value}"])[key])
    with pytest.raises(ValueError) as caught:
        if key == "seed":
            prepare(config, tmp_path)
        made_part(config, key.split(".")[0], tmp_path)
    said = str(caught.value)
    assert key.split(".")[-1] in said or value in said
    assert len(said) < 700 and "\n" not in said


def test_a_thousand_random_values_end_in_a_sentence_or_a_step(tmp_path):
    """Of four families; `benchmarks/gate.py` tries more, and every accepted one."""
    logging.disable(logging.WARNING)
    accepted, refused = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, config in enumerate(configurations()[:4]):
            data = made_part(config, "data", tmp_path)
            for key, value, changed in fuzzed(config, 250, seed=number):
                try:
                    part = made_part(changed, key.split(".")[0], tmp_path)
                except ValueError as error:
                    said = str(error)
                    refused += 1
                    assert 0 < len(said) < 700 and "\n" not in said, (key, value)
                else:
                    accepted.append((key, changed, part if key.startswith("data.") else data))
        for key, changed, data in accepted[:: len(accepted) // 10]:
            try:
                assert trained_step(changed, data), key
            except ValueError:
                assert key.startswith(("model.", "objective.", "data.")), key
    logging.disable(logging.NOTSET)
    assert refused > 600 and len(accepted) > 50


def test_numbers_are_finite_wherever_they_stand():
    grid = {
        "_target_": "eqvae.nn.Localiser",
        "domain": {"_target_": "eqvae.domains.SquareGrid", "size": 20},
    }
    for scales in ([1.0, float("nan")], [float("inf")], [-float("inf"), 1]):
        with pytest.raises(ValueError, match=r"part.scales.\d must be a finite number"):
            build({**grid, "scales": scales}, path="part")
    with pytest.raises(ValueError, match="part.scales must be a list of float; got 'x'"):
        build({**grid, "scales": "x"}, path="part")
    with pytest.raises(
        ValueError, match=r"part.domain must be a SquareGrid \(a table with _target_\)"
    ):
        build({**grid, "domain": 20}, path="part")


def test_parts_that_do_not_fit_the_images_are_refused_before_training(tmp_path):
    config = fill_data(tiny_config(NO_PICTURES), (1, 33, 33))
    put(config, "model.decoder.harmonics.domain.size", 20)
    with pytest.raises(ValueError, match="model and objective can't judge the images"):
        prepare(config, tmp_path)
