"""Claims about layers: each verdict, numbers below their bounds, and controls that fail, for another seed."""

import pytest
import torch

from eqvae.claims.claim import CONDITION, HOLDS
from eqvae.claims.rows import layers, layers_pooling, layers_sampling
from eqvae.nn import GaussianDownsample
from eqvae.symmetry import PlaneMotions
from eqvae.testing import controls

EXACT = {
    "1": CONDITION, "6": HOLDS, "7": HOLDS, "8": HOLDS, "9": HOLDS, "10": HOLDS,
    "12": CONDITION, "13": CONDITION, "14": HOLDS, "15": CONDITION, "18": CONDITION,
}  # fmt: skip


@pytest.fixture(scope="module")
def _claims():
    from eqvae.claims.claim import all_claims

    return all_claims()


@pytest.mark.parametrize("id", EXACT)
def test_exact_rows_are_exact_and_their_controls_are_not(id, _claims):
    row = _claims[id]
    measured = row.measure(5)
    assert row.verdict(measured) == EXACT[id]
    assert measured.value <= layers.EXACT and measured.control > 0.1


def test_poses_are_read_from_fibres():
    x = layers.noise(3)[:1]
    turns = torch.cat([torch.rot90(x, k, (-2, -1)) for k in range(4)])
    _, lift = layers.lifted(3)
    shuffled = lift(turns)[[0, 2, 1, 3]]
    assert layers_pooling.pose_error(lift(turns), 4) == 0
    assert layers_pooling.pose_error(shuffled, 4) == 45  # two of four are 90 degrees off


def test_the_centre_needs_no_interpolation():
    """A quarter turn is exact for the reader, and a bare step is worse than one behind a low-pass."""
    reader = layers_sampling.CentreReader(PlaneMotions.cyclic(8), 0, width=16)
    ways = [controls.NaiveStride(2), GaussianDownsample(reader.fields, 45)]
    angles = torch.tensor([0.5, 1.0, torch.pi / 2], dtype=torch.float64)
    raw, ours = layers_sampling.errors_over_angles(
        reader, layers_sampling.packets(0, 0.6, 4), angles, [way.double() for way in ways]
    ).T
    assert max(raw[-1], ours[-1]) < 1e-6
    assert 2 * ours[:2].mean() < raw[:2].mean()
