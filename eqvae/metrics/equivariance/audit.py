"""One audit of a trained model: does it move with its object, how nearly, and which part does not?

    encoder      E(g x) and g E(x), all together and by irrep block       Lie derivatives of E and D
    decoder      D(g z) and g D(z), also as EQ-R and EQ-T in decibels     a table of the layers
    round trip   D(E(g x)) and g D(E(x))                                  change of the ELBO

under every kind of motion that the group has (`sweeps.py`): for the plane rotations, sub-pixel shifts,
quarter turns, mirrors and every element of a finite group. Errors of images stand beside `resampling`, what
the test itself costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from rich.progress import track
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.domains import Domain, SquareGrid
from eqvae.metrics.equivariance.audit_result import AuditResult
from eqvae.metrics.equivariance.audit_run import AuditRun
from eqvae.metrics.equivariance.errors import Action
from eqvae.metrics.equivariance.layer_actions import LayerAction
from eqvae.metrics.equivariance.model_errors import moved_decoding
from eqvae.metrics.equivariance.norms import Columns, column_list
from eqvae.metrics.equivariance.resampling import band_limited
from eqvae.metrics.equivariance.sweeps import motion_sweeps
from eqvae.models.model import Model
from eqvae.symmetry.group import Group
from eqvae.symmetry.plane import PlaneMotions

Render = Callable[[Tensor, Tensor, Tensor], Tensor]  # (g, z, D(z)) -> g D(z)


@dataclass(frozen=True)
class Preset:
    """How much is measured.

    Attributes:
        turns: steps of a period, such as a full turn.
        mirrors: of the even grid that mirrors are taken from.
        shifts: number of random motions without a period, such as sub-pixel shifts.
        local_images: images in Lie derivatives and the layer table.
        layer_lie: whether the layer table has Lie derivatives.
    """

    turns: int
    mirrors: int
    shifts: int
    local_images: int
    layer_lie: bool


PRESETS = {"fast": Preset(36, 24, 8, 8, False), "full": Preset(72, 72, 32, 16, True)}


@dataclass(frozen=True)
class SymmetryAudit:
    """Everything that can be measured of a model given as functions; leave out what it lacks.

    Attributes:
        encode: a `Batch` of images (B, C, H, H) -> latents (B, D), deterministic.
        decode: latents -> images.
        act: how latents move, (g (B, E), z (B, D)) -> g z.
        group: that acts; None for rotations and shifts of the plane.
        domain: where the images live; None for the square grid of their size.
        blocks: columns of the latents by name, each scored alone.
        position: columns of the position, measured in pixels and set to the centre before decoding.
        position_scale: pixels that count as much as one unit of the other latents.
        render: (g, z, D(z)) -> g D(z) without interpolation; None interpolates D(z).
        elbo: (batch, noise (B, D)) -> ELBO (B,), nats.
        network: whose layers are tabulated on images of the square grid.
        layer_actions: how layers move that `layer_table` can't know.

    Example:
        audit = SymmetryAudit.of(model).run(batch)
        audit.scores["encoder/rotation"].value, audit.worst_block
        eqvae.drawing.audit.polar_figure(audit).savefig("equivariance.png")
    """

    encode: Callable[[Batch], Tensor] | None = None
    decode: Callable[[Tensor], Tensor] | None = None
    act: Action | None = None
    group: Group | None = None
    domain: Domain | None = None
    blocks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    position: Columns = ()
    position_scale: float = 1.0
    render: Render | None = None
    elbo: Callable[[Batch, Tensor], Tensor] | None = None
    network: nn.Module | None = None
    layer_actions: Mapping[str, LayerAction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encode is None and self.decode is None:
            raise ValueError("an audit needs encode, decode or both; got neither.")
        if self.act is None:
            raise ValueError(
                "act must say how latents move, (g, z) -> g z; got None. Use representation.act, or "
                "equivariance.keep for invariant latents."
            )

    @classmethod
    def of(
        cls, model: Model, layer_actions: Mapping[str, LayerAction] | None = None
    ) -> "SymmetryAudit":
        """The audit of a model.

        Args:
            model: in eval mode.
            layer_actions: by name how layers of the encoder move, beside its own `.layer_actions`.

        Raises:
            ValueError: if it is in training mode.
        """
        if model.training:
            raise ValueError(
                "model must be in eval mode, else every pass differs; call model.eval()."
            )
        latent = model.representation
        scaled = latent.position and hasattr(model.prior, "scale")
        renders = hasattr(model.decoder, "render")
        return cls(
            encode=lambda batch: model.encode(batch).mode,
            decode=model.decode,
            act=latent.act,
            group=model.symmetry,
            domain=model.domain,
            blocks={b.name: range(b.slice.start, b.slice.stop) for b in latent.blocks},
            position=latent.slices.position,
            position_scale=model.prior.scale[0].item() if scaled else 1.0,
            render=(lambda g, z, x: moved_decoding(model, g, z, x)) if renders else None,
            elbo=model.elbo,
            network=model.encoder,
            layer_actions={**getattr(model.encoder, "layer_actions", {}), **(layer_actions or {})},
        )

    @torch.no_grad()
    def run(
        self,
        x: Batch | Tensor | None = None,
        *,
        z: Tensor | None = None,
        scenes: Any = None,
        preset: Literal["fast", "full"] = "fast",
        band_limit: float | None = 0.75,
        seed: int = 0,
        progress: bool = False,
    ) -> AuditResult:
        """Measure.

        Args:
            x: images (B, C, H, H), B about 32, or a `Batch` of them with their optics; needed by encoders.
            z: latents to decode; default those of x.
            scenes: images that move exactly, with `.render(g)` -> (B', C, H, H), such as
                `eqvae.testing.GaussianScenes`.
            preset: "fast" or "full".
            band_limit: low-pass and disc of `band_limited` before anything is measured, so that the test
                costs little; None leaves the images as they are.
            seed: of shifts, noise and bootstraps.
            progress: show a progress bar.

        Raises:
            ValueError: if the preset is unknown, x is missing, not square or not finite.
        """
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {sorted(PRESETS)}; got {preset!r}.")
        size, batch = PRESETS[preset], self._batch(x, z, band_limit)
        group = PlaneMotions() if self.group is None else self.group
        run = AuditRun(self, group, batch, self._latents(batch, z), scenes, seed)
        amounts = {"turns": size.turns, "mirrors": size.mirrors, "draws": size.shifts}
        jobs: list[Callable[[], None]] = [
            lambda sweep=sweep, first=not i: run.sweep(sweep, first)
            for i, sweep in enumerate(motion_sweeps(group, seed=seed, **amounts))
        ]
        jobs.append(lambda: run.lie(size.local_images))
        if self.network is not None and batch is not None and isinstance(run.domain, SquareGrid):
            jobs.append(lambda: run.tabulate_layers(size.local_images, size.layer_lie))
        for job in track(jobs, description="symmetry audit", disable=not progress, transient=True):
            job()
        return run.result

    def _batch(
        self, x: Batch | Tensor | None, z: Tensor | None, band_limit: float | None
    ) -> Batch | None:
        """The images to measure with."""
        if x is None:
            if self.encode is not None or z is None:
                raise ValueError("x must be given: images (B, C, H, H) for the encoder.")
            return None
        batch = Batch(x) if torch.is_tensor(x) else x
        image = batch.image
        if self.domain is None or isinstance(self.domain, SquareGrid):
            SquareGrid.of(image)  # refuses what is not square
        if self.domain is not None and tuple(image.shape[2:]) != self.domain.shape:
            raise ValueError(
                f"x must be of the model's domain, (B, C, *{self.domain.shape}); got shape "
                f"{tuple(image.shape)}. Crop or pad it."
            )
        if not torch.isfinite(image).all():
            raise ValueError("x must be finite; it holds NaN or infinity. Leave those out.")
        return (
            batch
            if band_limit is None
            else batch.replace(image=band_limited(image, band_limit, self.domain))
        )

    def _latents(self, batch: Batch | None, z: Tensor | None) -> Tensor | None:
        """The latents to decode, in the middle, where nothing is cut off, unless they are given."""
        if self.decode is None or z is not None:
            return z
        if self.encode is None:
            raise ValueError("z must be given where there is no encoder: latents (B, D).")
        z = self.encode(batch).clone()
        z[:, column_list(self.position, z.shape[1])] = 0
        return z
