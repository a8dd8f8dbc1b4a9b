"""Structures of one topology, split, and posed once before training: what images have in `eqvae.data`."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.data.held import HeldInMemory
from eqvae.data.served import SPLITS, ServedDataModule
from eqvae.data.splitting import check_fractions, split_rows
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.three.points import Points
from eqvae.three.vae.posing import SpacePosing
from eqvae.three.vae.sources import StructureSet, StructureSource

_FARTHEST = (
    1e5  # Angstrom, where single precision, in which models compute, knows no hundredths any more
)
_FLAT = 1e-6  # second singular value of a structure, in multiples of the first


class PosedStructures(HeldInMemory):
    """Posed structures in memory, indexed in whole batches.

    Attributes:
        batch: all of them: `image` is (F, 1, N, 3), `pose` (F, 8) the motion that each was given.
        indices: (F,) int64 into the whole set.
        image_shape: (1, N, 3).
        at_once: structures that one batch may have.
    """

    def __init__(self, source: StructureSet, rows: Tensor, posing: SpacePosing):
        g = posing.draw(len(source))[rows].double()
        x = SpaceMotions().act(g, source.structures.positions[rows])
        super().__init__(Batch(x.float()[:, None], pose=g.float(), index=rows), rows)


class StructureDataModule(ServedDataModule):
    """Conformations of a source, split, and posed once before training.

    The split and the poses depend on nothing but the seeds. A source's own test part stays the test split.

    Args:
        source: where they come from.
        pose: the distribution of the motions they are given.
        batch_size: structures in a batch.
        split: fractions of train, val and test.
        seed: of the split and of the order of training batches.
        num_workers: loader processes; 0 is fast enough for structures in memory.
        limit: training structures to use, the first of the split; None for all.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        source: StructureSource,
        pose: SpacePosing,
        batch_size: int = 32,
        split: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        num_workers: int = 0,
        limit: int | None = None,
    ):
        super().__init__(batch_size, seed, num_workers)
        if not isinstance(source, StructureSource):
            raise ValueError(
                f"source must be a StructureSource; got {source!r}. Choose data=adk, conformers, structures "
                "or chains."
            )
        if not isinstance(pose, SpacePosing):
            raise ValueError(
                f"pose must be a SpacePosing; got {pose!r}. Choose data/pose=still or moved for structures."
            )
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise ValueError(
                f"limit must be a whole number of training structures, at least 1, or null for all; got "
                f"{limit!r}."
            )
        check_fractions(split)
        self.source = source
        self.pose = pose
        self.split = tuple(split)
        self.limit = limit
        self._set: StructureSet | None = None

    def setup(self, stage: str | None = None) -> None:
        """Load, check, split and pose; a second call does nothing.

        Raises:
            FileNotFoundError: if the source's files are missing.
            ValueError: if the structures have no pose, or are too few.
        """
        if self._posed:
            return
        loaded = self.source.load()
        check_structures(loaded)
        train, val, test = split_rows(loaded, self.split, self.seed, Points.signals)
        if self.limit is not None and self.limit > len(train):
            raise ValueError(
                f"limit must be at most the {len(train)} structures of the train split; got {self.limit}. "
                "Lower data.limit, or set it to null for all."
            )
        self._set = loaded
        parts = (train[: self.limit], val, test)
        self._posed = {
            name: PosedStructures(loaded, rows, self.pose)
            for name, rows in zip(SPLITS, parts, strict=True)
        }

    @property
    def images(self) -> StructureSet:
        """The source's structures before posing."""
        self._split("train")
        return self._set

    @property
    def domain(self) -> Points:
        """The atoms."""
        return Points.of(self.images.structures)

    def ground(self) -> list[float]:
        """Nothing lies beyond atoms."""
        return [0.0]

    def posed(self, split: str, pose: SpacePosing) -> PosedStructures:
        """The structures of a split under another posing, such as moved after training on still ones."""
        return PosedStructures(self.images, self._split(split).indices, pose)


def check_structures(loaded: StructureSet) -> None:
    """Refuse structures whose rotation can't be told, and too few or too far away ones.

    Raises:
        ValueError: if there are fewer than three atoms or conformations, one lies on a line, or an atom lies
            where single precision is too coarse for it.
    """
    x = loaded.structures.positions
    where = loaded.structures.source
    if x.shape[1] < 3:
        raise ValueError(
            f"a pose needs at least 3 atoms; {where} has {x.shape[1]}. Keep more of them "
            "(data.source.atom), or take a larger molecule."
        )
    if len(x) < 3:
        raise ValueError(
            f"training, validation and test need at least 3 conformations; {where} has {len(x)}. Add some."
        )
    if (farthest := float(x.abs().max())) > _FARTHEST:
        raise ValueError(
            f"coordinates must be at most {_FARTHEST:,.0f} Angstrom; {where} has {farthest:.3g}, where "
            "numbers of single precision lie too far apart. Shift them to the origin, or check their unit."
        )
    s = torch.linalg.svdvals(x - x.mean(dim=1, keepdim=True))
    flat = (s[:, 1] <= _FLAT * s[:, 0].clamp_min(math.ulp(1.0))).nonzero()[:, 0]
    if len(flat):
        raise ValueError(
            f"atoms of conformation {int(flat[0]) + 1} of {where} lie on one line, so that a turn about it "
            "can't be told. Keep more atoms, or leave it out."
        )
