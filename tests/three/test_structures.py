"""Readers of structures: what was written comes back, other readers agree, and faults get a sentence."""

import gzip
import struct
import warnings

import numpy as np
import pytest
import torch

from eqvae.three.structures import AdenylateKinase, Structures, mdanalysis_tests, read, write_pdb
from eqvae.three.structures import archive as archive_module
from eqvae.three.structures.elements import symbol, symbol_of_mass, symbol_of_name

ATOMS = (
    *(
        ("N", "N", "GLY", "1"),
        ("CA", "C", "GLY", "1"),
        ("C", "C", "GLY", "1"),
        ("O", "O", "GLY", "1"),
    ),
    *(("N", "N", "SER", "1A"), ("CA", "C", "SER", "1A"), ("OG", "O", "SER", "1A")),
    *(("CA", "Ca", "CA", "900"), ("CL1", "Cl", "LIG", "901"), ("C12", "C", "LIG", "901")),
    ("HG11", "H", "VAL", "-5"),
)


@pytest.fixture
def made() -> Structures:
    places = 10 * torch.randn(3, len(ATOMS), 3, generator=torch.Generator().manual_seed(0)).double()
    names, elements, residues, numbers = zip(*ATOMS, strict=True)
    chains = tuple("AB"[i > 6] for i in range(len(ATOMS)))
    return Structures(places.round(decimals=3), elements, names, residues, numbers, chains)


def line(
    name=" CA ", altloc=" ", residue="GLY", chain="A", number="   1 ", at=(1, 2, 3), occupancy=1.0,
    element=" C", record="ATOM  ",
) -> str:  # fmt: skip
    x, y, z = at
    return (
        f"{record}    1 {name}{altloc}{residue} {chain}{number}   {x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}"
        f"  0.00          {element}"
    )


def described(one: Structures):
    return one.elements, one.names, one.residue_names, one.residue_ids, one.chains


@pytest.mark.parametrize("ending", [".pdb", ".pdb.gz", ".ent"])
def test_a_pdb_file_comes_back(made, tmp_path, ending):
    path = tmp_path / "a.pdb"
    write_pdb(path, made, remarks=["score 1"])
    if ending == ".pdb.gz":
        (tmp_path / "a.pdb.gz").write_bytes(gzip.compress(path.read_bytes()))
    else:
        path.rename(tmp_path / f"a{ending}")
    again = read(tmp_path / f"a{ending}")
    assert torch.equal(again.positions, made.positions) and described(again) == described(made)
    assert read(tmp_path / f"a{ending}", hetero=False).num_atoms == 8


def test_another_reader_reads_what_was_written(made, tmp_path):
    pdb = pytest.importorskip(
        "biotite.structure.io.pdb", reason="biotite is in the extra molecules"
    )
    write_pdb(tmp_path / "a.pdb", made)
    theirs = pdb.PDBFile.read(tmp_path / "a.pdb").get_structure()
    np.testing.assert_allclose(theirs.coord, made.positions, atol=1e-4)
    assert tuple(theirs.atom_name) == made.names and tuple(theirs.chain_id) == made.chains
    assert tuple(s.capitalize() for s in theirs.element) == made.elements
    assert [f"{n}{c}" for n, c in zip(theirs.res_id, theirs.ins_code, strict=True)] == list(
        made.residue_ids
    )


def test_the_place_of_highest_occupancy_is_taken_and_said(tmp_path):
    pdb = pytest.importorskip(
        "biotite.structure.io.pdb", reason="biotite is in the extra molecules"
    )
    lines = [
        line(" N  ", element=" N", at=(0, 0, 0)),
        line(" CA ", "A", at=(1, 0, 0), occupancy=0.4),
        line(" CA ", "B", at=(2, 0, 0), occupancy=0.6),
        line(" CB ", "A", at=(1, 1, 0), occupancy=0.4),
        line(" CB ", "B", at=(2, 2, 0), occupancy=0.6),
        line(" CA ", "A", number="   2 ", at=(5, 0, 0), occupancy=0.5),
        line(" CA ", "B", number="   2 ", at=(6, 0, 0), occupancy=0.5),
    ]
    (tmp_path / "a.pdb").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "a.pdb")
    assert found.positions[0, :, 0].tolist() == [0, 2, 2, 5]
    assert found.said[0].startswith("3 further places of atoms in a.pdb are left out")
    theirs = pdb.PDBFile.read(tmp_path / "a.pdb").get_structure(1, altloc="occupancy")
    np.testing.assert_allclose(theirs.coord, found.positions[0])


