"""Structures in .npz archives of numpy: positions, elements, and names where they are known."""

from pathlib import Path

import numpy as np
import torch

from eqvae.data.sources.archive import FAULTS, Arrays, opened
from eqvae.three.structures.elements import symbol
from eqvae.three.structures.structures import Structures

TEXTS = ("names", "residue_names", "residue_ids", "chains")


def read_npz(path: Path, *, element: str | None = None) -> Structures:
    """Positions (F, N, 3) or (N, 3), Angstrom, and elements (N,), symbols or atomic numbers.

    Further keys are names, residue_names, residue_ids and chains, each (N,).

    Args:
        path: of the archive.
        element: of all atoms, where the archive does not say.

    Raises:
        ValueError: if it is no such archive.
    """
    try:
        with opened(path) as arrays:
            return _read(path, arrays, element)
    except FAULTS as error:
        raise ValueError(
            f"{path} can't be read as an .npz archive ({error!s:.200}). Write one with numpy.savez(path, "
            "positions=positions, elements=elements)."
        ) from error


def _read(path: Path, arrays: "Arrays", element: str | None) -> Structures:
    if "positions" not in arrays:
        raise ValueError(
            f"{path} must have a key positions; its keys are {', '.join(arrays) or 'none'}."
        )
    positions = np.asarray(arrays["positions"])
    if positions.dtype.kind not in "fiu" or positions.ndim not in (2, 3):
        raise ValueError(
            f"positions of {path} must be numbers (conformations, atoms, 3); got {positions.dtype} of shape "
            f"{positions.shape}."
        )
    positions = positions[None] if positions.ndim == 2 else positions
    count = positions.shape[1]
    if "elements" in arrays:
        written = [str(one) for one in np.asarray(arrays["elements"]).ravel().tolist()]
    elif element is not None:
        written = [element] * count
    else:
        raise ValueError(
            f"{path} must have a key elements, a symbol or atomic number for each atom; its keys are "
            f"{', '.join(arrays)}. Store them, or say element='C' for all."
        )
    elements = tuple(symbol(one) for one in written)
    if None in elements:
        raise ValueError(
            f"elements of {path} must be chemical symbols or atomic numbers; got "
            f"{written[elements.index(None)][:20]!r}."
        )
    texts = {
        key: tuple(str(one) for one in np.asarray(arrays[key]).ravel().tolist())
        for key in TEXTS
        if key in arrays
    }
    places = torch.from_numpy(positions.astype(np.float64))
    return Structures(places, elements, source=str(path), **texts)
