"""Particles of a cryoSPARC .cs file: images, optics, and the poses that were found before.

cryoSPARC draws as RELION does, see `eqvae.data.sources.star`, so a .cs file is read as the STAR table that
says the same:

| field | STAR | |
|---|---|---|
| blob/path, blob/idx | rlnImageName | idx from 0; a leading > of the path is dropped |
| blob/psize_A | rlnImagePixelSize | Angstrom |
| alignments2D/pose | rlnAnglePsi | radians, the same sign |
| alignments2D/shift | rlnOriginX, rlnOriginY | pixels of alignments2D/psize_A, the same sign |
| alignments2D/class | rlnClassNumber | kept from 0 |
| ctf/df1_A, df2_A, accel_kv, cs_mm, amp_contrast | rlnDefocusU, ... | the same units |
| ctf/phase_shift_rad | rlnPhaseShift | radians, where RELION has degrees |
| location/micrograph_uid or _path | rlnMicrographName | |

Without alignments2D the in-plane angle of alignments3D is taken: pose is a rotation vector, whose matrix is
the transpose of RELION's Euler matrix.

References:
    pyem, csparc2star.py, https://github.com/asarnow/pyem, for the signs and units;
    cryosparc-tools, https://tools.cryosparc.com, for recentring: particles lie at their location less shift.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from eqvae.data.formats.cs import CsFile
from eqvae.data.formats.star import StarFile, StarTable
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet
from eqvae.data.sources.star import ParticleTable, Star
from eqvae.data.sources.stored import absolute
from eqvae.files import user_path

_NEEDED = ("blob/path", "blob/idx")
_COLUMNS = {
    "blob/psize_A": "rlnImagePixelSize",
    "ctf/df1_A": "rlnDefocusU",
    "ctf/df2_A": "rlnDefocusV",
    "ctf/accel_kv": "rlnVoltage",
    "ctf/cs_mm": "rlnSphericalAberration",
    "ctf/amp_contrast": "rlnAmplitudeContrast",
}
_PHASE = "ctf/phase_shift_rad"
_MICROGRAPH = ("location/micrograph_uid", "location/micrograph_path")
_POLE = 1e-5  # sine of a tilt that leaves only the sum of the other two angles


@dataclass(frozen=True)
class Cs:
    """Particles of a cryoSPARC .cs file.

    Classes (alignments2D/class) become labels; the split tears no micrograph apart where the file or its
    passthrough file says which ones there are.

    Args:
        path: the .cs file.
        passthrough: the job's passthrough file, for fields that the first lacks.
        root: folder that the stacks' paths start from, the project's; None looks in the folder of the file
            and above.
        ctf: whether the optics that the file describes become `transfer`, for bright particles, phase plates
            included; astigmatism is left out, the mean defocus stands for both.
        classes: names of classes that have a number already, in their order; new ones follow.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
        grey: how grey values are read.
    """

    path: str | None = None
    passthrough: str | None = None
    root: str | None = None
    ctf: bool = True
    classes: Sequence[str] | None = None
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def load(self) -> ImageSet:
        """Read the files and the stacks that they name.

        Raises:
            FileNotFoundError: if a file or a stack is missing.
            ValueError: if a file is damaged or lacks fields, pixel sizes disagree, or particles
                come twice.
        """
        if self.path is None:
            raise ValueError("path of the .cs file is not set. Set data.source.path=particles.cs.")
        path, rows = user_path(self.path), self.rows()
        self._check(rows)
        columns = dict(_columns(rows))
        words = tuple(zip(*columns.values(), strict=True))
        table = StarTable("particles", tuple(columns), tuple(range(len(rows))), words)
        like = Star(self.path, self.root, self.ctf, self.classes, self.skip_unreadable, self.grey)
        found = like.read(ParticleTable(StarFile((), {"particles": table}), path))
        own = {"passthrough": absolute(self.passthrough)} if self.passthrough else {}
        return replace(found, settings=found.settings | own, said=(*found.said, *_lacking(rows)))

    def rows(self) -> CsFile:
        """The records, with those of the passthrough file."""
        rows = CsFile.read(user_path(self.path))
        if self.passthrough is None:
            return rows
        other = user_path(self.passthrough)
        return rows.joined(CsFile.read(other), other)

    def _check(self, rows: CsFile) -> None:
        lacking = [name for name in _NEEDED if name not in rows]
        if lacking:
            kinds = sorted({name.partition("/")[0] for name in rows.fields})
            raise ValueError(
                f"path={self.path!r} has no {' and '.join(lacking)}, only fields of {', '.join(kinds)}. Give "
                "the file of particles that has them, or data.source.passthrough=passthrough_particles.cs."
            )


def _columns(rows: CsFile) -> Iterator[tuple[str, list[str]]]:
    """RELION's names, and words of all rows."""
    yield "rlnImageName", image_names(rows)
    for field, name in _COLUMNS.items():
        if field in rows:
            yield name, _words(rows.numbers(field))
    if _PHASE in rows:
        yield "rlnPhaseShift", _words(np.rad2deg(rows.numbers(_PHASE)))
    psi, shift = in_plane(rows), shift_of_stack(rows)
    if psi is not None:
        yield "rlnAnglePsi", _words(psi)
    if shift is not None:
        yield "rlnOriginX", _words(shift[:, 0])
        yield "rlnOriginY", _words(shift[:, 1])
    if "alignments2D/class" in rows:
        yield "rlnClassNumber", rows.text("alignments2D/class")
    micrograph = next((name for name in _MICROGRAPH if name in rows), None)
    if micrograph is not None:
        yield "rlnMicrographName", rows.text(micrograph)


