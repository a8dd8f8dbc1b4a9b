"""Ethanol at 500 K: frames that are made once by molecular dynamics with GFN2-xTB, and kept.

It needs ase and tblite, the extra `molecules`, unless the file is there.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from eqvae.files import user_path, written
from eqvae.three.energy.frames import Frames, read_frames
from eqvae.watch import Watch, unwatched


@dataclass(frozen=True)
class EthanolRecipe:
    """Langevin dynamics of ethanol under GFN2-xTB.

    Attributes:
        num_frames: frames that are kept.
        spacing: steps between two of them.
        start: steps before the first.
        step: fs.
        temperature: K.
        friction: 1/fs.
        seed: of velocities and noise.
    """

    num_frames: int = 900
    spacing: int = 20
    start: int = 2000
    step: float = 1.0
    temperature: float = 500.0
    friction: float = 0.02
    seed: int = 0

    @property
    def name(self) -> str:
        """Of the file: it changes with everything above, and with what `_dynamics` does."""
        told = json.dumps({"method": "GFN2-xTB", "version": 3, **asdict(self)}, sort_keys=True)
        return f"ethanol_{hashlib.sha256(told.encode()).hexdigest()[:12]}.npz"


def ethanol(
    recipe: EthanolRecipe | None = None,
    folder: str | Path | None = None,
    watch: Watch = unwatched,
) -> Frames:
    """Frames of ethanol, read from the cache or made there: two minutes on one core.

    The same recipe on another machine draws the same noise, but a path of molecular dynamics forgets its
    rounding within a few hundred steps: other frames of the same distribution.

    Args:
        recipe: of the dynamics; None for 900 frames at 500 K.
        folder: of the file; None for $XDG_CACHE_HOME/eqvae, ~/.cache/eqvae unless that is set.
        watch: shows the progress, see `eqvae.watch`.

    Raises:
        ImportError: if they have to be made, and ase or tblite is not installed.
        ValueError: if the file is damaged.
    """
    recipe = recipe or EthanolRecipe()
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


def cache_folder() -> Path:
    """Where files that were made once are kept: $XDG_CACHE_HOME/eqvae, ~/.cache/eqvae unless that is set."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "eqvae"


def _dynamics(recipe: EthanolRecipe, watch: Watch) -> dict[str, np.ndarray]:
    try:
        from ase import units
        from ase.build import molecule
        from ase.md.langevin import Langevin
        from ase.md.velocitydistribution import thermalize_momenta
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(
            f'ethanol needs ase and tblite to make its frames ({error}): pip install "eqvae[molecules]".'
        ) from error
    from threadpoolctl import threadpool_limits

    atoms = molecule("CH3CH2OH")
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
    with threadpool_limits(
        1
    ):  # threads that wait for each other make a step a hundred times longer
        dynamics.run(recipe.start)
        for _ in watch(range(recipe.num_frames), "ethanol by GFN2-xTB"):
            dynamics.run(recipe.spacing)
            kept["positions"].append(atoms.get_positions() - atoms.get_center_of_mass())
            kept["energies"].append(atoms.get_potential_energy())
            kept["forces"].append(atoms.get_forces())
    return {name: np.asarray(value) for name, value in kept.items()} | {
        "elements": np.asarray(atoms.get_chemical_symbols())
    }
