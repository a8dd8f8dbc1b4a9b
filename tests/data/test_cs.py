"""Tables of cryoSPARC: what is read is what is drawn, on scenes; what is not changed stays byte for byte."""

import math

import mrcfile
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from eqvae.config import build, compose
from eqvae.data import Cs, Star
from eqvae.data.formats.cs import CsFile
from eqvae.data.optics import ctf
from eqvae.data.sources.star import to_shift
from eqvae.symmetry.motions import angle_of, shift_of
from tests.data.test_star import MIXED, MIXED_COLUMNS, MIXED_STAR, drawn, reference
from tests.data.test_star import written as written_star

RANDOM = np.random.default_rng(0)
BLOB = [("uid", "<u8"), ("blob/path", "S64"), ("blob/idx", "<u4"), ("blob/psize_A", "<f4")]
ALIGNED = [(f"alignments2D/{name}", "<f4") for name in ("pose", "psize_A", "error")]
ALIGNED += [("alignments2D/shift", "<f4", (2,)), ("alignments2D/class", "<u4")]
CTF = [(f"ctf/{n}", "<f4") for n in ("df1_A", "df2_A", "accel_kv", "cs_mm", "amp_contrast")]
CTF += [("ctf/phase_shift_rad", "<f4"), ("ctf/type", "S9"), ("location/micrograph_uid", "<u8")]


def records(fields, **values):
    rows = np.zeros(len(next(iter(values.values()))), dtype=fields)
    for name in set(values) & set(rows.dtype.names):
        rows[name] = values[name]
    return rows


def saved(path, rows):
    with path.open("wb") as file:
        np.save(file, rows, allow_pickle=True)
    return path


def written(folder, n=6, size=24, fields=(*BLOB, *ALIGNED, *CTF), psize=3.0, **changes):
    """A .cs file and its stack, shifts of images binned by 2; returns the path, the angles and the shifts."""
    psi, shift = RANDOM.uniform(-np.pi, np.pi, n), RANDOM.uniform(-2, 2, (n, 2))
    images = [drawn(math.degrees(p), o, size) for p, o in zip(psi, shift, strict=True)]
    stack = folder / "J3" / "extract" / "a_particles.mrc"
    stack.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(stack, overwrite=True) as file:
        file.set_data(np.stack(images).astype("f4"))
        file.set_image_stack()
    values = {
        "uid": RANDOM.permutation(n).astype("u8") + np.uint64(2**63),
        "blob/path": [b">J3/extract/a_particles.mrc"] * n,
        "blob/idx": np.arange(n),
        "blob/psize_A": [1.5] * n,
        "alignments2D/pose": psi,
        "alignments2D/shift": shift * 1.5 / psize,
        "alignments2D/psize_A": [psize] * n,
        "alignments2D/error": RANDOM.normal(size=n),
        "alignments2D/class": np.arange(n) % 2 * 7,
        "ctf/df1_A": 10000 + 100 * np.arange(n),
        "ctf/df2_A": 10200 + 100 * np.arange(n),
        "ctf/accel_kv": [300.0] * n,
        "ctf/cs_mm": [2.7] * n,
        "ctf/amp_contrast": [0.1] * n,
        "ctf/type": [b"imported"] * n,
        "location/micrograph_uid": np.arange(n) % 3 + 2**62,
    } | changes
    (folder / "J5").mkdir(exist_ok=True)
    path = saved(folder / "J5" / "particles.cs", records(list(fields), **values))
    return path, psi, shift