def test_gaps_and_atoms_in_one_place_are_said(tmp_path):
    chain = [line(number=f"{i:4d} ", at=(3.8 * i, 0, 0)) for i in (1, 2, 3, 7, 8)]
    (tmp_path / "a.pdb").write_text("\n".join([*chain, chain[0]]))
    gap, same = read(tmp_path / "a.pdb").said
    assert gap.startswith("chain A of a.pdb has 2 gaps, after residues 3, 8")
    assert same == "1 atom of a.pdb lies in the place of another one."
    chain[2] = line(number="   3 ", residue="CSO", at=(11.4, 0, 0)).replace("ATOM  ", "HETATM")
    (tmp_path / "a.pdb").write_text(
        "\n".join([*chain, line(" CA ", residue="LIG").replace("ATOM  ", "HETATM")])
    )
    (gap,) = read(tmp_path / "a.pdb").said
    assert gap.startswith("chain A of a.pdb has a gap, after residue 3: ")


@pytest.mark.parametrize(
    ("name", "residue", "element"),
    [
        *((" CA ", "GLY", "C"), ("CA  ", "CA", "Ca"), (" CA ", "LIG", "C"), ("CL1 ", "LIG", "Cl")),
        *(("HG11", "LIG", "H"), ("1HB ", "ALA", "H"), ("FE  ", "HEM", "Fe"), ("SE  ", "MSE", "Se")),
        *(("SOD ", "SOD", "Na"), (" OP1", "DA", "O"), ("CD", "ARG", "C"), ("MW", "SOL", None)),
    ],
)
def test_an_element_is_derived_from_a_name(name, residue, element):
    assert symbol_of_name(name, residue) == element


@pytest.mark.parametrize(
    "element", ["Fe", "Zn", "Mg", "Mn", "Cu", "Co", "Ni", "Ca", "Na", "Cd", "Hg"]
)
def test_an_ion_is_its_element_wherever_its_name_begins(element):
    """A residue that is called as the element is it; carbons and hydrogens of ligands are the control."""
    bare = element.upper()
    for residue in (bare, f"{bare}2", f"3{bare}"):
        for name in (f"{bare}  ", f" {bare} ", f"  {bare}", bare):
            assert symbol_of_name(name, residue) == element
    other = {"Fe": "Fe", "Zn": "Zn", "Mg": "Mg", "Mn": "Mn"}.get(element, element[0])
    assert symbol_of_name(f" {bare} ", "LIG") == other


@pytest.mark.parametrize(
    ("name", "residue", "element"),
    [
        *((" FE ", "HEM", "Fe"), (" FE1", "SF4", "Fe"), ("FE", "HEC", "Fe"), (" BR ", "LIG", "Br")),
        *((" FAE", "LIG", "F"), (" F1 ", "LIG", "F"), (" PB ", "ATP", "P"), (" CU ", "LIG", "C")),
        *((" CO ", "LIG", "C"), ("CO  ", "B12", "Co"), ("CA1 ", "OEX", "Ca")),
        *(("CD10", "LIG", "C"), ("HG1 ", "EMC", "Hg"), (" B1 ", "LIG", "B"), (" TA1", "TBR", "Ta")),
    ],
)
def test_a_metal_one_column_off_is_told_from_what_ligands_have(name, residue, element):
    assert symbol_of_name(name, residue) == element


def test_an_element_one_column_off_is_read(tmp_path):
    ends = {"76-77": "ZN", "77-78": " ZN2+", "78-79": "  ZN", "none": ""}
    for end in ends.values():
        whole = line(name="ZN  ", residue=" ZN", record="HETATM", element="")[:75] + end
        (tmp_path / "a.pdb").write_text(f"{whole}\n{line(at=(9, 0, 0))}")
        assert read(tmp_path / "a.pdb").elements == ("Zn", "C")
    nitrogen = line(name=" N  ", element="")[:72] + "   ZN "  # control: a segment that ends in Z
    (tmp_path / "a.pdb").write_text(nitrogen)
    assert read(tmp_path / "a.pdb").elements == ("N",)


def test_symbols():
    assert [symbol(s) for s in ("c", "CL", "17", "D", "C12", "Zz")] == [
        "C",
        "Cl",
        "Cl",
        "H",
        "C",
        None,
    ]
    assert [symbol_of_mass(m) for m in (1.008, 12.011, 15.9994, 3.0)] == ["H", "C", "O", None]


