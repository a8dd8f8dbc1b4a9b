"""Random changes of whole files: nothing is run, nothing written outside, and errors are sentences."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from eqvae.config import fill_data
from eqvae.training.run import train
from tests.mutations import (
    dumped,
    mutated,
    mutated_config,
    outcome,
    read_checkpoint,
    read_config,
    read_images,
)
from tests.strangers import watched
from tests.training.runs import NO_PICTURES, tiny_config, tiny_run

_draws = st.randoms(use_true_random=False, note_method_calls=False)
_quick = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def _checkpoint(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("mutated")
    train(tiny_run(folder, "model=plain", NO_PICTURES, "prior=normal"))
    return (folder / "checkpoints" / "best.ckpt").read_bytes()


@pytest.fixture(scope="module")
def _config() -> dict:
    return fill_data(tiny_config("model=plain"), (1, 28, 28), 80)


def _nothing_happens(read, path: Path, folder: Path) -> None:
    with watched(folder) as done:
        outcome(read, path)
    assert done == []


@_quick
@given(draw=_draws, in_text=st.booleans())
def test_mutated_configurations_do_nothing(draw, in_text, _config, tmp_path):
    content = dumped(_config)
    content = mutated(content, draw) if in_text else dumped(mutated_config(_config, draw))
    (tmp_path / "config.yaml").write_bytes(content)
    _nothing_happens(read_config, tmp_path, tmp_path)


@_quick
@given(draw=_draws)
def test_mutated_checkpoints_do_nothing(draw, _checkpoint, tmp_path):
    # most of a checkpoint are numbers; what describes them lies at its two ends
    ends = draw.choice((_checkpoint[:20_000], _checkpoint[-20_000:], _checkpoint))
    changed = mutated(ends, draw)
    content = _checkpoint.replace(ends, changed) if len(ends) < len(_checkpoint) else changed
    (tmp_path / "best.ckpt").write_bytes(content)
    _nothing_happens(read_checkpoint, tmp_path / "best.ckpt", tmp_path)


@_quick
@given(draw=_draws, kind=st.sampled_from(["PNG", "JPEG", "TIFF", "NPZ"]))
def test_mutated_images_do_nothing(draw, kind, tmp_path):
    content, name = io.BytesIO(), f"a.{kind.lower()}"
    values = np.arange(625, dtype=np.uint8).reshape(25, 25)
    if kind == "NPZ":
        np.savez(content, images=np.stack([values, values.T, values[::-1], values.T[::-1]]))
    else:
        Image.fromarray(values).save(content, kind)
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / name).write_bytes(mutated(content.getvalue(), draw))
    _nothing_happens(read_images, tmp_path / name, tmp_path)
