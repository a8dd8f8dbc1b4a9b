"""What all suites of an evaluation share: one encoding pass, and one pass over moved images.

    Encoding    q(z|x), pose, content and the terms of the ELBO, a row for each image
    HeldOut    a model, a split of the data, and what is computed from both once, when first asked for

Nothing here grows with the number of pixels times the number of images, but for the images themselves and
at most `KEPT` reconstructions.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eqvae.data import ImageDataModule
from eqvae.distributions import concatenated, to_device
from eqvae.distributions.frame import read_content, read_pose
from eqvae.domains.square import act_on_image
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import motion
from eqvae.symmetry.representations import Representation

KEPT = 2000  # reconstructions kept for PSNR, SSIM and pictures
BATCH = 250
Preset = Literal["fast", "full", "dlib"]
Watch = Callable[[Iterable, str], Iterable]  # (steps, what) -> the steps, with a progress bar


@dataclass(frozen=True)
class Encoding:
    """What a model makes of images, rows in their order.

    Attributes:
        posterior: q(z|x), with `.mode`, `.position_scale` and `.angle_log_density(copy)`.
        log_likelihood: one-sample estimates of E log p(x|z), nats, (N,).
        kl: KL(q || p) by irrep block, nats, each (N,).
        reconstruction: from the mode, of the first `KEPT` images.
    """

    posterior: Any
    log_likelihood: Tensor
    kl: dict[str, Tensor]
    reconstruction: Tensor

    @property
    def elbo(self) -> Tensor:
        return self.log_likelihood - sum(self.kl.values())


@dataclass
class HeldOut:
    """A model and held-out images, with all that is computed from them once.

    Attributes:
        vae: the model, in eval mode.
        images: (N, C, H, H).
        labels: classes (N,), None unless all are known.
        poses: true motions (N, 4), None unless all are known.
        groups: source of each image (N,), None if each is its own.
        symmetry_orders: {class: k}, where the data say so.
        transfer: radial transfer functions of the optics (N, Q), None if the data know none.
        preset: "fast", "full" or "dlib".
        seed: of every random draw.
        watch: wraps long loops with a progress bar.
    """

    vae: VAE
    images: Tensor
    labels: Tensor | None = None
    poses: Tensor | None = None
    groups: Tensor | None = None
    symmetry_orders: dict[int, int] | None = None
    transfer: Tensor | None = None
    preset: Preset = "fast"
    seed: int = 0
    watch: Watch = field(default=lambda steps, what: steps)

    @classmethod
    def of(cls, vae: VAE, data: ImageDataModule, split: str = "test", **options) -> "HeldOut":
        """A model and one split of its data, with whatever the data know.

        Rows are shuffled by seed: suites that take the first images then take a fair sample of all
        classes and sources.
        """
        part, source = getattr(data, split), data.images
        orders = source.symmetry_orders
        generator = torch.Generator().manual_seed(options.get("seed", 0))
        rows = torch.randperm(len(part), generator=generator)
        return cls(
            vae=vae.eval(),
            images=part.images[rows],
            labels=part.labels[rows] if bool((part.labels >= 0).all()) else None,
            poses=part.poses[rows] if bool(part.poses.isfinite().all()) else None,
            groups=None if source.groups is None else source.groups[part.indices[rows]],
            symmetry_orders=None if orders is None else dict(enumerate(orders)),
            transfer=None if part.transfer is None else part.transfer[rows],
            **options,
        )

    @property
    def fast(self) -> bool:
        return self.preset == "fast"

    @property
    def effort(self) -> Literal["fast", "full"]:
        """The preset of what has no public protocol."""
        return "fast" if self.fast else "full"

    @property
    def representation(self) -> Representation:
        return self.vae.representation

    @property
    def blocks(self) -> dict[str, range]:
        """Columns of the latents by irrep block."""
        parts = {block.name: block.slice for block in self.representation.blocks}
        return {name: range(part.start, part.stop) for name, part in parts.items()}

    @property
    def device(self) -> torch.device:
        return next(self.vae.parameters()).device

    @cached_property
    @torch.no_grad()
    def encoding(self) -> Encoding:
        """Of every image."""
        with torch.random.fork_rng():  # the caller's random numbers stay as they were
            torch.manual_seed(self.seed)
            return self._encoded()

    def _encoded(self) -> Encoding:
        posteriors, rows, kept = [], [], []
        for first in self.watch(range(0, len(self.images), BATCH), "encoding"):
            some = slice(first, first + BATCH)
            x = self.images[some].to(self.device)
            out = self.vae(x, **self.optics(some))
            posteriors.append(to_device(out.posterior, "cpu"))
            kl = {f"kl/{block}": value for block, value in out.kl.items()}
            rows.append({"log_likelihood": out.log_likelihood, **kl})
            if first < KEPT:
                again = self.vae.reconstruct(x, out.posterior, **self.optics(some))
                kept.append(again[: KEPT - first].cpu())
        whole = {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}
        return Encoding(
            posterior=concatenated(posteriors),
            log_likelihood=whole["log_likelihood"],
            kl={n.removeprefix("kl/"): v for n, v in whole.items() if n.startswith("kl/")},
            reconstruction=torch.cat(kept),
        )

    def optics(self, rows: slice) -> dict[str, Tensor]:
        """The transfer functions of some images, as arguments for a model that uses them."""
        if self.transfer is None or not self.vae.uses_optics:
            return {}
        return {"transfer": self.transfer[rows].to(self.device)}

    @cached_property
    def has_frame(self) -> bool:
        """Whether the latent has a psi_1, which an angle can be read from."""
        return any(block.name == "psi1" for block in self.representation.blocks)

    @cached_property
    def frame(self) -> int:
        """The copy of psi_1 with the largest mean |loc| / scale: a collapsed copy has no direction."""
        q = self.encoding.posterior
        block = next(b for b in self.representation.blocks if b.name == "psi1")
        if block.copies == 1:
            return 0
        length = q.loc[:, block.slice].reshape(len(q.loc), -1, 2).norm(dim=2)
        return int((length / q.scale[:, block.slice][:, ::2]).mean(dim=0).argmax())

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
        return z[:, 2:] if self.representation.position else z

    @cached_property
    def moved_content(self) -> np.ndarray:
        """Content of the moved images, (M, n, D'). A mirror is known to flip handedness: it is undone."""
        flip = motion(reflection=1.0).expand(self.moved.n, -1)
        undone = [
            self.representation.act(flip, z) if g[0] else z
            for g, z in zip(self.moved.motions, self.moved.z, strict=True)
        ]
        return np.stack([self.content_of(z).numpy() for z in undone])

    @cached_property
    def orders(self) -> dict[int, int] | int:
        """Rotational symmetry by class; 1 where the data do not say."""
        if self.symmetry_orders is None or self.labels is None:
            return 1
        return self.symmetry_orders

    @cached_property
    def moved(self) -> "Moved":
        """Latents of the first images under quarter turns, other turns and shifts (and mirrors)."""
        n = min(len(self.images), 400 if self.fast else 2000)
        generator = torch.Generator().manual_seed(self.seed)
        turns = torch.rand(4, generator=generator) * (2 * math.pi)
        shifts = torch.rand(3, 2, generator=generator) * 4 - 2
        parts = {
            "quarter_turn": motion(angle=torch.arange(1, 4) * (math.pi / 2)),
            "rotation": motion(angle=turns),
            "shift": motion(shift=shifts),
        }
        if getattr(self.vae.encoder, "symmetry", None) and self.vae.encoder.symmetry.reflections:
            parts["mirror"] = motion(angle=turns[:2], reflection=1.0)
        motions = torch.cat(list(parts.values()))
        kinds = [kind for kind, part in parts.items() for _ in part]
        return Moved(n=n, motions=motions, kinds=kinds, z=self.encode_moved(motions, n, "moving"))

    @torch.no_grad()
    def encode_moved(self, motions: Tensor, n: int, what: str) -> Tensor:
        """Posterior modes of the first n images under each motion, (M, n, D)."""
        latents = []
        for g in self.watch(motions[:, None], what):
            parts = []
            for first in range(0, n, BATCH):
                some = slice(first, min(first + BATCH, n))
                x = self.images[some]
                x = act_on_image(g.expand(len(x), -1).to(x), x, "fourier").to(self.device)
                parts.append(self.vae.encode(x, **self.optics(some)).mode.cpu())
            latents.append(torch.cat(parts))
        return torch.stack(latents)


@dataclass(frozen=True)
class Moved:
    """Latents of moved images.

    Attributes:
        n: the first n images were moved.
        motions: (M, 4).
        kinds: what each motion is, M names.
        z: posterior modes, (M, n, D).
    """

    n: int
    motions: Tensor
    kinds: list[str]
    z: Tensor