@pytest.mark.parametrize("size", [24, 25])
def test_poses_are_those_that_are_drawn(tmp_path, size):
    """Where our motion moves the reference is where RELION, told pose and shift, draws it."""
    path, psi, shift = written(tmp_path, size=size)
    found = Cs(str(path)).load()
    np.testing.assert_allclose(angle_of(found.poses), psi, atol=1e-5)
    np.testing.assert_allclose(shift_of(found.poses), to_shift(shift, size), atol=1e-5)
    middle = (size - 1) / 2
    y, x = np.mgrid[:size, :size]
    points = np.stack([x - middle, middle - y], axis=-1)  # ours: about the centre, y up
    for pose, image in zip(found.poses.double(), found.images[:, 0].double().numpy(), strict=True):
        away = points - shift_of(pose[None]).numpy()[0]
        cos, sin = math.cos(angle_of(pose[None])), math.sin(angle_of(pose[None]))
        u, v = cos * away[..., 0] + sin * away[..., 1], -sin * away[..., 0] + cos * away[..., 1]
        assert np.corrcoef(reference(u, -v).ravel(), image.ravel())[0, 1] > 0.9999
        assert np.corrcoef(reference(u, v).ravel(), image.ravel())[0, 1] < 0.99  # a control


def relion_matrix(rot, tilt, psi):
    """RELION's Euler matrix, Euler_angles2matrix."""
    (ca, sa), (cb, sb), (cg, sg) = ((math.cos(a), math.sin(a)) for a in (rot, tilt, psi))
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


