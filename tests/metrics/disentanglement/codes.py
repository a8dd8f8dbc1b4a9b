"""Reference codes, and the information in their blocks, worked out once for all tests that ask for it."""

from functools import cache

import numpy as np

from eqvae.metrics.disentanglement.information import BlockInformation, block_information
from eqvae.metrics.disentanglement.reference_codes import ReferenceCodes, reference_codes

N = 600  # information costs its square


def in_other_basis(reference: ReferenceCodes, seed: int = 0) -> np.ndarray:
    """The codes after a random invertible map inside each block."""
    generator, codes = np.random.default_rng(seed), reference.codes.copy()
    for columns in reference.blocks.values():
        codes[:, columns] = codes[:, columns] @ generator.normal(size=(len(columns),) * 2) + 3
    return codes


@cache
def block_code(name: str, n: int = N) -> ReferenceCodes:
    """A reference code that no test may change."""
    return reference_codes(name, n=n)


@cache
def information(name: str, *, turned: bool = False, n: int = N) -> BlockInformation:
    """Of the blocks of a reference code, in its own basis or in another."""
    reference = block_code(name, n)
    codes = in_other_basis(reference) if turned else reference.codes
    return block_information(codes, reference.block_factors, blocks=reference.blocks)
