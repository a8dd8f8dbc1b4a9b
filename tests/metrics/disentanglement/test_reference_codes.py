"""Reference codes hold what they promise."""

from typing import get_args

import numpy as np
import pytest

from eqvae.metrics.disentanglement.reference_codes import Name, reference_codes
from eqvae.metrics.inputs import as_blocks, as_codes, as_factors


@pytest.mark.parametrize("name", get_args(Name))
def test_codes_factors_and_blocks_fit_together(name: str) -> None:
    reference = reference_codes(name, n=50)
    codes = as_codes(reference.codes)
    blocks = as_blocks(reference.blocks, codes.shape[1])
    assert sum(map(len, blocks.values())) == codes.shape[1]
    as_factors(reference.factors, 50)
    assert as_factors(reference.block_factors, 50)["position"].shape == (50, 2)


def test_the_seed_decides() -> None:
    first, same, other = (reference_codes("axis_noise", n=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.codes, same.codes)
    assert (first.codes != other.codes).any()


def test_half_turn_forgets_half_of_the_orientation() -> None:
    reference = reference_codes("half_turn", n=5000)
    values = np.unique(reference.codes[:, 2:4].round(6), axis=0)
    assert len(values) == 20  # of 40 orientations


def test_mix_is_an_orthogonal_map_of_the_standardised_se2_code() -> None:
    mixed, se2 = reference_codes("mix", n=100).codes, reference_codes("se2", n=100).codes
    standard = (se2 - se2.mean(axis=0)) / se2.std(axis=0)
    np.testing.assert_allclose(mixed @ mixed.T, standard @ standard.T, atol=1e-10)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="name must be one of axis, .*; got 'perfect'"):
        reference_codes("perfect")
