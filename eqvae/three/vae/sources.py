"""Where conformations come from: two paths of adenylate kinase, the user's files, or a generated chain."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from eqvae.three.structures.adenylate_kinase import AdenylateKinase
from eqvae.three.structures.archive import available
from eqvae.three.structures.read import read
from eqvae.three.structures.structures import Structures


@dataclass(frozen=True)
class StructureSet:
    """Conformations of one topology and what is known about them.

    Attributes:
        structures: all of them.
        is_test: the data's own test part, (F,) bool; None where there is none.
        groups: conformations of one group never come into two splits, (F,) int64.
        opening: how far open each one is, (F,): what content should find; None where not known.
        settings: what the source has chosen, as keys of its configuration.
    """

    structures: Structures
    is_test: Tensor | None = None
    groups: Tensor | None = None
    opening: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    symmetry_orders: None = None  # of classes, which structures of one topology have none of

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def said(self) -> tuple[str, ...]:
        """Lines about what was chosen in reading, for the user."""
        return self.structures.said


class StructureSource(ABC):
    """Where conformations come from."""

    @abstractmethod
    def load(self) -> StructureSet:
        """All conformations.

        Raises:
            FileNotFoundError: if files are missing.
            ValueError: if they can't be used.
        """


@dataclass(frozen=True)
class AdenylateKinasePaths(StructureSource):
    """Two independent paths of adenylate kinase from closed to open: the second one is the test split.

    Structures stand about their centroids, as the files turn them: each path in one pose of its own.

    Args:
        atom: name of the atoms to keep; None keeps all.
        folder: where the package's data lies unpacked; None for where it is fetched to.
        download: whether it may be fetched, 60 MB, where it is not there.
    """

    atom: str | None = "CA"
    folder: str | None = None
    download: bool = False

    def load(self) -> StructureSet:
        if not self.download and not available(self.folder):
            raise FileNotFoundError(
                "the paths of adenylate kinase are not on this machine. Set data.source.download=true to "
                "have them fetched from PyPI (60 MB, once)."
            )
        first, second = (
            AdenylateKinase(path, self.atom, self.folder).load() for path in ("training", "second")
        )
        places = torch.cat([first.positions, second.positions])
        together = replace(first, positions=places - places.mean(dim=1, keepdim=True))
        is_test = torch.arange(len(together)) >= len(first)
        return StructureSet(together, is_test, opening=gyration(together.positions))


@dataclass(frozen=True)
class StructureFile(StructureSource):
    """Conformations of the user's own: a trajectory, a PDB file of many models, XYZ or .npz.

    Args:
        path: of the file, see `eqvae.three.structures.read`.
        topology: of a DCD trajectory: the PSF or PDB file that names its atoms.
        test: a file of the same atoms that is the test split; None to split `path`.
        atom: name of the atoms to keep, such as "CA"; None keeps all.
        chains: letters of the chains to keep; None for all.
        element: symbol for all atoms of an .npz archive that has no elements.
    """

    path: str
    topology: str | None = None
    test: str | None = None
    atom: str | None = None
    chains: str | None = None
    element: str | None = None

    def load(self) -> StructureSet:
        first = self._read(self.path)
        if self.test is None:
            return StructureSet(first, opening=gyration(first.positions))
        second = self._read(self.test)
        if first.elements != second.elements:
            raise ValueError(
                f"test must hold the atoms of path: {self.path} has {first.num_atoms}, {self.test} "
                f"{second.num_atoms}, or their elements differ. Leave test out to split path."
            )
        together = replace(first, positions=torch.cat([first.positions, second.positions]))
        is_test = torch.arange(len(together)) >= len(first)
        return StructureSet(together, is_test, opening=gyration(together.positions))

    def _read(self, path: str) -> Structures:
        found = read(path, topology=self.topology, element=self.element)
        found = found if self.chains is None else found.of_chains(self.chains)
        return found if self.atom is None else found.named(self.atom)


@dataclass(frozen=True)
class HingedChains(StructureSource):
    """A generated chain of two arms that open about a hinge, with a second, smaller motion and noise.

    Args:
        num_structures: of them.
        num_atoms: in the chain.
        noise: of each coordinate, Angstrom.
        handed: whether half of them are mirror images.
        seed: of the motions and the noise.
    """

    num_structures: int = 200
    num_atoms: int = 24
    noise: float = 0.1
    handed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_structures < 3 or self.num_atoms < 6 or self.noise < 0:
            raise ValueError(
                f"num_structures must be >= 3, num_atoms >= 6 and noise >= 0; got {self.num_structures}, "
                f"{self.num_atoms} and {self.noise}."
            )

    def load(self) -> StructureSet:
        generator = torch.Generator().manual_seed(self.seed)
        n, count = self.num_atoms, self.num_structures
        opening = torch.rand(count, generator=generator, dtype=torch.float64)
        twist = torch.randn(count, generator=generator, dtype=torch.float64) * 0.2
        x = _hinged(n, math.radians(30) + math.radians(100) * opening, twist)
        x = x + self.noise * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        if self.handed:
            mirrored = torch.rand(count, generator=generator) < 0.5
            x = torch.where(mirrored[:, None, None], x * x.new_tensor([1.0, 1.0, -1.0]), x)
        atoms = Structures(x, ("C",) * n, source="hinged chains")
        return StructureSet(atoms, opening=opening)


def _hinged(n: int, angle: Tensor, twist: Tensor) -> Tensor:
    """Helical arms of n / 2 atoms each, at an angle to each other and twisted, (F, n, 3)."""
    along = torch.arange(n, dtype=torch.float64)
    arm = (along - (n - 1) / 2).abs()
    turn = 100 * math.pi / 180 * along
    helix = torch.stack([1.5 * arm, 2.3 * turn.cos(), 2.3 * turn.sin()], dim=1)
    second = along >= n / 2
    half = torch.where(second, 1.0, -1.0) * angle[:, None] / 2
    roll = torch.where(second, twist[:, None], 0 * twist[:, None])
    y, z = helix[:, 1], helix[:, 2]
    y, z = roll.cos() * y - roll.sin() * z, roll.sin() * y + roll.cos() * z
    x = helix[:, 0].expand_as(y)
    return torch.stack([half.cos() * x - half.sin() * y, half.sin() * x + half.cos() * y, z], dim=2)


def gyration(positions: Tensor) -> Tensor:
    """Radii of gyration of structures (F, N, 3), Angstrom, (F,)."""
    return (positions - positions.mean(dim=1, keepdim=True)).square().sum(2).mean(1).sqrt()
