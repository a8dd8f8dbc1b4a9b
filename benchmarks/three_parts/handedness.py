"""L against D: 19 pairs of amino acids, a linear rule that never saw the residue type that it is asked about.

python benchmarks/three_parts/handedness.py

Both forms are ideal conformations of the PDB's chemical component dictionary, with copies whose atoms are
moved at random by 0.1 A, at random poses. Features are those of `eqvae.three.vae.handedness`.
"""

import json
import time
from typing import Any

import numpy as np
import torch

from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.three.structures import chemical_component
from eqvae.three.vae.handedness import surroundings

PAIRS = (
    "ALA:DAL ARG:DAR ASN:DSG ASP:DAS CYS:DCY GLN:DGN GLU:DGL HIS:DHI ILE:DIL LEU:DLE LYS:DLY MET:MED "
    "PHE:DPN PRO:DPR SER:DSN THR:DTH TRP:DTR TYR:DTY VAL:DVA"
)
COPIES, NOISE = 10, 0.1  # of each form; Angstrom
ELEMENTS = (
    "C",
    "N",
    "O",
)  # sulphur, in one pair in nineteen, would be unknown where it is left out
_RIDGE = 0.1


def measure(seeds: int = 3) -> dict[str, Any]:
    """Accuracy on residue types that were left out, from 0o and from 0e, in percent."""
    begin = time.perf_counter()
    names = [pair.split(":") for pair in PAIRS.split()]
    rows = {"0o": [], "0e": []}
    flipped = 0.0
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        features, sides = {"0e": [], "0o": []}, []
        for pair in names:
            for side, code in enumerate(pair):
                even, odd, mirrored = _features(code, generator)
                flipped = max(flipped, float((odd + mirrored).abs().max()))
                features["0e"].append(even)
                features["0o"].append(odd)
                sides += [1.0 - 2 * side] * len(even)
        of = np.repeat(np.arange(len(names)), 2 * COPIES)
        for kind, parts in features.items():
            x = torch.cat(parts).numpy()
            rows[kind].append(100 * _held_out(x, np.array(sides), of, affine=kind == "0e"))
    seconds = round(time.perf_counter() - begin, 1)
    found = {
        "what": "L against D on held-out residue types, % right",
        "value": float(np.mean(rows["0o"])),
        "target": 98.0,
        "met": float(np.mean(rows["0o"])) >= 98.0,
        "from_0e": float(np.mean(rows["0e"])),
        "by_seed": rows,
        "0o_plus_its_mirror_image": flipped,
        "seeds": seeds,
        "pairs": len(names),
        "seconds": seconds,
    }
    return {"rows": [found]}


def _features(code: str, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """0e, 0o, and 0o of the mirror image, of copies of a component without its hydrogens."""
    whole = chemical_component(code)
    atoms = whole.atoms(torch.tensor([e != "H" for e in whole.elements]))
    noise = torch.randn(COPIES, atoms.num_atoms, 3, generator=generator, dtype=torch.float64)
    g = SpaceMotions().sample(COPIES, shift=5.0, generator=generator).double()
    x = SpaceMotions().act(g, atoms.positions + NOISE * noise)
    kinds = torch.tensor([[float(e == kind) for kind in ELEMENTS] for e in atoms.elements])
    carbon = kinds[:, 0] > 0
    even, odd = surroundings(x, kinds, carbon)
    return even, odd, surroundings(-x, kinds, carbon)[1]


def _held_out(x: np.ndarray, side: np.ndarray, of: np.ndarray, *, affine: bool) -> float:
    """Accuracy of ridge regression to +1 and -1, on each type by the others; odd features need no offset."""
    right = []
    for left_out in np.unique(of):
        train, test = of != left_out, of == left_out
        mean = x[train].mean(0) if affine else 0.0
        scale = (x[train] - mean).std(0) + 1e-9
        a, b = (x[train] - mean) / scale, (x[test] - mean) / scale
        w = np.linalg.solve(a.T @ a + _RIDGE * len(a) * np.eye(a.shape[1]), a.T @ side[train])
        right.append(np.mean(np.sign(b @ w) == side[test]))
    return float(np.mean(right))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
