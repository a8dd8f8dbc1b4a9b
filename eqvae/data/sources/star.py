"""Particles of a RELION STAR file, 3.0 to 5: images, optics, and the poses that were found before.

RELION draws reference and image in pixels (x along the row, y from row to row) about pixel N // 2, and an
image shows its reference at

    x = A p - o,    A = [[cos psi, sin psi], [-sin psi, cos psi]],

with psi = rlnAnglePsi and o = rlnOriginX, rlnOriginY. With y up and about the image centre that is the motion
by the angle psi, counter-clockwise, to (-o_x, o_y), plus half a pixel right and down for even N.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqvae.data.formats.gathered import gathered
from eqvae.data.formats.star import StarFile, StarTable
from eqvae.data.formats.stored import Stored
from eqvae.data.grey import Grey
from eqvae.data.images import ImageSet, listing
from eqvae.data.optics import astigmatism_phase, ctf_table
from eqvae.data.sources.stored import absolute, brightness, grouped, numbered, survey
from eqvae.files import user_path
from eqvae.symmetry.motions import motion

_BLOCKS = ("particles", "images", "")  # of 3.1 and later, and of 3.0
_OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
_DEFOCUS = ("rlnDefocusU", "rlnDefocusV")
_PER_UM = 1e4  # Angstrom
_LITTLE = 0.5  # radians of phase at the finest frequency that astigmatism may take without a word


@dataclass(frozen=True)
class Star:
    """Particles of a RELION STAR file.

    Classes (rlnClassNumber) become labels; the split tears no micrograph (rlnMicrographName) apart.

    Args:
        path: the STAR file.
        root: folder that the stacks' paths start from; None looks in the folder of the STAR file and above.
        ctf: whether the optics that the file describes become `transfer`, for bright particles, phase plates
            included; astigmatism is left out, the mean defocus stands for both.
        classes: names of classes that have a number already, in their order; new ones follow.
        skip_unreadable: leave out NaN and constant images with a warning instead of an error.
        grey: how grey values are read.
    """

    path: str | None = None
    root: str | None = None
    ctf: bool = True
    classes: Sequence[str] | None = None
    skip_unreadable: bool = False
    grey: Grey = Grey()

    def load(self) -> ImageSet:
        """Read the file and the stacks that it names.

        Raises:
            FileNotFoundError: if the file or a stack is missing.
            ValueError: if the file is damaged, pixel sizes disagree, or particles come twice.
        """
        if self.path is None:
            raise ValueError(
                "path of the STAR file is not set. Set data.source.path=particles.star."
            )
        path = user_path(self.path)
        if not path.is_file():
            raise FileNotFoundError(f"path must be a STAR file; there is no {str(self.path)!r}.")
        return self.read(ParticleTable(StarFile.read(path), path))

    def read(self, star: "ParticleTable") -> ImageSet:
        """The images of a table of particles, whatever file says what it says."""
        stored, names = self._images(star)
        seen = survey(stored)
        images, settings, said = brightness(stored, self.grey, ends=seen.ends)
        labels, classes, unknown = self._classes(star)
        groups, twins = grouped(seen, star.micrographs())
        size = star.pixel_size
        transfer, optics = star.transfer() if self.ctf else (None, [])
        return ImageSet(
            images,
            labels=labels,
            class_names=classes,
            groups=groups,
            names=tuple(names),
            rows=torch.arange(len(images)),
            poses=star.poses(images.shape[-1]),
            transfer=transfer,
            pixel_size=None if size is None else torch.full((len(images),), size),
            settings={"path": absolute(self.path), **settings}
            | ({"root": absolute(self.root)} if self.root else {})
            | ({"classes": list(classes)} if classes else {}),
            said=(*said, *twins, *unknown, *optics),
        ).usable(skip_unreadable=self.skip_unreadable)

    def _images(self, star: "ParticleTable") -> tuple[Stored, list[str]]:
        """Images in the order of the rows, and their names."""
        names = star.table.text("rlnImageName")
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(
                f"particles must come once each; {listing(twice)} come again. Remove the rows that repeat "
                "them."
            )
        place, stack = zip(
            *(_number_and_stack(name, i) for i, name in enumerate(names)), strict=True
        )
        return gathered(stack, np.array(place), self._stack), names

    def _stack(self, name: str) -> Path:
        """Where a stack lies."""
        here = user_path(self.path).resolve().parent
        roots = [user_path(self.root)] if self.root else [here, *here.parents]
        for root in roots:
            if (root / name).is_file():
                return root / name
        where = roots[0] if self.root else f"{here} or a folder above"
        raise FileNotFoundError(
            f"the stack {name!r} is not in {where}. Set data.source.root to the folder that paths start from."
        )

    def _classes(
        self, star: "ParticleTable"
    ) -> tuple[Tensor | None, tuple[str, ...] | None, list[str]]:
        if "rlnClassNumber" not in star.table.columns:
            return None, None, []
        return numbered(star.table.text("rlnClassNumber"), self.classes)


@dataclass(frozen=True)
class ParticleTable:
    """The particles of a STAR file.

    Attributes:
        file: the whole file.
        path: of the file.
    """

    file: StarFile
    path: Path

    @cached_property
    def block(self) -> str:
        """Name of the table of particles.

        Raises:
            ValueError: if there is none.
        """
        for name in _BLOCKS:
            table = self.file.tables.get(name)
            if table is not None and "rlnImageName" in table.columns:
                return name
        raise ValueError(
            f"path={str(self.path)!r} has no table of particles with rlnImageName; its tables are "
            f"{list(self.file.tables)}."
        )

    @property
    def table(self) -> StarTable:
        return self.file.tables[self.block]

    @cached_property
    def pixel_size(self) -> float | None:
        """Angstrom; None where the file does not say it.

        Raises:
            ValueError: if optics groups disagree, or it is not positive.
        """
        sizes = self._optics("rlnImagePixelSize")
        if sizes is None and {"rlnDetectorPixelSize", "rlnMagnification"} <= set(
            self.table.columns
        ):
            detector = self.table.numbers("rlnDetectorPixelSize") * _PER_UM
            sizes = detector / self.table.numbers("rlnMagnification")
        if sizes is None:
            return None
        if np.ptp(sizes) > 1e-4 * abs(sizes[0]):
            raise ValueError(
                f"optics groups must share one pixel size; they have {np.unique(sizes)} Angstrom. Resample "
                "the images to one."
            )
        if not sizes[0] > 0:
            raise ValueError(f"pixels must have a positive size; {self.path} says {sizes[0]:g}.")
        return float(sizes[0])

    def offsets(self) -> np.ndarray:
        """o, in pixels, (N, 2)."""
        for names, unit in (
            (("rlnOriginXAngst", "rlnOriginYAngst"), self.pixel_size),
            (("rlnOriginX", "rlnOriginY"), 1.0),
        ):
            if set(names) <= set(self.table.columns):
                columns = [self.table.numbers(name) / (unit or 1.0) for name in names]
                return np.stack(columns, axis=1)
        return np.zeros((len(self.table), 2))

    def poses(self, size: int) -> Tensor | None:
        """Motions of the particles about the image centre, (N, 4); None without rlnAnglePsi."""
        if "rlnAnglePsi" not in self.table.columns:
            return None
        psi = torch.from_numpy(np.deg2rad(self.table.numbers("rlnAnglePsi")))
        return motion(psi, torch.from_numpy(to_shift(self.offsets(), size))).float()

    def transfer(self) -> tuple[Tensor | None, list[str]]:
        """The CTF of bright particles, (N, Q), and lines about what of the optics is left out.

        None without defocus or what else it needs.
        """
        if not set(_DEFOCUS) <= set(self.table.columns):
            return None, []
        u, v = (self.table.numbers(name) for name in _DEFOCUS)
        optics = {name: self._optics(name) for name in _OPTICS}
        lacking = [name for name, values in optics.items() if values is None]
        lacking += [] if self.pixel_size else ["rlnImagePixelSize"]
        if lacking:
            return None, [f"optics are left out: the file has no {' and no '.join(lacking)}"]
        voltage, *others = map(_number_or_all, optics.values())
        phase = self._optics("rlnPhaseShift")
        shift = 0.0 if phase is None else _number_or_all(np.deg2rad(phase))
        defocus = torch.from_numpy((u + v) / (2 * _PER_UM))
        table = ctf_table(defocus, self.pixel_size, voltage, *others, phase_shift=shift)
        return -table.float(), self._astigmatism(np.abs(u - v), voltage)

    def _astigmatism(self, apart: np.ndarray, voltage: float | Tensor) -> list[str]:
        """A line about defoci that lie this far apart, (N,), if that matters at the finest frequency."""
        apart, finest = torch.from_numpy(apart), 1 / (2 * self.pixel_size)
        error = float(astigmatism_phase(apart, voltage, finest).median())
        if error < _LITTLE:
            return []
        fine = math.sqrt(error / _LITTLE) / finest
        return [
            f"astigmatism of {float(apart.median()):.0f} Angstrom (median) is left out: with the mean "
            f"defocus the CTF's phase is wrong by up to {error:.1f} rad at {1 / finest:.1f} Angstrom, and by "
            f"{_LITTLE} rad at {fine:.1f}"
        ]

    def micrographs(self) -> Tensor | None:
        """A number for each micrograph, (N,)."""
        if "rlnMicrographName" not in self.table.columns:
            return None
        names = np.array(self.table.text("rlnMicrographName"))
        found, numbers = np.unique(names, return_inverse=True)
        return torch.from_numpy(numbers) if len(found) > 2 else None

    def _optics(self, name: str) -> np.ndarray | None:
        """A column of the optics by particle, (N,); None where neither table has it."""
        if name in self.table.columns:
            return self.table.numbers(name)
        groups = self.file.tables.get("optics")
        if groups is None or name not in groups.columns:
            return None
        values = dict(zip(groups.text("rlnOpticsGroup"), groups.numbers(name), strict=True))
        which = self.table.text("rlnOpticsGroup")
        unknown = sorted(set(which) - set(values))
        if unknown:
            raise ValueError(f"optics group {unknown[0]} is not in the table of optics.")
        return np.array([values[group] for group in which])


def _number_or_all(values: np.ndarray) -> float | Tensor:
    """The number that all particles share, else those of each, (N,)."""
    return float(values[0]) if np.ptp(values) == 0 else torch.from_numpy(values)


def to_shift(offset: np.ndarray, size: int) -> np.ndarray:
    """Positions x, y about the image centre, y up, of RELION's origins (N, 2), pixels."""
    spare = 0.5 if size % 2 == 0 else 0.0
    return np.stack([spare - offset[:, 0], offset[:, 1] - spare], axis=1)


def to_offset(shift: np.ndarray, size: int) -> np.ndarray:
    """RELION's origins of positions (N, 2), pixels: the inverse of `to_shift`."""
    spare = 0.5 if size % 2 == 0 else 0.0
    return np.stack([spare - shift[:, 0], shift[:, 1] + spare], axis=1)


def _number_and_stack(name: str, row: int) -> tuple[int, str]:
    """From 000012@folder/stack.mrcs: 11 and the path."""
    number, at, stack = name.partition("@")
    if not at or not number.isdigit() or int(number) < 1:
        raise ValueError(
            f"rlnImageName must be a number, @ and a stack; row {row + 1} has {name!r}."
        )
    return int(number) - 1, stack
