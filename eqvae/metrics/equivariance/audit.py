"""One audit of a trained model: does it move with its object, how nearly, and which part does not?

    encoder      E(g x) and g E(x), all together and by irrep block       Lie derivatives of E and D
    decoder      D(g z) and g D(z), also as EQ-R and EQ-T in decibels     a table of the layers
    round trip   D(E(g x)) and g D(E(x))                                  change of the ELBO

under rotations, sub-pixel shifts, quarter turns, mirrors and every element of a finite group, as far as the
group has them. Errors of images stand beside `resampling`, what the test itself costs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.domains.grid import disc_mask
from eqvae.domains.square import act_on_image
from eqvae.metrics.equivariance import errors as eq
from eqvae.metrics.equivariance.figures import layer_figure, polar_figure
from eqvae.metrics.equivariance.layers import LayerAction, LayerRow, layer_table
from eqvae.metrics.equivariance.lie import GENERATORS, ImageAction, central_difference, lie_scores
from eqvae.metrics.intervals import mean_interval
from eqvae.metrics.score import Score
from eqvae.symmetry.motions import motion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ELBO_MOTIONS = 18  # at most, of each kind: every 20 degrees
Render = Callable[[Tensor, Tensor, Tensor], Tensor]  # (g, z, D(z)) -> g D(z)


@dataclass(frozen=True)
class Preset:
    """How much is measured.

    Attributes:
        step: of the rotations, degrees.
        mirror_step: of the rotations after a mirror, degrees.
        shifts: number of sub-pixel shifts.
        local_images: images in Lie derivatives and the layer table.
        layer_lie: whether the layer table has Lie derivatives.
    """

    step: float
    mirror_step: float
    shifts: int
    local_images: int
    layer_lie: bool


PRESETS = {"fast": Preset(10.0, 15.0, 8, 8, False), "full": Preset(5.0, 5.0, 32, 16, True)}


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        scores: `<part>/<motion>`, with part encoder, encoder/<block>, scenes/encoder, decoder, round_trip,
            resampling or elbo_change, and motion rotation, shift, quarter_turn, reflection or element;
            `decoder/eq_r`, `decoder/eq_t`; `lie/<part>/<generator>[/relative]`.
        sweeps: by part the angles in degrees and the relative error at each; under `mirror/<part>` the same
            after a mirror.
        elements: for a finite group a row for each element: reflection, degrees, and the error of each
            part.
        block_shares: share of each irrep block in the encoder's squared error under rotations.
        layers: the layer table; empty if there was no network or no layer with a known action.
    """

    scores: dict[str, Score]
    sweeps: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    elements: list[dict[str, float]] = field(default_factory=list)
    block_shares: dict[str, float] = field(default_factory=dict)
    layers: list[LayerRow] = field(default_factory=list)

    @property
    def layer_scores(self) -> dict[str, Score]:
        """The layer table as scores, `layers/<name>/<motion>` and `layers/<name>/local_<motion>`."""
        kinds = ("rotation", "quarter_turn", "shift")
        return {
            f"layers/{row.name}/{kind}": Score(
                value, n=row.n, better="lower", ceiling=0.0, page="layer-table"
            )
            for row in self.layers
            for kind in (*kinds, *(f"local_{k}" for k in kinds))
            if (value := getattr(row, kind)) is not None
        }

    @property
    def worst_block(self) -> str | None:
        """The block that breaks the law most under rotations."""
        return max(self.block_shares, key=self.block_shares.get) if self.block_shares else None

    def polar_figure(self) -> "Figure":
        """Relative error against the angle, on a logarithmic radius, with the resampling floor."""
        return polar_figure(self.sweeps)

    def layer_figure(self) -> "Figure":
        """Relative errors of the layers, one row each."""
        return layer_figure(self.layers)


