"""Small molecules as data: a path of dynamics is read, laid in one pose, and split by time."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from eqvae.config import build, compose
from eqvae.data.splitting import split_rows
from eqvae.symmetry import SpaceMotions
from eqvae.three.energy.xtb import MoleculeRecipe, molecule_frames
from eqvae.three.vae import MoleculeConformers, StructureDataModule
from eqvae.three.vae.alignment import rmsd

SOURCE = MoleculeConformers("CH3OH", num_frames=120)
GROWTH = 0.01  # of the molecule, each frame: its size tells the time
APART = 20  # frames: 400 fs


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cached path of a molecule that grows and turns; its positions."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    draw = torch.Generator().manual_seed(0)
    shape = torch.randn(1, 6, 3, generator=draw, dtype=torch.float64)
    sizes = 1 + GROWTH * torch.arange(120, dtype=torch.float64)
    g = SpaceMotions().sample(120, shift=1.0, generator=draw).double()
    positions = SpaceMotions().act(g, sizes[:, None, None] * shape)
    (tmp_path / "eqvae").mkdir()
    np.savez(tmp_path / "eqvae" / SOURCE.recipe.name, positions=positions, elements=list("COHHHH"))
    return positions


def times(loaded):
    """When each structure was there, in frames: the first one is the first of the path."""
    return ((loaded.opening / loaded.opening[0] - 1) / GROWTH).round().long()


def between(a, b):
    """The time from each of a to the nearest of b, frames."""
    return (a[:, None] - b).abs().min(dim=1).values


def test_neighbours_in_time_come_into_one_split(kept):
    loaded = SOURCE.load()
    time = times(loaded)
    assert loaded.structures.elements == tuple("COHHHH") and len(loaded) == 120 - APART + 1
    parts = [time[rows] for rows in split_rows(loaded, (0.8, 0.1, 0.1), seed=0)]
    train, val, test = parts
    assert torch.equal(test, torch.arange(96, 120))
    assert between(test, torch.cat([train, val])).min() == APART
    assert float((between(val, train) == 1).double().mean()) <= 2 / 6  # both ends of a block
    control = replace(loaded, is_test=None, groups=None)
    train, val, test = (time[rows] for rows in split_rows(control, (0.8, 0.1, 0.1), seed=0))
    assert float((between(test, train) == 1).double().mean()) > 0.8


def test_structures_are_in_one_pose(kept):
    x = SOURCE.load().structures.positions
    alike = x / x.square().mean(dim=(1, 2), keepdim=True).sqrt()
    assert rmsd(alike, alike[:1]).max() < 1e-10
    turning = kept - kept.mean(dim=1, keepdim=True)
    turning = turning / turning.square().mean(dim=(1, 2), keepdim=True).sqrt()
    assert rmsd(turning, turning[:1]).max() > 1


def test_the_configuration_says_the_defaults_and_serves_the_path(kept):
    assert build(compose(["data=conformers", "model=se3"])["data"]).source == MoleculeConformers()
    own = ["data.source.molecule=CH3OH", "data.source.num_frames=120", "data/pose=moved"]
    data = build(compose(["data=conformers", "model=se3", *own])["data"])
    data.setup()
    assert isinstance(data, StructureDataModule) and len(data.test) == 24
    assert data.train[:].image.shape[1:] == (1, 6, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_frames": 25}, "num_frames must leave two blocks .* got 25, 20 fs apart"),
        ({"num_frames": 3, "spacing": 500}, "num_frames must leave two blocks"),
        ({"num_frames": 0}, "num_frames and spacing must be at least 1"),
        ({"seed": -1}, "seed at least 0"),
        ({"temperature": 0.0}, r"temperature \(K\) and friction .* must be positive"),
        ({"molecule": "../a"}, r"molecule must be a name .* got '../a'.*g2.names"),
    ],
)
def test_what_can_t_be_made_is_refused_before_the_dynamics(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        MoleculeConformers(**arguments)


def test_names_that_ase_does_not_know_and_what_can_t_be_solved_are_refused(tmp_path):
    pytest.importorskip("tblite", reason="needs the extra molecules")
    with pytest.raises(
        ValueError, match="got 'cyclobutan'; did you mean 'cyclobutane'[?].*g2.names"
    ):
        molecule_frames(MoleculeRecipe("cyclobutan"), tmp_path)
    with pytest.raises(ValueError, match="at least two atoms"):
        molecule_frames(MoleculeRecipe("H"), tmp_path)
    hot = MoleculeRecipe(num_frames=1, start=50, temperature=1e6)
    with pytest.raises(ValueError, match="no electrons for a frame of .* 1e[+]06 K .* Lower temp"):
        molecule_frames(hot, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(
        ImportError, match=r'frames of CH3CH2OH .* pip install "eqvae\[molecules\]"'
    ):
        MoleculeConformers().load()


def test_what_the_experiment_takes_for_alike_is_alike_in_ase_s_ethanol():
    build_ = pytest.importorskip("ase.build", reason="needs the extra molecules")
    atoms = build_.molecule("CH3CH2OH")
    x, kinds = torch.from_numpy(atoms.positions), atoms.numbers
    (order,) = compose(["experiment=conformers"])["model"]["equivalent"]
    assert (kinds[order] == kinds).all()
    bonds = torch.cdist(x, x) < 1.7
    assert torch.equal(bonds[order][:, order], bonds)

    def handedness(y):
        """Of the three hydrogens about the methyl carbon."""
        return torch.linalg.det(y[[6, 7, 8]] - y[0]).sign()

    assert handedness(x[order]) == handedness(x)
    swapped = [0, 1, 2, 3, 4, 5, 7, 6, 8]
    assert torch.equal(bonds[swapped][:, swapped], bonds)
    assert handedness(x[swapped]) == -handedness(x)  # only a mirror undoes this