@pytest.mark.parametrize("extended", [False, True])
def test_xyz_frames_agree_with_another_writer(made, tmp_path, extended):
    ase = pytest.importorskip("ase", reason="ase is in the extra molecules")
    from ase.io import write

    frames = [ase.Atoms(made.elements, positions=p.numpy()) for p in made.positions]
    for frame in frames:
        frame.arrays["forces"] = np.ones((len(frame), 3))
    more = {"columns": ["forces", "symbols", "positions"]} if extended else {}
    write(tmp_path / "a.xyz", frames, format="extxyz" if extended else "xyz", **more)
    again = read(tmp_path / "a.xyz")
    assert torch.allclose(again.positions, made.positions) and again.elements == made.elements


def test_npz(made, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, positions=made.positions.numpy(), elements=made.elements, names=made.names)
    again = read(path)
    assert torch.equal(again.positions, made.positions)
    assert (again.elements, again.names, again.chains) == (made.elements, made.names, None)
    np.savez(path, positions=made.positions[0].numpy())
    assert set(read(path, element="C").elements) == {"C"} and len(read(path, element="C")) == 1


def dcd(
    places: np.ndarray, order: str = "<", cell: bool = False, fixed: tuple[int, ...] = ()
) -> bytes:
    """A trajectory as CHARMM writes it; `fixed` are numbers of atoms from 1."""

    def block(content: bytes) -> bytes:
        size = struct.pack(f"{order}i", len(content))
        return size + content + size

    count = places.shape[1]
    head = [len(places), 0, 1, 0, 0, 0, 0, 0, len(fixed), 0, int(cell), *[0] * 8, 24]
    parts = [block(b"CORD" + struct.pack(f"{order}20i", *head))]
    parts += [
        block(struct.pack(f"{order}i", 1) + b"x" * 80),
        block(struct.pack(f"{order}i", count)),
    ]
    free = [i for i in range(1, count + 1) if i not in fixed]
    parts += [block(struct.pack(f"{order}{len(free)}i", *free))] if fixed else []
    for number, frame in enumerate(places):
        rows = frame[np.array(free) - 1] if fixed and number else frame
        parts += [block(struct.pack(f"{order}6d", *[50.0] * 6))] if cell else []
        parts += [block(axis.astype(f"{order}f4").tobytes()) for axis in rows.T]
    return b"".join(parts)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("fixed", [(), (1, 4)])
def test_dcd_with_a_pdb_file(made, tmp_path, order, cell, fixed):
    places = made.positions.float().numpy()
    places[:, [i - 1 for i in fixed]] = places[0, [i - 1 for i in fixed]]
    (tmp_path / "a.dcd").write_bytes(dcd(places, order, cell, fixed))
    write_pdb(tmp_path / "a.pdb", made[:1])
    found = read(tmp_path / "a.dcd", topology=tmp_path / "a.pdb")
    np.testing.assert_array_equal(found.positions, places)
    assert described(found) == described(made) and not found.said
    (tmp_path / "a.dcd").write_bytes(dcd(places, order, cell, fixed)[:-10])
    torn = read(tmp_path / "a.dcd", topology=tmp_path / "a.pdb")
    assert len(torn) == 2 and "says that it has 3 frames; 2 whole ones are read" in torn.said[0]


