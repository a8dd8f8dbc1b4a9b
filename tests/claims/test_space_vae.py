"""The rows about latents of structures hold, with short training."""

import pytest

from eqvae.claims.claim import HOLDS, all_claims
from eqvae.claims.rows import space_vae


@pytest.mark.parametrize("id", ["46/structures", "47/structures", "49/structures"])
def test_rows_hold(id, monkeypatch):
    monkeypatch.setattr(space_vae, "trained", lambda seed: short(seed))
    row = all_claims()[id]
    assert row.verdict(row.measure(0)) == HOLDS


def short(seed, whole=space_vae.trained):
    return whole(seed, 100)
