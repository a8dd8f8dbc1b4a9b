"""Conformations of a small molecule, from molecular dynamics that is run once and kept.

A path of dynamics is no set of independent draws: frames that follow each other resemble each other. The last
fifth of the path is the test part, frames shortly before it are left out, and the rest is divided into
training and validation by blocks of time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.three.energy.xtb import MoleculeRecipe, molecule_frames
from eqvae.three.structures.structures import Structures
from eqvae.three.vae.alignment import laid_together
from eqvae.three.vae.sources import StructureSet, StructureSource, gyration
from eqvae.watch import watched

_BLOCKS, _TEST = 20, 4  # of equal time; the last of them are the test part
_APART = 400.0  # fs: frames of ethanol at 500 K farther apart differ as any two do


@dataclass(frozen=True)
class MoleculeConformers(StructureSource):
    """A molecule in vacuum, by dynamics with GFN2-xTB: read from the cache, or made in a minute or two.

    Structures are laid upon each other, as the molecule turns on its way: all of them are in one pose.

    Args:
        molecule: name of it in the G2 set of ase, such as "CH3CH2OH" (ethanol).
        num_frames: conformations along the path.
        spacing: femtoseconds between two of them.
        temperature: K.
        seed: of velocities and noise.

    Raises:
        ValueError: if a number is out of its range, or frames are too few to be parted.
    """

    molecule: str = "CH3CH2OH"
    num_frames: int = 900
    spacing: int = 20
    temperature: float = 500.0
    seed: int = 0

    def __post_init__(self) -> None:
        groups, is_test, kept = self._parts()
        if len(groups[kept & ~is_test].unique()) < 2 or not bool(is_test.any()):
            raise ValueError(
                f"num_frames must leave two blocks of frames besides the last fifth and the {_APART:g} fs "
                f"before it; got {self.num_frames}, {self.spacing} fs apart. Take more frames, or a larger "
                "spacing."
            )

    @property
    def recipe(self) -> MoleculeRecipe:
        """The dynamics, in steps of a femtosecond."""
        return MoleculeRecipe(
            molecule=self.molecule,
            num_frames=self.num_frames,
            spacing=self.spacing,
            temperature=self.temperature,
            seed=self.seed,
        )

    def load(self) -> StructureSet:
        """All conformations but those shortly before the test part.

        Raises:
            ImportError: if they have to be made, and ase or tblite is not installed.
            ValueError: if ase has no such molecule, or the cached file is damaged.
        """
        frames = molecule_frames(self.recipe, watch=watched)
        groups, is_test, kept = self._parts()
        x = laid_together(frames.positions[kept])
        structures = Structures(x, frames.elements, source=f"{self.molecule} by GFN2-xTB")
        return StructureSet(structures, is_test[kept], groups[kept], opening=gyration(x))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each frame: its block of time, whether it is for the test, whether it is kept, (num_frames,)."""
        recipe = self.recipe  # which checks the numbers
        frame = torch.arange(recipe.num_frames)
        groups = frame * _BLOCKS // recipe.num_frames
        is_test = groups >= _BLOCKS - _TEST
        until_test = ((~is_test).sum() - frame) * recipe.spacing * recipe.step
        return groups, is_test, is_test | (until_test >= _APART)
