"""DCD trajectories of CHARMM, NAMD and others: places alone, in blocks of Fortran, either byte order.

A block is [length, content, length]. The first one has "CORD" and twenty numbers: number of frames, ...,
number of fixed atoms (the 9th), whether a unit cell stands before each frame (the 11th), whether there is a
fourth dimension (the 12th). Where atoms are fixed, frames after the first hold the free ones alone.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqvae.data.room import check_room

_MOST = 1 << 31  # bytes of a block, which its length can say


@dataclass(frozen=True)
class Trajectory:
    """Frames of a DCD file.

    Attributes:
        positions: (F, N, 3) in float64, Angstrom.
        said: what a reader should know, such as that the last frame was cut off.
    """

    positions: Tensor
    said: tuple[str, ...]


def read_dcd(path: Path) -> Trajectory:
    """All whole frames of a file.

    Raises:
        ValueError: if it is no DCD file, damaged, or has no whole frame.
    """
    content = (
        np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, "u1")
    )
    try:
        return _frames(path, _Blocks(path, content))
    except struct.error as error:
        raise ValueError(f"{path} is no DCD trajectory, or damaged. Write it anew.") from error


class _Blocks:
    """The blocks of a file, one after the other."""

    def __init__(self, path: Path, content: np.ndarray):
        self.path, self.content, self.at = path, content, 0
        head = bytes(content[:8])
        order = [
            o for o in "<>" if head[4:8] == b"CORD" and struct.unpack(f"{o}i", head[:4])[0] == 84
        ]
        if not order:
            raise ValueError(
                f"{path} is no DCD trajectory: it does not begin with a block CORD of 84 bytes."
            )
        self.order = order[0]

    def next(self) -> np.ndarray | None:
        """The content of the next block as bytes; None at the end of the file, also of a torn one."""
        if self.at + 4 > len(self.content):
            return None
        (size,) = struct.unpack(f"{self.order}i", bytes(self.content[self.at : self.at + 4]))
        end = self.at + 4 + size
        if size < 0 or size >= _MOST or end + 4 > len(self.content):
            return None
        (again,) = struct.unpack(f"{self.order}i", bytes(self.content[end : end + 4]))
        if again != size:
            raise ValueError(
                f"{self.path} is damaged at byte {self.at}: a block of {size} bytes ends as one of {again}. "
                "Write it anew."
            )
        content = self.content[self.at + 4 : end]
        self.at = end + 4
        return content

    def numbers(self, kind: str) -> np.ndarray | None:
        """The next block as numbers."""
        content = self.next()
        return None if content is None else np.frombuffer(content.tobytes(), f"{self.order}{kind}")


def _frames(path: Path, blocks: _Blocks) -> Trajectory:
    head = np.frombuffer(blocks.next().tobytes()[4:], f"{blocks.order}i4")
    declared, fixed, cell, fourth = int(head[0]), int(head[8]), bool(head[10]), bool(head[11])
    charmm = head[19] != 0  # others have a real number in the 10th and no cell
    cell, fourth = cell and charmm, fourth and charmm
    title, atoms = blocks.next(), blocks.numbers("i4")
    if title is None or atoms is None or atoms.size != 1 or atoms[0] < 1:
        raise ValueError(f"{path} is no DCD trajectory, or cut off in its head. Write it anew.")
    count = int(atoms[0])
    free = blocks.numbers("i4") if fixed else np.arange(1, count + 1)
    if free is None or free.size != count - fixed or free.min() < 1 or free.max() > count:
        raise ValueError(
            f"{path} says that {fixed} of {count} atoms are fixed and does not list the others. Write it "
            "anew."
        )
    check_room(4 * len(blocks.content), f"the frames of {path}")
    frames: list[np.ndarray] = []
    while (places := _frame(blocks, cell, fourth)) is not None:
        if len(places) == count:
            frames.append(places)
        elif frames and len(places) == free.size:
            whole = frames[0].copy()
            whole[free - 1] = places
            frames.append(whole)
        else:
            raise ValueError(
                f"frame {len(frames) + 1} of {path} must have {count} atoms; it has {len(places)}. Write it "
                "anew."
            )
    if not frames:
        raise ValueError(f"{path} holds no whole frame.")
    torn = len(blocks.content) - blocks.at
    said = []
    if len(frames) != declared or torn > 0:
        said.append(
            f"{path.name} says that it has {declared} frames; {len(frames)} whole ones are read"
            + (f", {torn} bytes after them are left out." if torn > 0 else ".")
        )
    return Trajectory(torch.from_numpy(np.stack(frames)), tuple(said))


def _frame(blocks: _Blocks, cell: bool, fourth: bool) -> np.ndarray | None:
    """Places (N, 3) of the next frame; None where no whole one is left, and then nothing is read."""
    begin = blocks.at
    if cell and blocks.next() is None:
        return None
    axes = [blocks.numbers("f4") for _ in range(4 if fourth else 3)]
    if any(axis is None for axis in axes) or len({axis.size for axis in axes[:3]}) != 1:
        blocks.at = begin
        return None
    return np.stack(axes[:3], axis=1).astype(np.float64)
