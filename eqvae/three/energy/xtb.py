"""Frames of a small molecule: made once by molecular dynamics with GFN2-xTB, and kept.

It needs ase and tblite, the extra `molecules`, unless the file is there.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from eqvae.arguments.names import closest
from eqvae.files import cache_folder, user_path, written
from eqvae.three.energy.frames import Frames, read_frames
from eqvae.watch import Watch, unwatched


@dataclass(frozen=True)
class MoleculeRecipe:
    """Langevin dynamics of a molecule in vacuum under GFN2-xTB.

    Attributes:
        molecule: name of it in the G2 set of ase, such as "CH3CH2OH" (ethanol).
        num_frames: frames that are kept.
        spacing: steps between two of them.
        start: steps before the first.
        step: fs.
        temperature: K.
        friction: 1/fs.
        seed: of velocities and noise.

    Raises:
        ValueError: if a number is out of its range, or the molecule's name is not one word.
    """

    molecule: str = "CH3CH2OH"
    num_frames: int = 900
    spacing: int = 20
    start: int = 2000
    step: float = 1.0
    temperature: float = 500.0
    friction: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.molecule):  # it is part of a file's name
            raise _unknown(self.molecule)
        if min(self.num_frames, self.spacing) < 1 or min(self.start, self.seed) < 0:
            raise ValueError(
                "num_frames and spacing must be at least 1, start and seed at least 0; got "
                f"{self.num_frames}, {self.spacing}, {self.start} and {self.seed}."
            )
        if not min(self.step, self.temperature, self.friction) > 0:
            raise ValueError(
                f"step (fs), temperature (K) and friction (1/fs) must be positive; got {self.step}, "
                f"{self.temperature} and {self.friction}."
            )

    @property
    def name(self) -> str:
        """Of the file: it changes with everything above, and with what `_dynamics` does."""
        told = json.dumps({"method": "GFN2-xTB", "version": 3, **asdict(self)}, sort_keys=True)
        return f"{self.molecule}_{hashlib.sha256(told.encode()).hexdigest()[:12]}.npz"


def molecule_frames(
    recipe: MoleculeRecipe | None = None,
    folder: str | Path | None = None,
    watch: Watch = unwatched,
) -> Frames:
    """Frames of a molecule, read from the cache or made there: of ethanol in two minutes on one core.

    The same recipe on another machine draws the same noise, but a path of molecular dynamics forgets its
    rounding within a few hundred steps: other frames of the same distribution.

    Args:
        recipe: of the dynamics; None for 900 frames of ethanol at 500 K.
        folder: of the file; None for $XDG_CACHE_HOME/eqvae, ~/.cache/eqvae unless that is set.
        watch: shows the progress, see `eqvae.watch`.

    Raises:
        ImportError: if they have to be made, and ase or tblite is not installed.
        ValueError: if the file is damaged, ase has no such molecule of two atoms or more, or GFN2-xTB can't
            be solved on the way.
    """
    recipe = recipe or MoleculeRecipe()
    root = user_path(folder) if folder is not None else cache_folder()
    path = root / recipe.name
    if not path.is_file():
        arrays = _dynamics(recipe, watch)
        root.mkdir(parents=True, exist_ok=True)
        with written(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
    try:
        return read_frames(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged. Delete it to make it again.") from error


def _dynamics(recipe: MoleculeRecipe, watch: Watch) -> dict[str, np.ndarray]:
    try:
        from ase import units
        from ase.build import molecule
        from ase.calculators.calculator import CalculationFailed
        from ase.collections import g2
        from ase.md.langevin import Langevin
        from ase.md.velocitydistribution import thermalize_momenta
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(
            f"frames of {recipe.molecule} have to be made, which needs ase and tblite ({error}): pip install "
            '"eqvae[molecules]".'
        ) from error
    from threadpoolctl import threadpool_limits

    if recipe.molecule not in g2.names:
        raise _unknown(recipe.molecule, g2.names)
    atoms = molecule(recipe.molecule)
    if len(atoms) < 2:
        raise ValueError(f"molecule must have at least two atoms to move; got {recipe.molecule!r}.")
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    rng = np.random.default_rng(recipe.seed)
    thermalize_momenta(atoms, temperature_K=recipe.temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        timestep=recipe.step * units.fs,
        temperature_K=recipe.temperature,
        friction=recipe.friction / units.fs,
        fixcm=False,  # it would change the distribution; the centre is taken off below
        rng=rng,
    )
    kept: dict[str, list] = {"positions": [], "energies": [], "forces": []}
    try:
        # threads that wait for each other make a step a hundred times longer
        with threadpool_limits(1):
            dynamics.run(recipe.start)
            for _ in watch(range(recipe.num_frames), f"{recipe.molecule} by GFN2-xTB"):
                dynamics.run(recipe.spacing)
                kept["positions"].append(atoms.get_positions() - atoms.get_center_of_mass())
                kept["energies"].append(atoms.get_potential_energy())
                kept["forces"].append(atoms.get_forces())
    except CalculationFailed as error:  # of atoms that came too near, or flew apart
        raise ValueError(
            f"GFN2-xTB finds no electrons for a frame of {recipe.molecule} at {recipe.temperature:g} K "
            f"({error}). Lower temperature, or take another molecule."
        ) from error
    return {name: np.asarray(value) for name, value in kept.items()} | {
        "elements": np.asarray(atoms.get_chemical_symbols())
    }


def _unknown(molecule: str, names: Sequence[str] = ()) -> ValueError:
    return ValueError(
        f"molecule must be a name in ase's G2 set; got {molecule!r}{closest(molecule, names)} See them by "
        'python -c "from ase.collections import g2; print(*g2.names)"'
    )
