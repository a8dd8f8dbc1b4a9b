"""Distributions over poses: mixtures of bins on the group.

A pose is a motion g: where the object is, which way it points and, with reflections, its chirality.
A `PosePosterior` is

    q(g) = sum_k w_k N(log(g_k^-1 g); 0, S),      g = g_k exp(u) = (angle_k +- u_0, t_k + A_k (u_1, u_2)),

a mixture of Gaussians in small motions u of the object itself, with one covariance S for all bins of an
image; where objects are scaled u has a fourth coordinate, by which the log-scale grows, and A_k holds the
bin's scale. The noise stands on the right, so that moving the object moves the bins and nothing else:
q(h^-1 g) has the bins h g_k. It has as many modes as the object has symmetries, and is flat where the
image says nothing. Densities are with respect to the Haar measure d theta / 2 pi d x d y (and counting
measure of mass 1/2 each for the two chiralities): the uniform angle has density 1 and log density 0. With
scales the measure is d theta / 2 pi d x d y d s, s the log-scale.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.symmetry_order import symmetry_order
from eqvae.symmetry.motions import (
    angle_of,
    compose,
    has_scale,
    linear_part,
    log_scale_of,
    reflection_of,
    retract,
    shift_of,
)

_REACH = 8.5  # standard deviations
_WRAPS = (-2, -1, 0, 1, 2)  # of the circle: enough for standard deviations up to half a turn
_AT_ONCE = 2**18  # numbers of a table that is worked on: it stays in the cache


@dataclass(frozen=True)
class PosePosterior:
    """q(g | x) for a batch of images.

    Attributes:
        bins: motions g_k, (B, K, 4), radians and pixels; (B, K, 5) with log-scales.
        log_weights: log w_k, normalised, (B, K).
        covariance: of the small motions (angle, x, y) in the object's frame, (B, 3, 3), or with scales of
            (angle, x, y, s), (B, 4, 4).
        reflections: whether both chiralities are possible.
    """

    bins: Tensor
    log_weights: Tensor
    covariance: Tensor
    reflections: bool = False

    def __len__(self) -> int:
        return len(self.bins)

    @property
    def mode(self) -> Tensor:
        """The centre of the likeliest bin, (B, 4) or (B, 5)."""
        best = self.log_weights.argmax(dim=1, keepdim=True)
        return self.bins.gather(1, best[:, :, None].expand(-1, -1, self.bins.shape[2]))[:, 0]

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws g, (B, 4); their bin is drawn, the motion within it is reparameterised."""
        index = draw_bins(self.log_weights, generator)
        like = self.bins
        noise = torch.randn(
            *self.covariance.shape[:2], generator=generator, dtype=like.dtype, device=like.device
        )
        return self.within(index, noise)

    def within(self, index: Tensor, noise: Tensor) -> Tensor:
        """g_k exp(S^(1/2) noise) for bins (B,) and standard normal noise (B, 3) or (B, 4)."""
        centre = self.bins[torch.arange(len(index), device=index.device), index]
        return retract(centre, (self._root @ noise[:, :, None])[:, :, 0])

    def log_prob(self, g: Tensor) -> Tensor:
        """log q(g) with respect to the Haar measure, nats, (B,)."""
        turn, moved = self._offsets(g)
        root = self._root
        wraps = (0,) if bool((self.angle_scale < 0.5).all()) else _WRAPS
        turn = turn[..., None] + turn.new_tensor(wraps) * (2 * math.pi)  # (B, K, W)
        moved = moved[:, :, None].expand(-1, -1, len(wraps), -1)
        small = torch.cat([turn[..., None], moved], dim=-1)[..., None]
        white = torch.linalg.solve_triangular(root[:, None, None], small, upper=False)[..., 0]
        log_det = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)[:, None]
        energy = (-0.5 * white.square().sum(dim=-1)).logsumexp(dim=-1)
        energy = energy - log_det - root.shape[1] / 2 * math.log(2 * math.pi)
        if has_scale(self.bins):
            energy = energy - 2 * log_scale_of(
                self.bins
            )  # shifts within a bin are in its own pixels
        if self.reflections:
            same = (reflection_of(self.bins) - reflection_of(g)[:, None]).abs() < 0.5
            energy = energy.masked_fill(~same, -torch.inf) + math.log(2)
        return (self.log_weights + energy).logsumexp(dim=1) + math.log(2 * math.pi)

    def angle_log_density(self, points: int = 360) -> Tensor:
        """log q(angle) with respect to d theta / 2 pi on the grid 2 pi j / points, nats, (B, points).

        Every value is the mean over the grid bin, so that it is right however narrow a mode is.
        """
        step = 2 * math.pi / points
        place = angle_of(self.bins).double() % (2 * math.pi) / step  # (B, K)
        width, weight = self.angle_scale.double() / step, self.log_weights.double().exp()
        mass = place.new_zeros(len(self), points)
        # grid bins farther than this hold less than 1e-15; rows of like reach are worked on together
        reach = (_REACH * width + 1).log2().ceil().clamp(min=1).long()
        for power in reach.unique().tolist():
            rows = (reach == power).nonzero()[:, 0]
            for some in rows.split(_AT_ONCE // (2**power * place.shape[1]) + 1):
                found = _masses(place[some], width[some], 2**power)
                near, held = found[0] % points, weight[some][..., None] * found[1]
                mass[some] = mass[some].scatter_add(1, near.flatten(1), held.flatten(1))
        mass = mass / mass.sum(dim=1, keepdim=True)
        return (mass * points).clamp_min(1e-300).log()

    @property
    def angle_scale(self) -> Tensor:
        """Standard deviation of the angle within a bin, radians, (B,)."""
        return self.covariance[:, 0, 0].sqrt()

    @property
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y over all bins, pixels, (B, 2)."""
        weight = self.log_weights.exp()[..., None]
        t = shift_of(self.bins)
        mean = (weight * t).sum(dim=1, keepdim=True)
        between = (weight * (t - mean).square()).sum(dim=1)
        linear = linear_part(self.bins.flatten(0, 1)).unflatten(0, self.bins.shape[:2])
        rows = linear @ self.covariance[:, None, 1:3, 1:3]  # A S A^T, its diagonal only
        within = (weight * (rows * linear).sum(dim=-1)).sum(dim=1)
        return (between + within).sqrt()

    def credible_angles(self, level: float = 0.9, points: int = 720) -> Tensor:
        """The smallest set of angles that holds the mass `level`: how many degrees it takes, (B,)."""
        return credible_degrees(self.angle_log_density(points), level)

    def symmetry_order(self, max_order: int = 8) -> Tensor:
        """k of the symmetry C_k that the posterior shows, 0 for any angle, (B,): see `symmetry_order`."""
        return torch.from_numpy(symmetry_order(self.angle_log_density().cpu(), max_order))

    def entropy(self, draws: int = 16, generator: torch.Generator | None = None) -> Tensor:
        """-E log q with respect to the Haar measure, nats, estimated from draws, (B,)."""
        values = [self.log_prob(self.sample(generator)) for _ in range(draws)]
        return -torch.stack(values).mean(dim=0)

    def act(self, g: Tensor) -> "PosePosterior":
        """The distribution of h g for g ~ q: bins h g_k, motions h (B, 4) or (B, 5)."""
        count = self.bins.shape[1]
        many = g.to(self.bins).repeat_interleave(count, dim=0)
        return replace(self, bins=compose(many, self.bins.flatten(0, 1)).unflatten(0, (-1, count)))

    def widened(self, angle: Tensor) -> "PosePosterior":
        """With angles that are less certain by standard deviations (B,), radians."""
        covariance = self.covariance.clone()
        covariance[:, 0, 0] += angle.square()
        return replace(self, covariance=covariance)

    def recentred(self, shift: Tensor) -> "PosePosterior":
        """The distribution of g exp(shift): the same poses of another point of the object, (B, 2) pixels.

        For shifts of about a pixel and less: that the angle's noise moves the new point is left out.
        """
        u = torch.nn.functional.pad(shift, (1, 0))[:, None].expand(-1, self.bins.shape[1], -1)
        return replace(self, bins=retract(self.bins, u))

    @property
    def _root(self) -> Tensor:
        return torch.linalg.cholesky(self.covariance)

    def _offsets(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The small motions from every bin to g: angles (B, K), and shifts and log-scales (B, K, 2 or 3)."""
        sign = 1 - 2 * reflection_of(self.bins)
        turn = sign * (angle_of(g)[:, None] - angle_of(self.bins))
        turn = (turn + math.pi) % (2 * math.pi) - math.pi
        away = shift_of(g)[:, None] - shift_of(self.bins)
        linear = linear_part(self.bins.flatten(0, 1)).unflatten(0, self.bins.shape[:2])
        shift = (linear.mT @ away[..., None])[..., 0]
        if not has_scale(self.bins):
            return turn, shift
        own, other = log_scale_of(self.bins), log_scale_of(g)[:, None]
        shift = shift * torch.exp(-2 * own)[..., None]  # A^-1 = e^-2s A^T
        return turn, torch.cat([shift, (other - own)[..., None]], dim=-1)


def credible_degrees(log_density: Tensor, level: float = 0.9) -> Tensor:
    """How many degrees the smallest set of angles takes that holds the mass `level`.

    Args:
        log_density: of the angle on a grid of the circle, nats, (B, points); the last point that is
            needed counts by the part that is.
        level: between 0 and 1.

    Returns:
        Degrees, (B,); 360 level of the uniform distribution.

    Raises:
        ValueError: if the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.9; got {level}.")
    points = log_density.shape[1]
    held = log_density.softmax(dim=1).sort(dim=1, descending=True).values.cumsum(dim=1)
    whole = (held < level).sum(dim=1).clamp(max=points - 1)
    at = torch.arange(len(held), device=held.device)
    before = torch.where(whole > 0, held[at, (whole - 1).clamp(min=0)], 0.0)
    part = (level - before) / (held[at, whole] - before).clamp_min(1e-300)
    return (whole + part) * (360 / points)


def draw_bins(log_weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Bins drawn by their weights, (B,)."""
    cumulative = log_weights.exp().cumsum(dim=1)
    u = torch.rand(
        len(cumulative), 1, generator=generator, dtype=cumulative.dtype, device=cumulative.device
    )
    index = torch.searchsorted(cumulative, u * cumulative[:, -1:])
    return index[:, 0].clamp(max=cumulative.shape[1] - 1)


def _masses(place: Tensor, width: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Grid bins near normal modes at `place` (B, K) of `width` (B,), and what they hold: (B, K, J)."""
    near = place.round()
    offset = torch.arange(-reach, reach + 2, device=place.device)
    edges = (near - place)[..., None] + offset - 0.5
    held = torch.special.ndtr(edges / width[:, None, None]).diff(dim=-1)
    return near.long()[..., None] + offset[:-1], held
