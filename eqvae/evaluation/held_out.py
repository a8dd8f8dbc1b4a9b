"""What all suites of an evaluation share: one encoding pass, and one pass over moved images.

Nothing here grows with the number of pixels times the number of images, but for the images themselves and
at most `KEPT` reconstructions.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eqvae.data import ImageDataModule
from eqvae.data.batch import Batch
from eqvae.distributions.frame import clearest_frame, read_content, read_pose
from eqvae.evaluation.encoding import Encoding, Moved, encode, encode_moved, some_motions
from eqvae.evaluation.watch import Watch, unwatched
from eqvae.models.model import Model
from eqvae.symmetry.motions import motion, reflection_of
from eqvae.symmetry.representations import Representation

Preset = Literal["fast", "full", "dlib"]


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
    """

    model: Model
    batch: Batch
    groups: Tensor | None = None
    symmetry_orders: dict[int, int] | None = None
    preset: Preset = "fast"
    seed: int = 0
    watch: Watch = field(default=unwatched)

    @classmethod
    def of(cls, model: Model, data: ImageDataModule, split: str = "test", **options) -> "HeldOut":
        """A model and one split of its data, with whatever the data know.

        Rows are shuffled by seed: suites that take the first images then take a fair sample of all
        classes and sources.
        """
        part, source = getattr(data, split), data.images
        orders = source.symmetry_orders
        generator = torch.Generator().manual_seed(options.get("seed", 0))
        batch = part[torch.randperm(len(part), generator=generator)]
        return cls(
            model=model.eval(),
            batch=batch,
            groups=None if source.groups is None else source.groups[batch.index],
            symmetry_orders=None if orders is None else dict(enumerate(orders)),
            **options,
        )

    @property
    def images(self) -> Tensor:
        """(N, C, H, H)."""
        return self.batch.image

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
    def has_frame(self) -> bool:
        """Whether the latent has a psi_1, which an angle can be read from."""
        return self.representation.has_frame

    @cached_property
    def frame(self) -> int:
        """The copy of psi_1 that an angle is read from."""
        return clearest_frame(self.encoding.posterior)

    @cached_property
    def pose(self) -> Tensor:
        """Motions read from the latents, (N, 4)."""
        return self.pose_of(self.encoding.posterior.mode)

    @cached_property
    def content(self) -> np.ndarray:
        """Content read from the latents, (N, D')."""
        return self.content_of(self.encoding.posterior.mode).numpy()

    def pose_of(self, z: Tensor) -> Tensor:
        return read_pose(self.representation, z, self.frame).motion

    def content_of(self, z: Tensor) -> Tensor:
        """rho(-theta) v, or the position-free latent itself where no angle can be read."""
        if self.has_frame:
            return read_content(self.representation, z, self.frame)
        return z[:, self.representation.slices.vector]

    @cached_property
    def moved_content(self) -> np.ndarray:
        """Content of the moved images, (M, n, D'). A mirror is known to flip chirality: it is undone."""
        flip = motion(reflection=1.0).expand(self.moved.n, -1)
        undone = [
            self.representation.act(flip, z) if mirrored else z
            for mirrored, z in zip(reflection_of(self.moved.motions), self.moved.z, strict=True)
        ]
        return np.stack([self.content_of(z).numpy() for z in undone])

    @cached_property
    def orders(self) -> dict[int, int] | int:
        """Rotational symmetry by class; 1 where the data do not say."""
        if self.symmetry_orders is None or self.labels is None:
            return 1
        return self.symmetry_orders

    @cached_property
    def moved(self) -> Moved:
        """Latents of the first images under quarter turns, other turns and shifts (and mirrors)."""
        n = min(len(self.batch), 400 if self.fast else 2000)
        parts = some_motions(self.model.symmetry.reflections, self.seed)
        motions = torch.cat(list(parts.values()))
        kinds = [kind for kind, part in parts.items() for _ in part]
        return Moved(n=n, motions=motions, kinds=kinds, z=self.encode_moved(motions, n, "moving"))

    def encode_moved(self, motions: Tensor, n: int, what: str) -> Tensor:
        """Posterior modes of the first n images under each motion, (M, n, D)."""
        return encode_moved(self.model, self.batch[:n], motions, self.watch, what)
