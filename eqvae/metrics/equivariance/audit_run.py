"""One audit at work: every part of a model under one kind of motion after the other."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.domains import Domain, HexagonalGrid, SquareGrid
from eqvae.metrics.equivariance.audit_result import AuditResult
from eqvae.metrics.equivariance.decibels import decibel_score
from eqvae.metrics.equivariance.errors import (
    Action,
    Errors,
    each,
    equivariance_errors,
    paired_errors,
)
from eqvae.metrics.equivariance.layer_actions import LayerAction
from eqvae.metrics.equivariance.layers import layer_table
from eqvae.metrics.equivariance.lie import lie_scores
from eqvae.metrics.equivariance.model_errors import elbo_values
from eqvae.metrics.equivariance.norms import (
    Columns,
    column_list,
    latent_norms,
    masked_norms,
)
from eqvae.metrics.equivariance.resampling import resampling_errors
from eqvae.metrics.equivariance.sweeps import MotionSweep, flow
from eqvae.metrics.equivariance.velocity import ImageAction, central_difference
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score
from eqvae.symmetry.group import Generator, Group

_ELBO_MOTIONS = 18  # at most, of each kind: every 20 degrees
_PUBLISHED = {"rotation": "eq_r", "shift": "eq_t"}  # names of decoder errors in decibels


class Audited(Protocol):
    """The functions of a model, as `SymmetryAudit` describes them."""

    encode: Callable[[Batch], Tensor] | None
    decode: Callable[[Tensor], Tensor] | None
    act: Action
    group: Group | None
    domain: Domain | None
    blocks: Mapping[str, Sequence[int]]
    position: Columns
    position_scale: float
    render: Callable[[Tensor, Tensor, Tensor], Tensor] | None
    elbo: Callable[[Batch, Tensor], Tensor] | None
    network: nn.Module | None
    layer_actions: Mapping[str, LayerAction]


@dataclass(frozen=True)
class AuditRun:
    """What is measured, with what.

    Attributes:
        audit: the functions of the model.
        group: that acts.
        batch: images, None where there is no encoder.
        z: latents to decode, None where there is no decoder.
        scenes: images that move exactly, or None.
        seed: of noise and bootstraps.
        result: filled by `sweep`, `lie` and `tabulate_layers`.
    """

    audit: Audited
    group: Group
    batch: Batch | None
    z: Tensor | None
    scenes: Any
    seed: int
    result: AuditResult = field(default_factory=lambda: AuditResult({}))

    @cached_property
    def domain(self) -> Domain:
        """Where the images live."""
        if self.audit.domain is not None:
            return self.audit.domain
        return SquareGrid.of(
            self.audit.decode(self.z[:1]) if self.batch is None else self.batch.image
        )

    def sweep(self, sweep: MotionSweep, first: bool = False) -> None:
        """All parts under one kind of motion; the first one shares the error out among the blocks."""
        errors: dict[str, Errors] = {}
        if self.audit.encode is not None:
            errors |= self._encoder(sweep, first)
        if self.audit.decode is not None:
            errors["decoder"] = self._decoder(sweep)
        for part, found in errors.items():
            resampling = part == "resampling"
            page = "resampling-floor" if resampling else "equivariance-error"
            score = found.score(page, self.seed, chance=not resampling)
            self.result.scores[f"{part}/{sweep.name}"] = score
            if sweep.degrees is not None:
                name = f"mirror/{part}" if sweep.name == "reflection" else part
                self.result.sweeps[name] = (sweep.degrees.numpy(), found.relative)
        if sweep.name == "element":
            for i, g in enumerate(sweep.motions):
                row = {part: float(found.relative[i]) for part, found in errors.items()}
                self.result.elements.append({"element": g} | row)

    def _encoder(self, sweep: MotionSweep, first: bool) -> dict[str, Errors]:
        audit, motions, x = self.audit, sweep.motions, self.batch.image
        measure = latent_norms(audit.position, audit.position_scale)
        moved = [audit.encode(self._moved(g)) for g in each(motions, x)]
        still = audit.encode(self.batch)
        expected = [audit.act(g, still) for g in each(motions, still)]
        errors = {"encoder": paired_errors(motions, moved, expected, measure)}
        self._blocks(sweep, moved, expected, first)
        if audit.decode is not None:
            image = audit.decode(still)
            errors["round_trip"] = paired_errors(
                motions,
                (audit.decode(m) for m in moved),
                (self._moved_image(g, still, image) for g in each(motions, still)),
                masked_norms(self.domain),
            )
        if self.scenes is not None:
            errors["scenes/encoder"] = equivariance_errors(
                lambda images: audit.encode(Batch(images)),
                lambda g: self._scenes(g).image,
                audit.act,
                motions,
                measure,
                audit.encode(self._scenes()),
            )
        errors["resampling"] = resampling_errors(x, motions, self.domain)
        if audit.elbo is not None:
            self._elbo_change(sweep, still.shape[1])
        return errors

    def _moved(self, g: Tensor) -> Batch:
        return self.batch.act(g, self.domain, "fourier")

    def _scenes(self, g: Tensor | None = None) -> Batch:
        """The scenes, moved exactly; they know of no optics."""
        return Batch(self.scenes.render(g).to(self.batch.image))

    def _moved_image(self, g: Tensor, z: Tensor, image: Tensor) -> Tensor:
        if self.audit.render is not None:
            return self.audit.render(g, z, image)
        return self.domain.act(g, image, "fourier")

    def _decoder(self, sweep: MotionSweep) -> Errors:
        audit, z, domain = self.audit, self.z, self.domain
        image = audit.decode(z)
        found = equivariance_errors(
            audit.decode,
            lambda g: audit.act(g.expand(len(z), -1).to(z), z),
            lambda g, image: self._moved_image(g, z, image),
            sweep.motions,
            masked_norms(domain),
            image,
        )
        if sweep.name in _PUBLISHED:
            own = None
            if audit.render is None:
                own = resampling_errors(image, sweep.motions, domain)
            score = decibel_score(found, image.shape, own, self.seed, domain)
            self.result.scores[f"decoder/{_PUBLISHED[sweep.name]}"] = score
        return found

    def _blocks(
        self, sweep: MotionSweep, moved: list[Tensor], expected: list[Tensor], first: bool
    ) -> None:
        """The encoder's error block by block."""
        total, position = {}, column_list(self.audit.position, moved[0].shape[1])
        for name, columns in self.audit.blocks.items():
            c = list(columns)
            pairs = ([a[:, c] for a in moved], [e[:, c] for e in expected])
            errors = paired_errors(sweep.motions, *pairs)
            unit, known = 1.0, {}
            if c == position:  # in pixels: its size says nothing about its error
                unit, known = self.audit.position_scale, {"relative": False, "unit": "px"}
                ones = np.ones_like(errors.scale)
                errors = Errors(errors.motions, errors.squared, ones, errors.unrelated)
            total[name] = errors.squared.sum() / unit**2
            score = errors.score(seed=self.seed, **known)
            self.result.scores[f"encoder/{name}/{sweep.name}"] = score
        if first and sum(total.values()) > 0:
            shares = {name: float(value / sum(total.values())) for name, value in total.items()}
            self.result.block_shares.update(shares)

    def _elbo_change(self, sweep: MotionSweep, dim: int) -> None:
        motions = sweep.motions[:: math.ceil(len(sweep.motions) / _ELBO_MOTIONS)]
        images, move = self.batch, self._moved
        if self.scenes is not None:
            images, move = self._scenes(), lambda g: self._scenes(g[:1])
        still, moved = elbo_values(
            self.audit.elbo, self.audit.act, images, move, motions, dim, self.seed
        )
        still, moved = still.double().cpu().numpy(), moved.double().cpu().numpy()
        change = np.abs(moved - still).mean(0)
        known = {"n": len(still), "better": "lower", "ceiling": 0.0, "page": "symmetry-audit"}
        if np.isfinite(change).all():
            known["floor"] = np.abs(still - np.roll(still, 1)).mean() if len(still) > 1 else None
            score = Score.of_mean(change, Resampling(seed=self.seed), unit="nats", **known)
        else:
            score = Score.null("the ELBO is not finite", **known)
        self.result.scores[f"elbo_change/{sweep.name}"] = score

    def lie(self, images: int) -> None:
        """Lie derivatives of encoder and decoder, on the first images."""
        audit, group = self.audit, self.group.ambient
        known = {"group": group, "seed": self.seed}
        if audit.encode is not None:
            few = self.batch[:images]
            weight = torch.ones(audit.encode(few[:1]).shape[1]).to(few.image)
            weight[column_list(audit.position, len(weight))] = 1 / audit.position_scale
            scores = lie_scores(
                lambda x: audit.encode(few.replace(image=x)),
                few.image,
                act=audit.act,
                act_in=self._image_action(),
                weight=weight,
                **known,
            )
            self.result.scores.update({f"lie/encoder/{name}": s for name, s in scores.items()})
        if audit.decode is not None:
            z = self.z[:images]
            act = self._image_action(windowed=True)
            if audit.render is not None:
                act = _RenderedAction(self, z)
            inner = None
            if isinstance(self.domain, SquareGrid | HexagonalGrid):  # where windows are 1
                inner = 7 / 8 * self.domain.radius
            mask = self.domain.mask(inner).to(z)
            scores = lie_scores(audit.decode, z, act=act, act_in=audit.act, weight=mask, **known)
            self.result.scores.update({f"lie/decoder/{name}": s for name, s in scores.items()})

    def _image_action(self, windowed: bool = False) -> Any:
        if isinstance(self.domain, SquareGrid):
            ground, group = self.domain.ground, self.group.ambient
            return ImageAction(windowed=windowed, group=group, ground=ground)
        return lambda g, x: self.domain.act(g, x, "fourier")

    def tabulate_layers(self, images: int, lie: bool) -> None:
        """The layers, without vectors that would be called invariant as nothing is known of them."""
        exact = self.audit.group is None or self.group != self.group.ambient
        rows = layer_table(
            self.audit.network,
            self.batch.image[:images],
            actions=self.audit.layer_actions,
            act_in=self._image_action(),
            group=self.group.ambient,
            # where every angle is in the group, one that no sampling of the circle holds exactly
            angle=math.pi / 4 if exact else 1.0,
            lie=lie,
        )
        self.result.layers.extend(row for row in rows if row.moves != "invariant")


@dataclass(frozen=True)
class _RenderedAction:
    """Decoded images that the decoder itself draws at moved points."""

    run: AuditRun
    z: Tensor

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        return self.run.audit.render(g, self.z, y)

    def velocity(self, y: Tensor, generator: Generator) -> Tensor:
        def moved(t: Tensor) -> Tensor:
            return self(flow(self.run.group, generator, t[None]).expand(len(y), -1), y)

        # not forward mode: rendering may hold cosines that are exactly 1, and so flat, at the identity
        return central_difference(moved, y)
