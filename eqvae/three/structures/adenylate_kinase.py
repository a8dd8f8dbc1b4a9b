"""Adenylate kinase on its way from closed to open, along two independent paths."""

from dataclasses import dataclass
from pathlib import Path

from eqvae.three.structures.archive import mdanalysis_tests
from eqvae.three.structures.read import read
from eqvae.three.structures.structures import Structures

PATHS = {"training": "adk_dims.dcd", "second": "adk_dims2.dcd"}


@dataclass(frozen=True)
class AdenylateKinase:
    """A path of adenylate kinase by dynamic importance sampling, from the package MDAnalysisTests.

    The two paths were drawn independently: 98 and 102 conformations of 3,341 atoms, of which 214 are C-alpha.

    Args:
        path: "training" or "second".
        atom: name of the atoms to keep; None keeps all.
        folder: where the package's data lies unpacked, see `mdanalysis_tests`.

    References:
        Beckstein et al., Zipping and unzipping of adenylate kinase: atomistic insights into the ensemble of
        open/closed transitions (2009), https://doi.org/10.1016/j.jmb.2009.09.009
    """

    path: str = "training"
    atom: str | None = "CA"
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.path not in PATHS:
            raise ValueError(f"path must be one of {', '.join(PATHS)}; got {self.path!r}.")

    def load(self) -> Structures:
        """The conformations in order of time.

        Raises:
            FileNotFoundError: if the data is not there and can't be fetched.
        """
        data: Path = mdanalysis_tests(self.folder)
        frames = read(data / PATHS[self.path], topology=data / "adk.psf")
        return frames if self.atom is None else frames.named(self.atom)
