"""Pictures of an audit: a line for each part, a panel for mirrors, two bars for each layer."""

import numpy as np
import pytest

from eqvae.drawing.audit import layer_figure, polar_figure
from eqvae.metrics import AuditResult, LayerRow

CURVE = (np.arange(60, 360, 60.0), np.full(5, 1e-3))
PARTS = ("encoder", "resampling", "mirror/encoder")


def test_errors_by_angle():
    figure = polar_figure(AuditResult({}, sweeps=dict.fromkeys(PARTS, CURVE)))
    assert [axes.get_title() for axes in figure.axes] == ["rotations", "mirror, then rotations"]
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert labels == {"resampling (the test itself)", "encoder"}


def test_errors_by_layer():
    every = {"rotation": 0.2, "quarter_turn": 1e-6, "shift": 0.1}
    some = {kind: value for kind, value in every.items() if kind != "rotation"}
    rows = [LayerRow("a", "Conv", (1, 9, 9), 4, "map", every, every)]
    rows += [LayerRow("b", "C4", (4, 9, 9), 4, "fields", some, some)]
    figure = layer_figure(AuditResult({}, layers=rows))
    assert [axes.get_title() for axes in figure.axes] == ["quarter turn", "rotation", "shift"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["not in the group"]


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="sweeps must hold"):
        polar_figure(AuditResult({}))
    with pytest.raises(ValueError, match="layers must hold"):
        layer_figure(AuditResult({}))