def image_names(rows: CsFile) -> list[str]:
    """Number, from 1, and path of each image, as RELION writes them: 000012@J3/extract/a.mrc."""
    paths = [path.removeprefix(">") for path in rows.text("blob/path")]
    number = (rows.rows["blob/idx"].astype(np.int64) + 1).tolist()
    return [f"{i:06d}@{path}" for i, path in zip(number, paths, strict=True)]


def in_plane(rows: CsFile) -> np.ndarray | None:
    """RELION's psi, degrees, (N,); None where there are no poses."""
    if "alignments2D/pose" in rows:
        return np.rad2deg(rows.numbers("alignments2D/pose"))
    if "alignments3D/pose" not in rows:
        return None
    m = Rotation.from_rotvec(rows.numbers("alignments3D/pose")).as_matrix()
    tilted = np.hypot(m[:, 2, 0], m[:, 2, 1]) > _POLE
    side = np.where(m[:, 2, 2] > 0, 1.0, -1.0)
    pole = np.arctan2(-side * m[:, 0, 1], side * m[:, 0, 0])
    return np.rad2deg(np.where(tilted, np.arctan2(m[:, 2, 1], -m[:, 2, 0]), pole))


def shift_of_stack(rows: CsFile) -> np.ndarray | None:
    """Shifts in pixels of the images, (N, 2); None where there are none."""
    for kind in ("alignments2D", "alignments3D"):
        if f"{kind}/shift" in rows:
            return rows.numbers(f"{kind}/shift") * scale_of_shift(rows, kind)[:, None]
    return None


def scale_of_shift(rows: CsFile, kind: str = "alignments2D") -> np.ndarray:
    """Pixels of the images in a pixel of the shifts, (N,): alignments may be those of smaller images."""
    fields = (f"{kind}/psize_A", "blob/psize_A")
    if not all(field in rows for field in fields):
        return np.ones(len(rows))
    theirs, own = (rows.numbers(field) for field in fields)
    return np.where(theirs > 0, theirs / own, 1.0)


def _words(values: np.ndarray) -> list[str]:
    return list(map(repr, values.tolist()))


def _lacking(rows: CsFile) -> list[str]:
    """A line about fields that a passthrough file may have."""
    lacking = [] if any(name in rows for name in _MICROGRAPH) else [_MICROGRAPH[0]]
    lacking += [field for field in _COLUMNS if field.startswith("ctf/") and field not in rows][:1]
    if not lacking:
        return []
    return [
        f"the file has no {' and no '.join(lacking)}: data.source.passthrough=FILE takes them from the job's "
        "passthrough file"
    ]
