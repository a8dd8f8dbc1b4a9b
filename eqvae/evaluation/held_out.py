"""What all suites of an evaluation share: one encoding pass, and one pass over moved images.

Nothing here grows with the number of pixels times the number of images, but for the images themselves and
at most `KEPT` reconstructions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eqvae.data import ImageDataModule
from eqvae.data.batch import Batch
from eqvae.distributions.posterior import Posterior
from eqvae.domains import HexagonalGrid
from eqvae.evaluation.encoding import Encoding, Moved, encode, encode_moved, some_motions
from eqvae.models.model import Model
from eqvae.symmetry.motions import motion, reflection_of
from eqvae.symmetry.representations import Representation
from eqvae.watch import Watch, unwatched

Preset = Literal["fast", "full", "dlib"]
TRAINING = 4000  # training images in the sample, at most


@dataclass
class HeldOut:
    """A model and held-out images, with all that is computed from them once.

    Attributes:
        model: in eval mode.
        batch: the images, with what is known about them.
        groups: source of each image (N,), None if each is its own.
        symmetry_orders: {class: k}, where the data say so.
        preset: "fast", "full" or "dlib".
        seed: of every random draw.
        watch: wraps long loops with a progress bar.
        train: a sample of the images that the model was trained on, None if there are none to show.
        source: the whole set that the images come from, before posing; None where not known.
    """

    model: Model
    batch: Batch
    groups: Tensor | None = None
    symmetry_orders: dict[int, int] | None = None
    preset: Preset = "fast"
    seed: int = 0
    watch: Watch = field(default=unwatched)
    train: Batch | None = None
    source: Any = None

    @classmethod
    def of(cls, model: Model, data: ImageDataModule, split: str = "test", **options) -> "HeldOut":
        """A model and one split of its data, with whatever the data know.

        Rows are shuffled by seed: suites that take the first images then take a fair sample of all
        classes and sources. Of images that are too many for memory only a sample is taken.
        """
        part, source = getattr(data, split), data.images
        orders = source.symmetry_orders
        generator = torch.Generator().manual_seed(options.get("seed", 0))
        batch = part[torch.randperm(len(part), generator=generator)[: part.at_once]]
        seen = torch.randperm(len(data.train), generator=generator)[:TRAINING]
        return cls(
            model=model.eval(),
            batch=batch,
            groups=None if source.groups is None else source.groups[batch.index],
            symmetry_orders=None if orders is None else dict(enumerate(orders)),
            train=None if split == "train" else data.train[seen],
            source=source,
            **options,
        )

    @property
    def images(self) -> Tensor:
        """(N, C, H, H)."""
        return self.batch.image

    def seen(self, images: Tensor) -> Tensor:
        """Images or decoded ones as square pixels, for scores of what the eye sees."""
        domain = self.model.domain
        if isinstance(domain, HexagonalGrid):
            return domain.to_pixels(images).clamp(0, 1)  # splines overshoot at edges
        return images

    @property
    def labels(self) -> Tensor | None:
        """Classes (N,), None unless all are known."""
        labels = self.batch.label
        return labels if labels is not None and bool((labels >= 0).all()) else None

    @property
    def poses(self) -> Tensor | None:
        """True motions (N, 4), None unless all are known."""
        poses = self.batch.pose
        return poses if poses is not None and bool(poses.isfinite().all()) else None

    @property
    def fast(self) -> bool:
        return self.preset == "fast"

    @property
    def effort(self) -> Literal["fast", "full"]:
        """The preset of what has no public protocol."""
        return "fast" if self.fast else "full"

    @property
    def representation(self) -> Representation:
        return self.model.representation

    @property
    def blocks(self) -> dict[str, range]:
        """Columns of the latents by irrep block."""
        parts = {block.name: block.slice for block in self.representation.blocks}
        return {name: range(part.start, part.stop) for name, part in parts.items()}

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def encoding(self) -> Encoding:
        """Of every image."""
        with torch.random.fork_rng():  # the caller's random numbers stay as they were
            torch.manual_seed(self.seed)
            return encode(self.model, self.batch, self.watch)

    @property
    def has_pose(self) -> bool:
        """Whether an angle can be read."""
        return self.encoding.posterior.has_pose

    @cached_property
    def pose(self) -> Tensor:
        """The likeliest motions, (N, 4)."""
        return self.encoding.posterior.pose.mode

    @cached_property
    def content(self) -> np.ndarray:
        """Means of the content, (N, D')."""
        return self.encoding.posterior.content.loc.numpy()

    @cached_property
    def orders(self) -> dict[int, int] | int:
        """Rotational symmetry by class; 1 where the data do not say."""
        if self.symmetry_orders is None or self.labels is None:
            return 1
        return self.symmetry_orders

    @cached_property
    def moved(self) -> Moved:
        """The first images under quarter turns, other turns and shifts (and mirrors)."""
        n = min(len(self.batch), 400 if self.fast else 2000)
        parts = some_motions(self.model.symmetry.reflections, self.seed)
        motions = torch.cat(list(parts.values()))
        kinds = [kind for kind, part in parts.items() for _ in part]
        z, pose, content = [], [], []
        for g, q in self._encoded(motions, n, "moving"):
            q = q.settled(self.encoding.posterior)
            z.append(q.mode)
            if q.has_pose:
                pose.append(q.pose.mode)
            undone = q.act(motion(reflection=1.0).expand(len(q.mode), -1))
            content.append((undone if reflection_of(g) else q).content.loc)
        joined = [
            torch.cat(part).unflatten(0, (len(motions), n)) for part in (z, pose, content) if part
        ]
        pose = joined[1] if pose else None
        return Moved(n, motions, kinds, joined[0], pose, joined[-1])

    def encode_moved(self, motions: Tensor, n: int, what: str) -> Tensor:
        """Posterior modes of the first n images under each motion, (M, n, D)."""
        z = torch.cat([q.mode for _, q in self._encoded(motions, n, what)])
        return z.unflatten(0, (len(motions), n))

    def _encoded(self, motions: Tensor, n: int, what: str) -> Iterator[tuple[Tensor, Posterior]]:
        return encode_moved(self.model, self.batch[:n], motions, self.watch, what)
