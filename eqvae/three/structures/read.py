"""The one way to read structures: the ending of a file's name says what it is."""

from pathlib import Path

from eqvae.three.structures.arrays import read_npz
from eqvae.three.structures.dcd import read_dcd
from eqvae.three.structures.lines import existing, suffix_of
from eqvae.three.structures.pdb import read_pdb
from eqvae.three.structures.psf import Topology, read_psf
from eqvae.three.structures.structures import Structures
from eqvae.three.structures.xyz import read_xyz

FORMATS = (".pdb", ".ent", ".xyz", ".npz", ".dcd")
_SAME = 1e-3  # Angstrom, one unit of a PDB file's last decimal


def read(
    path: str | Path,
    *,
    topology: str | Path | None = None,
    hetero: bool = True,
    element: str | None = None,
) -> Structures:
    """Conformations from a PDB file (.pdb, .ent), XYZ (.xyz), each also in .gz, NumPy's .npz, or DCD (.dcd).

    Models of a PDB file, frames of an XYZ file and of a trajectory must have the same atoms. What was chosen
    on the way is in `said` of the result, a sentence each: alternative places, gaps, atoms in one place.

    Args:
        path: of the file.
        topology: of a DCD file: the PSF or PDB file that names its atoms.
        hetero: whether HETATM records of a PDB file count.
        element: symbol for all atoms of an .npz archive that has no elements.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it can't be read, or holds what can't be used.
    """
    path, ending = existing(path, "path"), suffix_of(path)
    if ending not in FORMATS:
        raise ValueError(
            f"path must end in one of {', '.join(FORMATS)}, the text formats also in .gz; got {path.name!r}."
        )
    if topology is not None and ending != ".dcd":
        raise ValueError(f"topology is for .dcd trajectories; {path.name} names its own atoms.")
    if ending == ".xyz":
        found = read_xyz(path)
    elif ending == ".npz":
        found = read_npz(path, element=element)
    elif ending == ".dcd":
        found = _trajectory(path, topology)
    else:
        found = read_pdb(path, hetero=hetero)
    return found.saying(_coincident(found))


def _trajectory(path: Path, topology: str | Path | None) -> Structures:
    if topology is None:
        raise ValueError(
            f"topology must be the PSF or PDB file that names the atoms of {path.name}: a DCD file holds "
            "places alone."
        )
    frames, atoms = read_dcd(path), _topology(existing(topology, "topology"))
    count = frames.positions.shape[1]
    if len(atoms.elements) != count:
        raise ValueError(
            f"topology must be of the same atoms: {Path(topology).name} has {len(atoms.elements)}, frame 1 "
            f"of {path.name} has {count}."
        )
    return Structures(
        frames.positions,
        atoms.elements,
        names=atoms.names,
        residue_names=atoms.residue_names,
        residue_ids=atoms.residue_ids,
        chains=atoms.chains,
        source=str(path),
        said=frames.said,
    )


def _topology(path: Path) -> "Topology | Structures":
    if suffix_of(path) == ".psf":
        return read_psf(path)
    if suffix_of(path) in (".pdb", ".ent"):
        return read_pdb(path)
    raise ValueError(f"topology must be a .psf or .pdb file; got {path.name!r}.")


def _coincident(structures: Structures) -> str:
    """A sentence if atoms of the first conformation lie in one place."""
    places = structures.positions[0]
    same = len(places) - len((places / _SAME).round().unique(dim=0))
    if not same:
        return ""
    atoms = "1 atom" if same == 1 else f"{same} atoms"
    lie = "lies" if same == 1 else "lie"
    return f"{atoms} of {Path(structures.source).name} {lie} in the place of another one."
