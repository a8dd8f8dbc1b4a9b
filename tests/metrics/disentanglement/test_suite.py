"""All measures together: names, legacy marks, and errors."""

import numpy as np
import pytest

from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.suite import disentanglement_scores


def test_every_measure_per_block_and_per_column() -> None:
    reference = reference_codes("se2", n=400)
    factors = {name: v for name, v in reference.block_factors.items() if name != "position"}
    seen = []
    scores = disentanglement_scores(
        reference.codes[:, :4],
        factors,
        blocks={"shape": [0], "scale": [1], "orientation": [2, 3]},
        progress=seen.append,
    )
    assert seen[0] == "infomec" and "legacy/dci" in seen
    for name in ("infomec/infom", "mig", "dci/disentanglement", "sap", "modularity", "factor_vae"):
        assert float(scores[name]) > 0.9 and not scores[name].legacy
    legacy = [name for name in scores if name.startswith("legacy/")]
    assert {"legacy/mig", "legacy/sap/discrete", "legacy/infomec/infoc"} <= set(legacy)
    assert all(scores[name].legacy or name.endswith("active") for name in legacy)
    assert all(score.page for score in scores.values())
    assert float(scores["legacy/mig/orientation"]) < 0.1


def test_without_blocks_everything_is_legacy() -> None:
    reference = reference_codes("axis", n=400)
    factors = {name: reference.factors[name] for name in ("shape", "scale")}
    scores = disentanglement_scores(reference.codes[:, :3], factors)
    assert all(name.startswith("legacy/") for name in scores)
    assert "legacy/explicitness" in scores


def test_constant_codes_are_null_everywhere() -> None:
    labels = {"a": np.arange(90) % 3, "b": np.arange(90) % 2}
    scores = disentanglement_scores(np.ones((90, 3)), labels, blocks={"all": [0, 1, 2]})
    values = {name: s.value for name, s in scores.items() if not name.endswith("active")}
    assert set(values.values()) <= {None}, values


def test_errors() -> None:
    labels = {"v": np.arange(20) % 2}
    codes = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="preset must be one of fast, full, dlib; got 'quick'"):
        disentanglement_scores(codes, labels, preset="quick")
    with pytest.raises(ValueError, match="blocks must share no column"):
        disentanglement_scores(codes, labels, blocks={"a": [0, 2]})
    with pytest.raises(ValueError, match="factors must name at least one factor"):
        disentanglement_scores(codes, {})
