"""The command that docks: it writes what it found, reads its own poses again, and refuses in one sentence."""

import csv
import json

import pytest
import torch

from eqvae.claims.rows.space_docking import complex_of
from eqvae.cli import dock
from eqvae.symmetry import SpaceMotions
from eqvae.symmetry.space import spin
from eqvae.symmetry.space_motions import space_motion
from eqvae.three.structures import Structures, read, write_pdb


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A complex of two chains, and the second one in another pose."""
    folder = tmp_path_factory.mktemp("dock")
    parts = complex_of(1, (30, 40))
    places, n = torch.cat(parts), 70
    chains = tuple("AB"[i >= 30] for i in range(n))
    numbers = tuple(str(i) for i in range(n))
    names = (("CA",) * n, ("ALA",) * n, numbers, chains)
    write_pdb(folder / "whole.pdb", Structures(places[None], ("C",) * n, *names))
    g = SpaceMotions().sample(1, shift=20.0, generator=torch.Generator().manual_seed(2)).double()
    moved = SpaceMotions().act(g, parts[1])
    text = "\n".join(f"C {x:.4f} {y:.4f} {z:.4f}" for x, y, z in moved.tolist())
    (folder / "part.xyz").write_text(f"40\n\n{text}\n")
    return folder, parts[1], moved


def test_ranked_poses_are_written(files, tmp_path, capsys):
    folder, part, moved = files
    dock.main(
        [f"receptor={folder}/whole.pdb", f"ligand={folder}/part.xyz", f"out={tmp_path}"]
        + ["poses=3", "candidates=8", "atoms=all"]
    )
    out, err = capsys.readouterr()
    assert "poses in" in out and "s a million" in out and "pose 1: score" in out
    poses = read(tmp_path / "poses.pdb")
    assert 1 <= len(poses) <= 3 and poses.num_atoms == 40
    assert (poses.positions[0] - part).norm(dim=1).max() < 0.1
    rows = list(csv.DictReader((tmp_path / "poses.csv").open()))
    stored = json.loads((tmp_path / "dock.json").read_text())
    assert len(rows) == len(stored["poses"]) == len(poses)
    assert stored["settings"]["how"] == "fit" and stored["times"]["num_poses"] > 1000
    numbers = {key: float(value) for key, value in rows[0].items()}
    turn = torch.tensor([[numbers[f"quaternion_{axis}"] for axis in "wxyz"]]).double()
    shift = torch.tensor([[numbers[f"shift_{axis}"] for axis in "xyz"]]).double()
    g = space_motion(spin(torch.zeros(1), turn), shift)
    assert torch.allclose(SpaceMotions().act(g, moved[None])[0], poses.positions[0], atol=2e-3)
    assert [float(row["score"]) for row in rows] == sorted(
        (float(row["score"]) for row in rows), reverse=True
    )


def test_docking_beside_the_receptor(files, tmp_path):
    folder, *_ = files
    dock.main(
        [f"receptor={folder}/whole.pdb", f"ligand={folder}/whole.pdb", f"out={tmp_path}"]
        + ["receptor_chains=A", "ligand_chains=B", "how=dock", "poses=2", "candidates=4"]
        + ["lmax=3", "step=6"]
    )
    stored = json.loads((tmp_path / "dock.json").read_text())
    assert stored["settings"] | {"how": "dock", "lmax": 3, "step": 6.0} == stored["settings"]
    assert read(tmp_path / "poses.pdb").num_atoms == 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ligand=a.pdb"], "receptor must be a file with a structure"),
        (["receptor=none.pdb", "ligand=none.pdb"], "there is none at 'none.pdb'"),
        (["receptor=a", "ligand=b", "kind=x"], "'kind=x' is not an option"),
        (["receptor=a", "ligand=b", "how=x"], "how must be one of fit, dock; got 'x'"),
        (["receptor=a", "ligand=b", "step=0"], "step must be a positive number, Angstrom; got '0'"),
        (["receptor=WHOLE", "ligand=WHOLE", "ligand_chains=C"], "which has A, B; got 'C'"),
        (["receptor=WHOLE", "ligand=WHOLE", "ligand_residues=HOH"], "with HOH none is left"),
        (["receptor=WHOLE", "ligand=WHOLE", "atoms=CB"], "got 'CB', it has CA"),
        (["receptor=WHOLE", "ligand=WHOLE", "how=dock", "atoms=CA"], "atoms is for how=fit"),
    ],
)
def test_faults_get_a_sentence(arguments, sentence, files, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        dock.main(
            [a.replace("WHOLE", f"{files[0]}/whole.pdb") for a in arguments] + [f"out={tmp_path}"]
        )
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