@pytest.mark.parametrize("tilt", [0.7, 2.5, 0.0, math.pi])
def test_without_2_d_alignments_the_in_plane_angle_is_that_of_3_d(tmp_path, tilt):
    psi, rot = RANDOM.uniform(-3, 3, 6), RANDOM.uniform(-3, 3, 6) * (math.sin(tilt) > 1e-9)
    matrices = [relion_matrix(r, tilt, p).T for r, p in zip(rot, psi, strict=True)]
    fields = [("alignments3D/pose", "<f4", (3,)), ("alignments3D/shift", "<f4", (2,))]
    own = {
        "alignments3D/pose": Rotation.from_matrix(matrices).as_rotvec(),
        "alignments3D/shift": np.ones((6, 2)),
    }
    path, _, _ = written(tmp_path, fields=[*BLOB, *fields, *CTF], **own)
    found = Cs(str(path)).load()
    apart = (angle_of(found.poses).double().numpy() - psi + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(apart, 0, atol=math.radians(0.01))
    np.testing.assert_allclose(shift_of(found.poses)[:, 0], -0.5)
    assert found.labels is None


def test_optics_classes_micrographs_and_names_are_kept(tmp_path):
    path, _, _ = written(tmp_path)
    found = Cs(str(path)).load()
    assert found.pixel_size.tolist() == [1.5] * 6
    frequency = torch.linspace(0, math.pi, found.transfer.shape[1], dtype=torch.float64)
    for i in range(6):
        expected = -ctf(frequency, 1.01 + 0.01 * i, 1.5, 300.0, 2.7, 0.1, 0.0)
        torch.testing.assert_close(found.transfer[i].double(), expected, atol=1e-4, rtol=0)
    assert Cs(str(path), ctf=False).load().transfer is None
    assert found.class_names == ("0", "7") and found.labels.tolist() == [0, 1] * 3
    assert found.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.names[2] == "000003@J3/extract/a_particles.mrc"
    assert not any("passthrough" in line for line in found.said)


def test_optics_of_each_particle_are_those_of_a_star_file_that_says_the_same(tmp_path):
    (tmp_path / "cs").mkdir()
    path, _, _ = written(tmp_path / "cs", **{f"ctf/{k}": v for k, v in MIXED.items()})
    star, _, _ = written_star(tmp_path, optics="", columns=MIXED_COLUMNS, **MIXED_STAR)
    found, expected = Cs(str(path)).load(), Star(str(star)).load()
    torch.testing.assert_close(found.transfer, expected.transfer, atol=1e-5, rtol=0)
    assert found.said[-1] == expected.said[-1] and "astigmatism of 200 Angstrom" in found.said[-1]


def test_what_the_results_lack_is_in_the_passthrough_file(tmp_path, monkeypatch):
    path, psi, _ = written(tmp_path)
    whole, rows = Cs(str(path)).load(), np.load(path)
    for name, fields in {"a.cs": (*BLOB, *ALIGNED), "b.cs": (BLOB[0], *CTF)}.items():
        names = [field[0] for field in fields]
        part = records(list(fields), **{n: rows[n] for n in names})
        saved(tmp_path / name, part[::-1] if name == "b.cs" else part)
    alone = Cs(str(tmp_path / "a.cs")).load()
    assert alone.groups is None and alone.transfer is None
    assert alone.said[-1].startswith(
        "the file has no location/micrograph_uid and no ctf/df1_A: data.source.passthrough=FILE"
    )
    monkeypatch.chdir(tmp_path)
    both = Cs("a.cs", passthrough="b.cs").load()
    for name in ("images", "poses", "transfer", "groups", "labels"):
        assert torch.equal(getattr(both, name), getattr(whole, name))
    assert both.settings["path"] == str(tmp_path / "a.cs")
    assert both.settings["passthrough"] == str(tmp_path / "b.cs")
    saved(tmp_path / "b.cs", np.load(tmp_path / "b.cs")[:4])
    with pytest.raises(ValueError, match="passthrough='b.cs' lacks 2 of the 6 particles"):
        Cs("a.cs", passthrough="b.cs").load()


def test_what_is_not_changed_stays_byte_for_byte(tmp_path):
    path, _, _ = written(tmp_path)
    file, rows = CsFile.read(path), [4, 0, 2]
    new = {"alignments2D/class": np.array([5, 6, 7]), "mine/x": np.ones((3, 2), "<f8")}
    out = file.changed(new, rows)
    assert out.dtype.names == (*file.fields, "mine/x") and out["mine/x"].shape == (3, 2)
    for name in file.fields:
        assert out.dtype[name] == file.rows.dtype[name]
        if name != "alignments2D/class":
            assert out[name].tobytes() == file.rows[name][rows].tobytes()
    assert out["alignments2D/class"].tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uid": [1, 2, 3, 3, 4, 5]}, "must come once each; uid 3 come again"),
        (
            {"blob/idx": [0, 1, 2, 3, 4, 0]},
            "come once each; 000001@J3/extract/a_particles.mrc come",
        ),
        ({"blob/idx": [0, 1, 2, 3, 4, 9]}, "holds 6 images; row 6 names image 10"),
        ({"blob/psize_A": [1.5] * 5 + [3.0]}, "must share one pixel size"),
        (
            {"fields": BLOB[:1] + CTF},
            "no blob/path and blob/idx, only fields of ctf, location, uid",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, message):
    path, _, _ = written(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        Cs(str(path)).load()


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ValueError, match="path of the .cs file is not set"):
        Cs().load()
    with pytest.raises(FileNotFoundError, match="there is no .*gone.cs"):
        Cs(str(tmp_path / "gone.cs")).load()
    path, _, _ = written(tmp_path)
    whole = path.read_bytes()
    objects = np.array([(1, "a")], dtype=[("uid", "<u8"), ("blob/path", "O")])
    for damaged, message in {
        whole[: len(whole) // 2]: "can't be read",
        whole[:40]: "can't be read",
        b"": "is no .cs file",
        b"\x94CSDAT" + whole: "stream format. Save it with cryosparc-tools",
        saved(tmp_path / "o", objects).read_bytes(): "can't be read .*[Oo]bject",
        saved(tmp_path / "o", np.ones(3)).read_bytes(): "holds numbers without fields",
        saved(tmp_path / "o", np.load(path)[:0]).read_bytes(): "holds no rows",
    }.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message) as error:
            Cs(str(path)).load()
        assert "\n" not in str(error.value)
    path.write_bytes(whole)
    (tmp_path / "J3" / "extract" / "a_particles.mrc").unlink()
    with pytest.raises(FileNotFoundError, match="Set data.source.root"):
        Cs(str(path)).load()


def test_the_configuration_builds_it(tmp_path):
    path, _, _ = written(tmp_path)
    data = build(compose(["data=cs", f"data.source.path={path}"])["data"], path="data")
    data.setup()
    assert data.image_shape == (1, 24, 24) and data.images.settings["path"] == str(path)
