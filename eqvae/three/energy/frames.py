"""Frames of a molecule with energies and forces: what an energy is trained on.

    energies (F,) eV,   forces (F, N, 3) eV/Angstrom,   force = -dE/dx

`Frames` is data of any origin; `eqvae.three.energy.xtb` makes some by molecular dynamics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.data.sources.archive import FAULTS, opened
from eqvae.three.structures.lines import existing

SYMBOLS = (  # of the elements, by atomic number from 1
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr "
    "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf "
    "Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg "
    "Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
_KEYS = ("positions", "elements", "energies", "forces")
_CLOSE = 1e-3  # Angstrom: nearer atoms are called coincident


@dataclass(frozen=True)
class Frames:
    """F conformations of one molecule with their energies and forces.

    Attributes:
        positions: (F, N, 3) in float64, Angstrom.
        elements: chemical symbol of each atom, N of them.
        energies: (F,) in float64, eV; None where they are not known.
        forces: (F, N, 3) in float64, eV/Angstrom; None where they are not known.
        source: what they come from, for messages.

    Raises:
        ValueError: if shapes differ, a number is not finite, atoms coincide or are fewer than two.
    """

    positions: Tensor
    elements: tuple[str, ...]
    energies: Tensor | None = None
    forces: Tensor | None = None
    source: str = "frames"

    def __post_init__(self) -> None:
        check_positions(self.positions, self.elements, self.source)
        shape = self.positions.shape
        for name, expected in (("energies", shape[:1]), ("forces", shape)):
            value = getattr(self, name)
            if value is None:
                continue
            if value.shape != expected:
                raise ValueError(
                    f"{name} of {self.source} must be {tuple(expected)}, as its positions say; got "
                    f"{tuple(value.shape)}."
                )
            if not bool(value.isfinite().all()):
                raise ValueError(
                    f"{name} of {self.source} must be finite numbers; got NaN or infinity. Leave these "
                    f"frames out."
                )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.positions)

    def __getitem__(self, rows: Any) -> "Frames":
        """Some of the frames: a slice, a mask or an index tensor."""
        energies, forces = (
            None if value is None else value[rows] for value in (self.energies, self.forces)
        )
        return replace(self, positions=self.positions[rows], energies=energies, forces=forces)

    def labelled(self, name: str) -> Tensor:
        """The energies or the forces.

        Raises:
            ValueError: if they are not known.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(
                f"{name} of {self.source} must be there for this; got frames without them."
            )
        return value

    def split(self, *sizes: int) -> tuple["Frames", ...]:
        """Parts of the given numbers of frames, in the order of time, and last what is left.

        Frames of a path that follow each other resemble each other: parts are blocks, not draws.

        Raises:
            ValueError: if there are too few frames.
        """
        if sum(sizes) >= len(self):
            raise ValueError(
                f"sizes must leave a frame for the last part of {len(self)}; got {sizes}. Make more frames."
            )
        ends = [0, *np.cumsum(sizes).tolist(), len(self)]
        return tuple(self[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))


def check_elements(elements: Sequence[str], source: str = "this molecule") -> None:
    """Refuse what is no chemical symbol.

    Raises:
        ValueError: for the first that is none.
    """
    for element in elements:
        if element not in SYMBOLS:
            raise ValueError(
                f'elements of {source} must be chemical symbols, such as "C"; got {element!r}.'
            )


def check_positions(
    positions: Tensor, elements: tuple[str, ...], source: str = "these frames"
) -> None:
    """Refuse what no energy is defined for.

    Raises:
        ValueError: if positions are not (F, N, 3) with N >= 2, not finite, or two atoms coincide.
    """
    shape = tuple(positions.shape)
    if len(shape) != 3 or shape[2] != 3 or shape[0] == 0:
        raise ValueError(f"positions of {source} must be (frames, atoms, 3); got {shape}.")
    if shape[1] < 2:
        raise ValueError(
            f"{source} must have at least two atoms: an energy here is one of distances; got {shape[1]}."
        )
    if len(elements) != shape[1]:
        raise ValueError(
            f"elements of {source} must name each of the {shape[1]} atoms; got {len(elements)}."
        )
    check_elements(elements, source)
    if not bool(positions.isfinite().all()):
        raise ValueError(
            f"positions of {source} must be finite numbers; got NaN or infinity. Leave these frames out."
        )
    near = torch.cdist(positions.double(), positions.double())
    near.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    if float(near.min()) < _CLOSE:
        frame, rest = divmod(int(near.argmin()), shape[1] ** 2)
        raise ValueError(
            f"atoms of {source} must be apart; atoms {rest // shape[1]} and {rest % shape[1]} of frame "
            f"{frame} coincide. Leave this frame out."
        )


def read_frames(path: str | Path) -> Frames:
    """Frames from a npz of positions (F, N, 3), elements (N,), and if known energies (F,), forces (F, N, 3).

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no such file.
    """
    path = existing(path, "path")
    try:
        with opened(path) as stored:
            arrays = {name: np.asarray(stored[name]) for name in _KEYS if name in stored}
    except (*FAULTS, ValueError) as error:
        raise ValueError(
            f"{path} must be a .npz of frames, and is none or damaged. Write one with numpy.savez(path, "
            "positions=positions, elements=elements, energies=energies, forces=forces)."
        ) from error
    missing = [name for name in ("positions", "elements") if name not in arrays]
    if missing:
        raise ValueError(f"{path} must hold positions and elements; it lacks {', '.join(missing)}.")
    for name, array in arrays.items():
        if name != "elements" and array.dtype.kind not in "fiu":
            raise ValueError(f"{name} of {path} must be numbers; got {array.dtype}.")
    known = {
        name: torch.from_numpy(array.astype(np.float64))
        for name, array in arrays.items()
        if name != "elements"
    }
    return Frames(
        known["positions"],
        tuple(str(symbol) for symbol in arrays["elements"].ravel()),
        known.get("energies"),
        known.get("forces"),
        source=path.name,
    )