def test_another_reader_agrees_on_a_trajectory(made, tmp_path):
    pytest.importorskip("biotite", reason="biotite is in the extra molecules")
    from biotite.structure.io.dcd import DCDFile

    places = made.positions.float().numpy()
    (tmp_path / "a.dcd").write_bytes(dcd(places, cell=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(DCDFile.read(str(tmp_path / "a.dcd")).get_coord(), places)


PSF = """PSF CMAP

       2 !NTITLE
* A TITLE
*

       3 !NATOM
       1 4AKE 1    MET  N      56  -0.300000       14.0070           0
       2      2A   MET  CA     CT   0.070000       12.0110           0
       3 W    3    TIP3 OH2    OT  -0.834000       15.9994           0
"""


def test_psf(tmp_path):
    (tmp_path / "a.psf").write_text(PSF)
    (tmp_path / "a.dcd").write_bytes(dcd(np.arange(9.0).reshape(1, 3, 3)))
    found = read(tmp_path / "a.dcd", topology=tmp_path / "a.psf")
    assert described(found) == (
        ("N", "C", "O"), ("N", "CA", "OH2"), ("MET", "MET", "TIP3"), ("1", "2A", "3"), ("4AKE", "", "W"),
    )  # fmt: skip


TWO = "2\n\nC 0 0 0\nO 1 0 0\n"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.pdb", "REMARK\n", "holds no ATOM or HETATM record"),
        ("a.pdb", line().replace("1.000", "  nan"), "must be finite numbers"),
        ("a.pdb", line()[:40], "line 1 .* must have numbers in columns 31 to 54"),
        ("a.pdb", line(" X  ", residue="LIG", element="  "), "element of atom 'X' in line 1 .* not known"),
        (
            "a.pdb",
            f"MODEL 1\n{line()}\n{line(' N  ')}\nENDMDL\nMODEL 2\n{line()}\nENDMDL\n",
            "model 2 has 1 where the first has 2",
        ),
        (
            "a.pdb",
            f"MODEL 1\n{line()}\nENDMDL\nMODEL 2\n{line(' N  ')}\nENDMDL\n",
            "atom 1 of model 2 is A 1 GLY N, of the first A 1 GLY CA",
        ),
        ("a.pdb.gz", "not packed", "can't be unpacked"),
        ("a.xyz", "", "holds no atoms"),
        ("a.xyz", TWO + "1\n\nC 0 0 0\n", "frame 2 has 1 where the first has 2"),
        ("a.xyz", TWO + TWO.replace("O", "N"), "atom 2 of frame 2 is N, of the first O"),
        ("a.xyz", TWO.replace("O", "Q"), "line 4 .* must begin with a chemical symbol"),
        ("a.xyz", TWO[:-8], "frame 1 .* must have 2 atoms, as line 1 says; the file ends after 1"),
        ("a.xyz", TWO.replace("1 0 0", "1 0"), "must be an element and three numbers"),
        ("a.xyz", TWO + TWO.replace("1 0 0", "nan 0 0"), "first at atom 2 of conformation 2, 1 in all"),
        ("a.cif", "data", "path must end in one of .pdb, .ent, .xyz, .npz, .dcd"),
        ("a.dcd", "data", "topology must be the PSF or PDB file"),
        ("a.npz", "data", "can't be read as an .npz archive"),
    ],
)  # fmt: skip
def test_faults_get_a_sentence(name, text, sentence, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path / name)


def test_further_faults_get_a_sentence(made, tmp_path):
    with pytest.raises(FileNotFoundError, match="path must be a file; there is none at"):
        read(tmp_path / "none.pdb")
    np.savez(tmp_path / "a.npz", positions=np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="must have a key elements"):
        read(tmp_path / "a.npz")
    (tmp_path / "a.dcd").write_bytes(b"nothing")
    write_pdb(tmp_path / "a.pdb", made)
    with pytest.raises(ValueError, match="is no DCD trajectory"):
        read(tmp_path / "a.dcd", topology=tmp_path / "a.pdb")
    (tmp_path / "a.dcd").write_bytes(dcd(np.zeros((1, 5, 3))))
    with pytest.raises(ValueError, match="a.pdb has 11, frame 1 of a.dcd has 5"):
        read(tmp_path / "a.dcd", topology=tmp_path / "a.pdb")
    far = Structures(torch.full((1, 1, 3), 1e5).double(), ("C",))
    with pytest.raises(ValueError, match="must be -999.999 to 9999.999 Angstrom"):
        write_pdb(tmp_path / "far.pdb", far)
    assert not (tmp_path / "far.pdb").exists()
    with pytest.raises(ValueError, match="chains must be letters of chains .* A, B; got 'X'"):
        made.of_chains("X")
    assert made.of_chains("B").num_atoms == 4


def test_public_data_is_found_or_its_lack_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv(archive_module.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FileNotFoundError, match="can't be fetched .* set EQVAE_MDANALYSIS_TESTS"):
        mdanalysis_tests()
    assert not list((tmp_path / "cache" / "eqvae").iterdir())
    data = tmp_path / "MDAnalysisTests" / "data"
    data.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="folder must be where MDAnalysisTests"):
        mdanalysis_tests(tmp_path)
    (data / "adk.psf").write_text(PSF)
    (data / "adk_dims.dcd").write_bytes(dcd(np.arange(18.0).reshape(2, 3, 3)))
    monkeypatch.setenv(archive_module.VARIABLE, str(tmp_path))
    assert mdanalysis_tests() == data
    assert AdenylateKinase().load().positions.shape == (2, 1, 3)
    with pytest.raises(ValueError, match="path must be one of training, second"):
        AdenylateKinase("third")


def test_of_two_that_fetch_at_once_either_is_right(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "adk.psf").write_text(content)
        archive_module._put(tmp_path / "new", tmp_path / "whole")
        archive_module.shutil.rmtree(tmp_path / "new", ignore_errors=True)
    assert (tmp_path / "whole" / "adk.psf").read_text() == "first"
