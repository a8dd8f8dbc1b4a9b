"""STAR files: what is read is what RELION means, on drawn scenes; what is not changed stays as written."""

import math
import re

import mrcfile
import numpy as np
import pytest
import torch

from eqvae.data import Star
from eqvae.data.formats.star import StarFile
from eqvae.data.optics import ctf
from eqvae.data.sources.star import ParticleTable, to_offset, to_shift
from eqvae.symmetry.motions import angle_of, shift_of

RANDOM = np.random.default_rng(0)
OPTICS = """# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImagePixelSize #6
_rlnImageSize #7
1 "group one" 300.000000 2.700000 0.100000 1.500000 24

"""
COLUMNS = "rlnImageName rlnOpticsGroup rlnDefocusU rlnDefocusV rlnAnglePsi rlnOriginXAngst rlnOriginYAngst"
COLUMNS += " rlnClassNumber rlnMicrographName rlnMine"


def reference(x, y):
    """A head with a tail, at points about pixel N // 2, y from row to row."""
    head = np.exp(-((x - 4) ** 2 + (y + 1) ** 2) / 6)
    return head + 0.5 * np.exp(-((x + 2) ** 2) / 12 - (y - 1.5) ** 2 / 3)


def drawn(psi, origin, size):
    """What RELION means: the image at x shows the reference at A^-1 (x + o)."""
    y, x = np.mgrid[:size, :size] - size // 2
    cos, sin = math.cos(math.radians(psi)), math.sin(math.radians(psi))
    u, v = x + origin[0], y + origin[1]
    return reference(cos * u - sin * v, sin * u + cos * v)


def written(folder, n=6, size=24, optics=OPTICS, columns=COLUMNS, **changes):
    """A star file and its stack; returns the path, the angles and the origins in pixels."""
    psi, origin = RANDOM.uniform(-180, 180, n), RANDOM.uniform(-2, 2, (n, 2))
    images = np.stack([drawn(p, o, size) for p, o in zip(psi, origin, strict=True)])
    (folder / "Extract").mkdir(parents=True, exist_ok=True)
    with mrcfile.new(folder / "Extract" / "a.mrcs", overwrite=True) as file:
        file.set_data(images.astype("f4"))
        file.set_image_stack()
    values = {
        "rlnImageName": [f"{i + 1:06d}@Extract/a.mrcs" for i in range(n)],
        "rlnOpticsGroup": ["1"] * n,
        "rlnDefocusU": [f"{10000 + 100 * i:.6f}" for i in range(n)],
        "rlnDefocusV": [f"{10200 + 100 * i:.6f}" for i in range(n)],
        "rlnAnglePsi": [f"{p:.6f}" for p in psi],
        "rlnOriginXAngst": [f"{1.5 * o:.6f}" for o in origin[:, 0]],
        "rlnOriginYAngst": [f"{1.5 * o:.6f}" for o in origin[:, 1]],
        "rlnOriginX": [f"{o:.6f}" for o in origin[:, 0]],
        "rlnOriginY": [f"{o:.6f}" for o in origin[:, 1]],
        "rlnClassNumber": [str(1 + i % 2) for i in range(n)],
        "rlnMicrographName": [f"m{i % 3}.mrc" for i in range(n)],
        "rlnMine": [f"{i}.50  " for i in range(n)],
    } | changes
    names = columns.split()
    head = "\n".join(f"_{name} #{i + 1}" for i, name in enumerate(names))
    rows = "\n".join("  ".join(values[name][i] for name in names) for i in range(n))
    path = folder / "particles.star"
    block = "data_particles" if optics else "data_"
    path.write_text(f"{optics}{block}\n\nloop_\n{head}\n{rows}\n\n")
    return path, psi, origin


@pytest.mark.parametrize("size", [24, 25])
def test_poses_are_those_that_relion_means(tmp_path, size):
    """Seen the other way: where our motion moves the reference is where RELION draws it."""
    path, psi, _ = written(tmp_path, size=size)
    found = Star(str(path)).load()
    np.testing.assert_allclose(np.rad2deg(angle_of(found.poses)), psi, atol=1e-3)
    middle = (size - 1) / 2
    y, x = np.mgrid[:size, :size]
    points = np.stack([x - middle, middle - y], axis=-1)  # ours: about the centre, y up
    for pose, image in zip(found.poses.double(), found.images[:, 0].double().numpy(), strict=True):
        away = points - shift_of(pose[None]).numpy()[0]
        cos, sin = math.cos(angle_of(pose[None])), math.sin(angle_of(pose[None]))
        u, v = cos * away[..., 0] + sin * away[..., 1], -sin * away[..., 0] + cos * away[..., 1]
        expected = reference(u, -v)
        assert np.corrcoef(expected.ravel(), image.ravel())[0, 1] > 0.9999
        control = reference(u, v)  # y the other way
        assert np.corrcoef(control.ravel(), image.ravel())[0, 1] < 0.99


def test_origins_there_and_back():
    shift = RANDOM.normal(size=(5, 2))
    for size in (24, 25):
        np.testing.assert_allclose(to_shift(to_offset(shift, size), size), shift)