@dataclass(frozen=True)
class SymmetryAudit:
    """Everything that can be measured of a model given as functions; leave out what it lacks.

    Attributes:
        encode: images (B, C, H, H) -> latents (B, D), deterministic.
        decode: latents -> images.
        act: how latents move, (g (B, 4), z (B, D)) -> g z; needed by all but nothing else.
        symmetry: of the model, with `.reflections`, `.is_finite` and `.elements()`; None for rotations and
            shifts only.
        blocks: columns of the latents by name; "position" is measured in pixels and set to the centre
            before decoding.
        measure: squared error and norm of latents; default Euclidean.
        position_scale: pixels that count as much as one unit of the other latents.
        render: (g, z, D(z)) -> g D(z) without interpolation; None interpolates D(z).
        elbo: (images, noise (B, D)) -> ELBO (B,), nats.
        network: whose layers are tabulated on images.
        layer_actions: how layers move that `layer_table` can't know.

    Example:
        audit = SymmetryAudit.of(vae).run(images)
        audit.scores["encoder/rotation"].value, audit.worst_block
        audit.polar_figure().savefig("equivariance.png")
    """

    encode: Callable[[Tensor], Tensor] | None = None
    decode: Callable[[Tensor], Tensor] | None = None
    act: eq.Action | None = None
    symmetry: Any = None
    blocks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    measure: eq.Measure | None = None
    position_scale: float = 1.0
    render: Render | None = None
    elbo: Callable[[Tensor, Tensor], Tensor] | None = None
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
        cls, vae: Any, layer_actions: Mapping[str, LayerAction] | None = None
    ) -> "SymmetryAudit":
        """The audit of a model with `.encode(x).mode`, `.decode(z)` and `.representation`.

        Args:
            vae: the model, in eval mode. A `.decoder.render` is used, and so are `.prior`,
                `.likelihood` and `.encoder.symmetry` where it has them.
            layer_actions: by name how layers of the encoder move, beside its own `.layer_actions`.

        Raises:
            ValueError: if it is in training mode.
        """
        if getattr(vae, "training", False):
            raise ValueError("vae must be in eval mode, else every pass differs; call vae.eval().")
        latent, prior = vae.representation, getattr(vae, "prior", None)
        scale = prior.scale[0].item() if latent.position and hasattr(prior, "scale") else 1.0
        encoder, decoder = getattr(vae, "encoder", None), getattr(vae, "decoder", None)
        whole = prior is not None and hasattr(vae, "likelihood")
        return cls(
            encode=lambda x: vae.encode(Batch(x)).mode,
            decode=vae.decode,
            act=latent.act,
            symmetry=getattr(encoder, "symmetry", None),
            blocks={b.name: range(b.slice.start, b.slice.stop) for b in latent.blocks},
            measure=eq.latent_norms(latent, scale),
            position_scale=scale,
            render=(lambda g, z, image: eq.move_decoded(vae, g, z, image))
            if hasattr(decoder, "render") and whole
            else None,
            elbo=(lambda x, noise: vae.elbo(Batch(x), noise))
            if whole and hasattr(vae, "elbo")
            else None,
            network=encoder if isinstance(encoder, nn.Module) else None,
            layer_actions={**getattr(encoder, "layer_actions", {}), **(layer_actions or {})},
        )

    @torch.no_grad()
    def run(
        self,
        x: Tensor | None = None,
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
            x: images (B, C, H, H), B about 32; needed by encoders.
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
        size = PRESETS[preset]
        x, z = self._inputs(x, z, band_limit)
        result = AuditResult({})
        jobs: dict[str, Callable[[], None]] = {
            kind: lambda kind=kind, motions=motions: self._sweep(
                result, kind, motions, x, z, scenes, seed
            )
            for kind, motions in self._motions(size, seed).items()
        }
        few = slice(size.local_images)
        jobs["lie"] = lambda: self._lie(
            result, None if x is None else x[few], None if z is None else z[few], seed
        )
        if self.network is not None and x is not None:
            jobs["layers"] = lambda: result.layers.extend(self._layers(x[few], size.layer_lie))
        for job in track(
            jobs.values(), description="symmetry audit", disable=not progress, transient=True
        ):
            job()
        return result

    def _inputs(
        self, x: Tensor | None, z: Tensor | None, band_limit: float | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if x is None and (self.encode is not None or z is None):
            raise ValueError("x must be given: images (B, C, H, H) for the encoder.")
        if x is not None:
            if x.dim() != 4 or x.shape[-1] != x.shape[-2]:
                raise ValueError(
                    f"x must be square images (B, C, H, H); got shape {tuple(x.shape)}."
                )
            if not torch.isfinite(x).all():
                raise ValueError("x must be finite; it holds NaN or infinity. Leave those out.")
            if band_limit is not None:
                x = eq.band_limited(x, band_limit)
        if self.decode is not None and z is None:
            if self.encode is None:
                raise ValueError("z must be given where there is no encoder: latents (B, D).")
            z = self.encode(x).clone()
            if "position" in self.blocks:
                z[:, list(self.blocks["position"])] = 0  # in the middle nothing is cut off
        return x, z

    def _motions(self, size: Preset, seed: int) -> dict[str, Tensor]:
        motions = {
            "rotation": eq.angle_sweep(size.step),
            "shift": eq.subpixel_shifts(size.shifts, seed),
            "quarter_turn": eq.angle_sweep(90.0),
        }
        if getattr(self.symmetry, "reflections", False):
            motions["reflection"] = eq.angle_sweep(size.mirror_step, reflection=True)
        if getattr(self.symmetry, "is_finite", False):
            others = self.symmetry.elements()[1:]
            if len(others):
                motions["element"] = others.to(torch.get_default_dtype())
        return motions

    def _sweep(
        self,
        result: AuditResult,
        kind: str,
        motions: Tensor,
        x: Tensor | None,
        z: Tensor | None,
        scenes: Any,
        seed: int,
    ) -> None:
        """All parts under one kind of motion."""
        errors: dict[str, eq.Errors] = {}
        if self.encode is not None:

            def move(g: Tensor) -> Tensor:
                return act_on_image(g.expand(len(x), -1).to(x), x, "fourier")

            moved = [self.encode(move(g)) for g in motions[:, None]]
            still = self.encode(x)
            expected = [self.act(g, still) for g in eq.each(motions, still)]
            errors["encoder"] = eq.compare(motions, moved, expected, self.measure)
            self._blocks(result, kind, motions, moved, expected, seed)
            if self.decode is not None:
                image = self.decode(still)
                errors["round_trip"] = eq.compare(
                    motions,
                    (self.decode(m) for m in moved),
                    (self._moved_image(g, still, image) for g in eq.each(motions, still)),
                    eq.disc_norms,
                )
            if scenes is not None:

                def move(g: Tensor) -> Tensor:
                    return scenes.render(g).to(x)

                errors["scenes/encoder"] = eq.equivariance_errors(
                    self.encode, move, self.act, motions, self.measure
                )
            errors["resampling"] = eq.resampling_errors(x, motions)
            if self.elbo is not None:
                some = motions[:: math.ceil(len(motions) / _ELBO_MOTIONS)]
                result.scores.update(self._elbo_change(kind, move, some, seed))
        if self.decode is not None:
            errors["decoder"] = self._decoder(result, kind, motions, z, seed)
        self._keep(result, kind, motions, errors, seed)

    def _moved_image(self, g: Tensor, z: Tensor, image: Tensor) -> Tensor:
        if self.render is not None:
            return self.render(g, z, image)
        return act_on_image(g, image, "fourier")

    def _decoder(
        self, result: AuditResult, kind: str, motions: Tensor, z: Tensor, seed: int
    ) -> eq.Errors:
        image = self.decode(z)
        found = eq.equivariance_errors(
            self.decode,
            lambda g: self.act(g.expand(len(z), -1).to(z), z),
            lambda g, image: self._moved_image(g, z, image),
            motions,
            eq.disc_norms,
        )
        if kind in ("rotation", "shift"):
            own = eq.resampling_errors(image, motions) if self.render is None else None
            name = {"rotation": "eq_r", "shift": "eq_t"}[kind]
            score = eq.decibel_score(found, image.shape, own, seed)
            result.scores[f"decoder/{name}"] = score
        return found

    def _blocks(
        self,
        result: AuditResult,
        kind: str,
        motions: Tensor,
        moved: list[Tensor],
        expected: list[Tensor],
        seed: int,
    ) -> None:
        """The encoder's error block by block."""
        total = {}
        for name, columns in self.blocks.items():
            c = list(columns)
            pairs = ([a[:, c] for a in moved], [e[:, c] for e in expected])
            errors = eq.compare(motions, *pairs)
            unit = 1.0
            if name == "position":  # in pixels: its size says nothing about its error
                unit = self.position_scale
                errors = eq.Errors(
                    motions, errors.squared, np.ones_like(errors.scale), errors.unrelated
                )
            total[name] = errors.squared.sum() / unit**2
            score = errors.score(seed=seed, relative=name != "position")
            if name == "position" and score.value is not None:
                score = Score(**(score.as_dict() | {"unit": "px"}))
            result.scores[f"encoder/{name}/{kind}"] = score
        if kind == "rotation" and sum(total.values()) > 0:
            shares = {name: float(value / sum(total.values())) for name, value in total.items()}
            result.block_shares.update(shares)

    def _elbo_change(
        self, kind: str, move: eq.Move, motions: Tensor, seed: int
    ) -> dict[str, Score]:
        dim = self.encode(move(motion())).shape[1]
        still, moved = eq.elbo_values(self.elbo, self.act, dim, move, motions, seed)
        still, moved = still.double().cpu().numpy(), moved.double().cpu().numpy()
        change = np.abs(moved - still).mean(0)
        n = len(still)
        chance = np.abs(still - np.roll(still, 1)).mean() if n > 1 else None
        known = {"n": n, "better": "lower", "ceiling": 0.0, "page": "symmetry-audit"}
        if not np.isfinite(change).all():
            return {f"elbo_change/{kind}": Score.null("the ELBO is not finite", **known)}
        interval = mean_interval(change, seed=seed)
        score = Score(change.mean(), floor=chance, interval=interval, unit="nats", **known)
        return {f"elbo_change/{kind}": score}

    @staticmethod
    def _keep(
        result: AuditResult, kind: str, motions: Tensor, errors: dict[str, eq.Errors], seed: int
    ) -> None:
        for part, found in errors.items():
            page = "resampling-floor" if part == "resampling" else "equivariance-error"
            score = found.score(page, seed)
            if part == "resampling" and score.value is not None:
                score = Score(**(score.as_dict() | {"floor": None}))
            result.scores[f"{part}/{kind}"] = score
            if kind in ("rotation", "reflection"):
                name = part if kind == "rotation" else f"mirror/{part}"
                degrees = torch.rad2deg(motions[:, 1]).numpy()
                result.sweeps[name] = (degrees, found.relative)
        if kind == "element":
            for i, g in enumerate(motions):
                row = {"reflection": g[0].item(), "degrees": torch.rad2deg(g[1]).item()}
                row |= {part: float(found.relative[i]) for part, found in errors.items()}
                result.elements.append(row)

    def _lie(self, result: AuditResult, x: Tensor | None, z: Tensor | None, seed: int) -> None:
        if self.encode is not None:
            weight = torch.ones(self.encode(x[:1]).shape[1]).to(x)
            if "position" in self.blocks:
                weight[list(self.blocks["position"])] = 1 / self.position_scale
            scores = lie_scores(self.encode, x, act=self.act, weight=weight, seed=seed)
            result.scores.update({f"lie/encoder/{name}": s for name, s in scores.items()})
        if self.decode is not None:
            side = self.decode(z[:1]).shape[-1]
            inner = disc_mask(side, 7 / 8 * side / 2).to(z)  # where windowed velocities are right
            act = _RenderedAction(self.render, z) if self.render else ImageAction(windowed=True)
            scores = lie_scores(self.decode, z, act=act, act_in=self.act, weight=inner, seed=seed)
            result.scores.update({f"lie/decoder/{name}": s for name, s in scores.items()})

    def _layers(self, x: Tensor, lie: bool) -> list[LayerRow]:
        """Without vectors that would be called invariant only because nothing is known of them."""
        finite = getattr(self.symmetry, "is_finite", True)
        # where every angle is in the group, one that no sampling of the circle holds exactly
        angle = math.pi / 4 if finite else 1.0
        rows = layer_table(self.network, x, actions=self.layer_actions, angle=angle, lie=lie)
        return [row for row in rows if row.moves != "invariant"]


@dataclass(frozen=True)
class _RenderedAction:
    """Decoded images that the decoder itself draws on a moved grid."""

    render: Render
    z: Tensor

    def __call__(self, g: Tensor, y: Tensor) -> Tensor:
        return self.render(g, self.z, y)

    def velocity(self, y: Tensor, generator: str) -> Tensor:
        direction = torch.tensor(GENERATORS[generator]).to(y)
        # not forward mode: rendering may hold cosines that are exactly 1, and so flat, at the identity
        return central_difference(lambda t: self((direction * t).expand(len(y), 4), y), y)
