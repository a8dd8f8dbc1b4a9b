"""The posterior of a pose in space: matrix Fisher in the rotation, Gaussian in the shift.

    q(R, t) = sum_p w_p exp(tr F_p^T R) / c(F_p) N(t; m, s^2)

One term for each order of equivalent atoms, so that a symmetric molecule has as many modes as rotations bring
it onto itself. Densities are in nats by the Haar measure of mass 1, times dt.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from eqvae.distributions.pose import draw_bins
from eqvae.symmetry.space import parity_of, rotation_part
from eqvae.symmetry.space_motions import SpaceMotions, space_motion, translation_of, turn_of
from eqvae.three.vae.matrix_fisher import log_scaled_normaliser, proper_svd, sample

_STARTS = 576  # rotations that a search for modes starts from
_CLIMBS = 60  # steps of each


@dataclass(frozen=True)
class SpacePosePosterior:
    """q(g | x) for a batch of structures.

    Attributes:
        concentration: F of each order, float64, (B, P, 3, 3).
        log_weights: log w_p, normalised, (B, P).
        shift: mean of t, Angstrom, (B, 3).
        shift_scale: standard deviation of each coordinate of t, (B,).
    """

    concentration: Tensor
    log_weights: Tensor
    shift: Tensor
    shift_scale: Tensor

    def __len__(self) -> int:
        return len(self.shift)

    @cached_property
    def peaks(self) -> Tensor:
        """log density of each order's own part at its mode, less that of t, (B, P)."""
        return self.log_weights - log_scaled_normaliser(proper_svd(self.concentration).s)

    @property
    def mode(self) -> Tensor:
        """The likeliest pose: Kabsch's, of the order that fits best, (B, 8)."""
        best = self.peaks.argmax(dim=1)
        chosen = self.concentration[torch.arange(len(best), device=best.device), best]
        return space_motion(proper_svd(chosen).mode, self.shift)

    @property
    def freedom(self) -> Tensor:
        """Standard deviations of the rotation about its three axes, radians, largest first, (B, 3).

        Those of the likeliest order where it is concentrated; at most pi.
        """
        best = self.peaks.argmax(dim=1)
        s = proper_svd(self.concentration[torch.arange(len(best), device=best.device), best]).s
        sums = torch.stack([s[:, 1] + s[:, 2], s[:, 0] + s[:, 2], s[:, 0] + s[:, 1]], dim=1)
        return sums.clamp_min(1e-12).rsqrt().clamp(max=math.pi)

    def rotation_log_density(self, rotations: Tensor) -> Tensor:
        """log q of rotations: matrices (M, 3, 3) for all, or (B, M, 3, 3) for each its own; (B, M)."""
        r = rotations.to(self.concentration)
        r = r if r.dim() == 4 else r[None].expand(len(self), -1, -1, -1)
        peak = proper_svd(self.concentration).s.sum(dim=2)
        away = torch.einsum("bpij,bmij->bmp", self.concentration, r) - peak[:, None]
        return (away + self.peaks[:, None]).logsumexp(dim=2)

    def log_prob(self, g: Tensor) -> Tensor:
        """log q(g) of motions (B, 8), nats, (B,)."""
        turns = self.rotation_log_density(rotation_part(turn_of(g))[:, None])[:, 0]
        away = (translation_of(g).to(self.shift) - self.shift).square().sum(dim=1)
        scale = self.shift_scale
        return turns - away / (2 * scale**2) - 3 * scale.log() - 1.5 * math.log(2 * math.pi)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws g, (B, 8), without a gradient; the generator is on the device of the posterior."""
        order = draw_bins(self.log_weights, generator)
        f = self.concentration[torch.arange(len(order), device=order.device), order]
        like = self.shift
        noise = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        t = self.shift + self.shift_scale[:, None] * noise
        return space_motion(sample(f, generator), t)

    def act(self, g: Tensor) -> "SpacePosePosterior":
        """The distribution of g h for h ~ q; behind the inversion a template turns about z by pi.

        The canonical template of the mirror image is the template mirrored in z, so that
        -R D = R turn(z, pi) (mirror D).
        """
        turn = rotation_part(turn_of(g)).to(self.concentration)[:, None]
        half = 1 - 2 * parity_of(g).to(self.concentration)
        about_z = torch.stack([half, half, torch.ones_like(half)], dim=1)[:, None, None, :]
        moved = SpaceMotions(parity=True).act(g.to(self.shift), self.shift)
        return replace(self, concentration=turn @ self.concentration * about_z, shift=moved)

    @torch.no_grad()
    def modes(self, k: int = 8, separation: float = 5.0) -> tuple[Tensor, Tensor]:
        """The k likeliest rotations, as far apart as `separation` says: g (B, k, 8), log densities (B, k).

        Where fewer are there, rows repeat the likeliest one, with a log density of -inf. Where the shape
        leaves a turn free, as that of a rod, they are samples of the circle.

        Args:
            k: how many.
            separation: degrees between any two of them.
        """
        starts = rotation_part(SpaceMotions().linear.grid(_STARTS)).to(self.concentration)
        own = proper_svd(self.concentration).mode
        turns = torch.cat([own, self._climbed(starts)], dim=1)
        height = self.rotation_log_density(turns)
        near = 1 + 2 * math.cos(math.radians(separation))
        chosen, heights = [], []
        left, best = height.clone(), turns[torch.arange(len(self)), height.argmax(dim=1)]
        top = height.max(dim=1).values
        for _ in range(k):
            at = left.argmax(dim=1)
            value = left.gather(1, at[:, None])[:, 0]
            turn = turns[torch.arange(len(self)), at]
            none = value.isinf()
            chosen.append(torch.where(none[:, None, None], best, turn))
            heights.append(value)
            trace = torch.einsum("bmij,bij->bm", turns, turn)
            left = left.masked_fill(trace > near, -torch.inf)
        found = torch.stack(chosen, dim=1)
        heights = torch.stack(heights, dim=1)
        heights = heights.masked_fill(
            heights < top[:, None] - 30, -torch.inf
        )  # rounding's own maxima
        g = space_motion(found.flatten(0, 1), self.shift.repeat_interleave(k, dim=0))
        return g.unflatten(0, (len(self), k)), heights

    def _climbed(self, starts: Tensor) -> Tensor:
        """Rotations (M, 3, 3) led uphill, (B, M, 3, 3): R <- the rotation nearest to sum_p q_p F_p + a R.

        log q is convex in R, so that each step climbs; a keeps it near where the top is a circle, and is no
        larger than lets it come near a broad top in a few steps.
        """
        r = starts[None].expand(len(self), -1, -1, -1)
        s = proper_svd(self.concentration).s
        least = (s[..., 1] + s[..., 2]).amin(dim=1)
        keep = (least / 4 + 1e-9 * s[..., 0].amax(dim=1) + 1e-9)[:, None, None, None]
        peak = s.sum(dim=2)
        for _ in range(_CLIMBS):
            away = torch.einsum("bpij,bmij->bmp", self.concentration, r) - peak[:, None]
            share = (away + self.peaks[:, None]).softmax(dim=2)
            r = proper_svd(
                torch.einsum("bmp,bpij->bmij", share, self.concentration) + keep * r
            ).mode
        return r