def test_optics_become_the_transfer_of_bright_particles(tmp_path):
    path, _, _ = written(tmp_path)
    found = Star(str(path)).load()
    assert found.pixel_size.tolist() == [1.5] * 6
    frequency = torch.linspace(0, math.pi, found.transfer.shape[1], dtype=torch.float64)
    for i in range(6):
        expected = -ctf(frequency, 1.01 + 0.01 * i, 1.5, 300.0, 2.7, 0.1, 0.0)
        torch.testing.assert_close(found.transfer[i].double(), expected, atol=1e-4, rtol=0)
    assert found.transfer[:, 0].min() > 0
    assert Star(str(path), ctf=False).load().transfer is None


MIXED = {
    "accel_kv": np.array([300.0, 200, 120, 300, 200, 120]),
    "cs_mm": np.array([2.7, 2.0, 0.01, 2.7, 2.0, 0.01]),
    "amp_contrast": np.array([0.1, 0.07, 0.0, 0.1, 0.1, 0.2]),
    "phase_shift_rad": np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
}
MIXED_COLUMNS = (
    "rlnImageName rlnDefocusU rlnDefocusV rlnVoltage rlnSphericalAberration rlnAmplitudeContrast"
)
MIXED_COLUMNS += " rlnPhaseShift rlnAnglePsi rlnMagnification rlnDetectorPixelSize"
MIXED_STAR = {
    "rlnVoltage": [str(v) for v in MIXED["accel_kv"]],
    "rlnSphericalAberration": [str(v) for v in MIXED["cs_mm"]],
    "rlnAmplitudeContrast": [str(v) for v in MIXED["amp_contrast"]],
    "rlnPhaseShift": [f"{math.degrees(v):.6f}" for v in MIXED["phase_shift_rad"]],
    "rlnMagnification": ["10000"] * 6,
    "rlnDetectorPixelSize": ["1.5"] * 6,
}


def relions_ctf(k, u, v, kv, cs, w, degrees, direction=0.0):
    """As RELION's ctf.cpp computes it at k, 1/Angstrom, in a direction from that of defocus u."""
    length = 12.2643247 / math.sqrt(1e3 * kv * (1 + 1e3 * kv * 0.978466e-6))
    defocus = (u + v) / 2 + (u - v) / 2 * np.cos(2 * direction)
    k1, k2 = np.pi * length, np.pi / 2 * 1e7 * cs * length**3
    k3, k5 = math.atan(w / math.sqrt(1 - w**2)), math.radians(degrees)
    return -np.sin(-k1 * defocus * k**2 + k2 * k**4 - k5 - k3)


def test_voltage_aberration_contrast_and_phase_plate_are_those_of_each_particle(tmp_path):
    """The control: without the phase shift the transfer is another."""
    path, _, _ = written(tmp_path, optics="", columns=MIXED_COLUMNS, **MIXED_STAR)
    found = Star(str(path)).load().transfer.double().numpy()
    k = np.linspace(0, 1 / 3, found.shape[1])
    for i in range(6):
        optics = [float(MIXED_STAR[name][i]) for name in list(MIXED_STAR)[:4]]
        mean = 10100 + 100 * i
        expected = relions_ctf(k, mean, mean, *optics)
        np.testing.assert_allclose(found[i], expected, atol=5e-4)
        control = relions_ctf(k, mean, mean, *optics[:3], 0.0)
        assert i == 0 or np.abs(found[i] - control).max() > 0.4


def test_groups_of_optics_may_differ(tmp_path):
    two = OPTICS.rstrip() + "\n2 b 200.0 2.0 0.07 1.5 24\n\n"
    path, _, _ = written(tmp_path, optics=two, rlnOpticsGroup=[*"112211"])
    found = Star(str(path)).load().transfer.double().numpy()
    k = np.linspace(0, 1 / 3, found.shape[1])
    for i, optics in ((0, (300, 2.7, 0.1, 0)), (3, (200, 2.0, 0.07, 0))):
        mean = 10100 + 100 * i
        np.testing.assert_allclose(found[i], relions_ctf(k, mean, mean, *optics), atol=5e-4)


def test_astigmatism_that_matters_is_said_with_the_error_that_it_makes(tmp_path):
    path, _, _ = written(tmp_path)
    (line,) = [line for line in Star(str(path)).load().said if "astigmatism" in line]
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", line)]
    apart, error, finest, little, fine = numbers
    assert (apart, finest) == (200, 3.0)
    for resolution, radians in ((finest, error), (fine, little)):
        # phase of -sin(...) from two quadratures, over all directions
        k, turn = 1 / resolution, np.linspace(0, np.pi, 90)
        phase = [
            np.arctan2(
                relions_ctf(k, *pair, 300, 2.7, 0.0, 0, turn),
                relions_ctf(k, *pair, 300, 2.7, 0.0, 90, turn),
            )
            for pair in ((10000, 10200), (10100, 10100))
        ]
        off = np.abs((phase[0] - phase[1] + np.pi) % (2 * np.pi) - np.pi).max()
        assert off == pytest.approx(radians, abs=0.05)
    round_one, _, _ = written(tmp_path, rlnDefocusV=[f"{10010 + 100 * i}" for i in range(6)])
    assert not any("astigmatism" in line for line in Star(str(round_one)).load().said)


