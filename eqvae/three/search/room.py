"""Whether a search fits into memory, asked before it begins: later the system may just end the process."""

from eqvae.data.pixels import GIB
from eqvae.data.room import free_memory

_SHARE = 0.5  # of the memory that is free


def check_search(needed: float, what: str, instead: str) -> None:
    """Refuse what needs more than half of the memory that is free.

    Args:
        needed: bytes.
        what: needs them, such as "coefficients about 1,000 places".
        instead: how to need less, a sentence.

    Raises:
        ValueError: if it does not fit; where a system does not say what is free, nothing is refused.
    """
    free = free_memory()
    if free is not None and needed > _SHARE * free:
        raise ValueError(
            f"{what} need about {needed / GIB:.3g} GiB, and {free / GIB:.1f} GiB are free. {instead}"
        )
