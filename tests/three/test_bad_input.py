"""What can't be right is refused in one sentence, or has a defined answer, before it costs memory or time."""

import numpy as np
import pytest
import torch

from eqvae.cli import dock
from eqvae.config import compose
from eqvae.three.energy import read_frames
from eqvae.three.search import align
from eqvae.three.search.docking import RigidDocking
from eqvae.three.search.fitting import RigidFit
from eqvae.three.structures import Structures, read
from eqvae.three.vae.datamodule import check_structures
from eqvae.three.vae.sources import StructureSet
from eqvae.training.run import prepare


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize(
    "x, sentence",
    [
        (normal(5, 2, 3), "at least 3 atoms"),
        (normal(2, 6, 3), "at least 3 conformations; .* has 2"),
        (normal(5, 6, 3) * torch.tensor([1.0, 0, 0]), "on one line"),
        (torch.zeros(5, 6, 3).double(), "on one line"),
        (normal(5, 6, 3) + 1e6, "at most 100,000 Angstrom; .* has 1e[+]06"),
    ],
)
def test_structures_without_a_pose_are_refused(x, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_structures(StructureSet(Structures(x, ("C",) * x.shape[1])))


def test_planar_and_coincident_atoms_have_a_pose():
    flat = normal(5, 6, 3) * torch.tensor([1.0, 1, 0])
    check_structures(StructureSet(Structures(flat, ("C",) * 6)))
    check_structures(StructureSet(Structures(flat[:, [0, 0, 1, 2, 3, 4]], ("C",) * 6)))


def test_atoms_of_one_place_are_counted_at_any_size(tmp_path):
    for scale in (1.0, 1e30):
        np.savez(tmp_path / "a.npz", positions=scale * normal(1, 9, 3).numpy(), elements=["C"] * 9)
        assert read(tmp_path / "a.npz").said == ()
    np.savez(tmp_path / "a.npz", positions=np.zeros((1, 9, 3)), elements=["C"] * 9)
    assert read(tmp_path / "a.npz").said[0].startswith("8 atoms")


def test_a_folder_is_no_file(tmp_path):
    for reader in (read, read_frames):
        with pytest.raises(ValueError, match="is a folder. Name a file in it"):
            reader(tmp_path)


def test_frames_are_refused_with_what_is_wrong_and_other_keys_are_left_alone(tmp_path):
    path = tmp_path / "frames.npz"
    with pytest.raises(FileNotFoundError, match="there is none"):
        read_frames(path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"must be a .npz of frames, .* Write one with") as found:
        read_frames(path)
    assert "pickle" not in str(found.value)
    known = {"positions": normal(4, 3, 3).numpy(), "elements": ["O", "H", "H"]}
    np.savez(path, **known, names=["O", "H1", "H2"])
    assert read_frames(path).elements == ("O", "H", "H")
    np.savez(path, **known, energies=["a"] * 4)
    with pytest.raises(ValueError, match="energies of .* must be numbers"):
        read_frames(path)


@pytest.mark.parametrize(
    "target, moving, more, sentence",
    [
        (torch.full((1, 9, 3), torch.nan), normal(1, 9, 3), {}, "target must be finite"),
        (
            normal(1, 9, 3),
            torch.zeros(1, 0, 3),
            {},
            r"moving must be \(B, N, 3\) with at least one",
        ),
        (
            torch.ones(1, 4, 3),
            torch.zeros(1, 4, 3),
            {},
            "no turn can be told; got sets in one place",
        ),
        (normal(2, 9, 3), normal(3, 9, 3), {}, "one of them one set; got 2 and 3"),
        (normal(1, 9, 3), normal(1, 9, 3), {"lmax": 0}, "of which every turn looks the same"),
    ],
)
def test_sets_that_no_turn_lays_upon_each_other_are_refused(target, moving, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        align(target, moving, **more)


@pytest.mark.parametrize(
    "search",
    [
        lambda x: RigidFit(step=1e-4)(x, x[:9]),
        lambda x: RigidFit(lmax=100_000)(x, x[:9]),
        lambda x: RigidDocking(step=1e-4)(x, "C" * len(x), x[:9], "C" * 9),
        lambda x: RigidDocking(lmax=100_000)(x, "C" * len(x), x[:9], "C" * 9),
        lambda x: RigidDocking()(x, "C" * len(x), 1e7 * x[:9], "C" * 9),
        lambda x: RigidDocking(step=1e7)(1e7 * x, "C" * len(x), x[:9], "C" * 9),
    ],
)
def test_searches_that_memory_cannot_hold_say_how_much_it_would_be(search):
    with pytest.raises(ValueError, match=r"need about .* GiB, and .* GiB are free"):
        search(8 * normal(40, 3))


def test_docking_refuses_by_the_atoms_it_counts_and_writes_into_folders(tmp_path, capsys):
    methane = torch.cat([torch.zeros(1, 3).double(), normal(4, 3)])
    with pytest.raises(ValueError, match="ligand without its hydrogens .* got 1 point[.]"):
        RigidDocking()(8 * normal(40, 3), "C" * 40, methane, "CHHHH")
    np.savez(tmp_path / "a.npz", positions=normal(9, 3).numpy(), elements=["C"] * 9)
    with pytest.raises(SystemExit):
        dock.main([f"{key}={tmp_path}/a.npz" for key in ("receptor", "ligand", "out")])
    assert "out must be a folder" in capsys.readouterr().err


def test_atoms_of_different_elements_are_never_alike(tmp_path):
    np.savez(tmp_path / "a.npz", positions=normal(9, 3, 3).numpy(), elements=["O", "H", "H"])
    own = [f"data.source.path={tmp_path / 'a.npz'}", "data=structures", "model=se3", "logger=none"]
    prepare(compose([*own, "model.equivalent=[[0,2,1]]"]), tmp_path / "right")
    with pytest.raises(ValueError, match="with atom 1, H, in the place of atom 0, O. Count them"):
        prepare(compose([*own, "model.equivalent=[[1,0,2]]"]), tmp_path / "wrong")