def test_optics_that_lack_a_number_are_left_out_and_said(tmp_path):
    path, _, _ = written(tmp_path, optics=OPTICS.replace("rlnVoltage", "rlnOther"))
    found = Star(str(path)).load()
    assert (
        found.transfer is None and "optics are left out: the file has no rlnVoltage" in found.said
    )


def test_settings_are_absolute_wherever_the_run_is_looked_at(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = Star("particles.star", root=".").load().settings
    assert settings["path"] == str(tmp_path / "particles.star") and settings["root"] == str(
        tmp_path
    )


def test_classes_micrographs_and_names_are_kept(tmp_path):
    path, _, _ = written(tmp_path)
    found = Star(str(path)).load()
    assert found.class_names == ("1", "2") and found.labels.tolist() == [0, 1] * 3
    assert found.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.names[2] == "000003@Extract/a.mrcs" and found.rows.tolist() == list(range(6))


def test_files_of_3_0_have_one_table_and_pixels(tmp_path):
    columns = "rlnImageName rlnAnglePsi rlnOriginX rlnOriginY rlnMagnification rlnDetectorPixelSize"
    columns += " rlnVoltage rlnSphericalAberration rlnAmplitudeContrast rlnDefocusU rlnDefocusV"
    same = {
        name: [value] * 6
        for name, value in {
            "rlnMagnification": "10000",
            "rlnDetectorPixelSize": "1.5",
            "rlnVoltage": "200",
            "rlnSphericalAberration": "2.0",
            "rlnAmplitudeContrast": "0.07",
        }.items()
    }
    path, psi, origin = written(tmp_path, optics="", columns=columns, **same)
    found = Star(str(path)).load()
    assert found.pixel_size[0] == pytest.approx(1.5) and found.transfer is not None
    np.testing.assert_allclose(shift_of(found.poses), to_shift(origin, 24), atol=1e-4)


def test_what_is_not_changed_stays_as_it_is_written(tmp_path):
    path, _, _ = written(tmp_path)
    star = StarFile.read(path)
    block = ParticleTable(star, path).block
    rows = [0, 2, 3]
    new = star.written(block, {"rlnAnglePsi": ["1.0", "2.0", "3.0"], "rlnNew": list("abc")}, rows)
    (tmp_path / "new.star").write_text(new)
    again = StarFile.read(tmp_path / "new.star")
    before, after = star.tables[block], again.tables[block]
    assert after.columns == (*before.columns, "rlnNew") and len(after) == 3
    for column in before.columns:
        kept = [before.text(column)[i] for i in rows]
        assert after.text(column) == (["1.0", "2.0", "3.0"] if column == "rlnAnglePsi" else kept)
    assert again.tables["optics"] == star.tables["optics"]
    assert new.startswith(OPTICS) and "_rlnNew #11" in new
    import starfile

    read = starfile.read(tmp_path / "new.star")["particles"]
    assert list(read["rlnNew"]) == list("abc") and list(read["rlnAnglePsi"]) == [1.0, 2.0, 3.0]


TWO_GROUPS = OPTICS.rstrip() + "\n2 b 300.0 2.7 0.1 3.0 24\n\n"
NAMES = [f"{i + 1:06d}@Extract/a.mrcs" for i in range(9)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rlnImageName": [NAMES[0], *NAMES[:5]]},
            "come once each; 000001@Extract/a.mrcs come again",
        ),
        ({"rlnImageName": NAMES[3:]}, "holds 6 images; row 6 names image 9"),
        ({"rlnImageName": ["a.mrcs", *NAMES[1:6]]}, "must be a number, @ and a stack; row 1 has"),
        (
            {"rlnAnglePsi": ["1.0", "x", *"3456"]},
            r"rlnAnglePsi must be numbers; row 2 \(line .* 'x'",
        ),
        ({"rlnOpticsGroup": ["1", "7", *"1111"]}, "optics group 7 is not in the table of optics"),
        ({"optics": TWO_GROUPS, "rlnOpticsGroup": [*"112211"]}, "must share one pixel size"),
        ({"optics": OPTICS.replace("1.500000", "-1.5")}, "must have a positive size; .*says -1.5"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, message):
    path, _, _ = written(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        Star(str(path)).load()


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ValueError, match="path of the STAR file is not set"):
        Star().load()
    with pytest.raises(FileNotFoundError, match="there is no"):
        Star(str(tmp_path / "gone.star")).load()
    path, _, _ = written(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("  1  m0.mrc", "  1", 1))
    with pytest.raises(ValueError, match=r"line \d+ has 9 words for 10 columns"):
        Star(str(path)).load()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no STAR file"):
        Star(str(path)).load()
    path.write_text(text)
    (tmp_path / "Extract" / "a.mrcs").unlink()
    with pytest.raises(FileNotFoundError, match="Set data.source.root"):
        Star(str(path)).load()
