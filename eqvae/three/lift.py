"""Sets of points as coefficients of radial functions times spherical harmonics, exactly.

    f_cnlm = sum_i w_ic R_n(|p_i|) Y_lm(p_i),      f(R p) = D(R) f(p)

A sum over points does not ask for their order, and a rotation touches m alone, so that D is the Wigner
matrix of each degree l. Nothing is sampled on a grid: what is lost is only what lies beyond lmax and between
shells. Radial functions are Gaussian shells; near the origin, where directions mean nothing, harmonics of
degree l fade as (r^2 / (r^2 + core^2))^(l / 2), so that coefficients are smooth functions of the points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from eqvae.data.pixels import GIB
from eqvae.data.room import free_memory
from eqvae.three.harmonics import all_harmonics

_SHARE = 0.8  # of the memory that is free


@dataclass(frozen=True)
class Lift:
    """The lift to coefficients (B, C, n, (lmax + 1)^2), in e3nn's order of l and m.

    It is taken about the origin: subtract `centroid` first where shifts should not matter.

    Args:
        lmax: highest degree; details smaller than about pi r / lmax at a distance r are lost.
        shells: centres of the radial functions, Angstrom.
        width: standard deviation of each, Angstrom.
        core: distance from the origin below which directions fade, Angstrom.

    Raises:
        ValueError: if lmax is no whole number from 0, there is no shell, or a length is not positive.

    Example:
        >>> lift = Lift.covering(10.0, num_shells=4, lmax=2)
        >>> lift(torch.randn(5, 30, 3)).shape
        torch.Size([5, 1, 4, 9])
    """

    lmax: int = 8
    shells: Sequence[float] = (1.0, 2.0, 3.0, 4.0)
    width: float = 0.6
    core: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.lmax, int) or isinstance(self.lmax, bool) or self.lmax < 0:
            raise ValueError(f"lmax must be a whole number, >= 0; got {self.lmax!r}.")
        object.__setattr__(self, "shells", tuple(float(r) for r in self.shells))
        if not self.shells or not all(math.isfinite(r) and r >= 0 for r in self.shells):
            raise ValueError(
                f"shells must be one or more distances >= 0, Angstrom; got {self.shells}."
            )
        for name in ("width", "core"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, Angstrom; got {value!r}.")

    @classmethod
    def covering(cls, radius: float, num_shells: int = 6, lmax: int = 8, core: float = 0.5) -> Self:
        """Equally spaced shells out to a radius, each as wide as the step between them times 0.6.

        Args:
            radius: distance of the farthest point from the centre, Angstrom, see `reach`.
            num_shells: how many.
            lmax: highest degree.
            core: see above.

        Raises:
            ValueError: if radius is not positive or num_shells no whole number from 1.
        """
        if not 0 < radius < math.inf:
            raise ValueError(f"radius must be positive, Angstrom; got {radius!r}.")
        if not isinstance(num_shells, int) or num_shells < 1:
            raise ValueError(f"num_shells must be a whole number, >= 1; got {num_shells!r}.")
        step = radius / num_shells
        shells = tuple(step * (n + 0.5) for n in range(num_shells))
        return cls(lmax, shells, 0.6 * step, core)

    @property
    def num_coefficients(self) -> int:
        """Of each channel and shell, (lmax + 1)^2."""
        return (self.lmax + 1) ** 2

    def radial(self, distances: Tensor) -> Tensor:
        """R_n(r) = exp(-(r - r_n)^2 / (2 width^2)), (...,) -> (..., n)."""
        away = distances[..., None] - distances.new_tensor(self.shells)
        return (-away.square() / (2 * self.width**2)).exp()

    def angular(self, positions: Tensor) -> Tensor:
        """Y_lm(p) with the core's fading, (..., 3) -> (..., (lmax + 1)^2)."""
        size = (positions.square().sum(-1, keepdim=True) + self.core**2).sqrt()
        return all_harmonics(self.lmax, positions / size)

    def __call__(
        self, positions: Tensor, weights: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The coefficients of each set.

        Args:
            positions: (B, N, 3), Angstrom.
            weights: of each point in each channel, such as `Points.channels`, (N, C) or (B, N, C); None for
                one channel of ones.
            mask: 1 for points, 0 for what a set is padded with, (B, N); None for points alone.

        Returns:
            (B, C, n, (lmax + 1)^2).

        Raises:
            ValueError: if shapes do not fit, a point is not finite, a set has none, or lmax needs more
                memory than there is.
        """
        weights = _checked(positions, weights, mask)
        self._check_room(positions, weights.shape[-1])
        if mask is not None:
            weights = weights * mask[..., None].to(weights)
            positions = torch.where(mask[..., None] > 0, positions, positions.new_zeros(()))
        distances = (positions.square().sum(-1) + 1e-24).sqrt()  # whose gradient at 0 is 0
        radial = weights[..., :, None] * self.radial(distances)[:, :, None, :]  # (B, N, C, n)
        found = radial.flatten(2).mT @ self.angular(positions)
        return found.unflatten(1, (weights.shape[-1], len(self.shells)))

    def _check_room(self, positions: Tensor, channels: int) -> None:
        free = free_memory()
        points, size = positions.shape[0] * positions.shape[1], positions.element_size()
        most = math.inf if free is None else _SHARE * free / (size * max(1, points))
        most = (
            most - 2 * channels * len(self.shells)
        ) / 3  # the harmonics, and what they come from
        if self.num_coefficients > most:
            allowed = math.isqrt(int(max(1, most))) - 1
            raise ValueError(
                f"lmax must be at most {allowed} for {points} points with {free / GIB:.1f} GiB of free "
                f"memory; got {self.lmax}. Lift fewer sets at a time."
            )


def centroid(positions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean position of each set, (B, N, 3) -> (B, 1, 3).

    Args:
        positions: Angstrom.
        mask: 1 for points, 0 for padding, (B, N); None for points alone.
    """
    if mask is None:
        return positions.mean(dim=1, keepdim=True)
    mask = mask[..., None].to(positions)
    kept = torch.where(mask > 0, positions, positions.new_zeros(()))
    return (kept * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(1e-12)


def reach(positions: Tensor, mask: Tensor | None = None) -> float:
    """Largest distance of a point from the origin, Angstrom."""
    distances = positions.norm(dim=-1)
    return (distances if mask is None else distances[mask > 0]).max().item()


def spanned(positions: Tensor, mask: Tensor | None = None, tolerance: float = 1e-6) -> Tensor:
    """How many dimensions each set spans about its centroid, (B,): 0 a point, 1 a line, 2 a plane, 3.

    A rotation is determined by what spans a plane; of a set on a line it is not, and a planar set is its
    own mirror image.

    Args:
        positions: (B, N, 3).
        mask: 1 for points, 0 for padding, (B, N).
        tolerance: of a direction's extent, relative to the longest.
    """
    away = positions - centroid(positions, mask)
    if mask is not None:
        away = torch.where(mask[..., None] > 0, away, away.new_zeros(()))
    extents = torch.linalg.svdvals(away.double())
    size = positions.abs().amax(dim=(1, 2)).double().clamp_min(1e-300)
    floor = torch.maximum(tolerance * extents[:, :1], 1e-12 * size[:, None])
    return (extents > floor).sum(1)


def _checked(positions: Tensor, weights: Tensor | None, mask: Tensor | None) -> Tensor:
    """Weights (B, N, C), after a look at everything."""
    if positions.dim() != 3 or positions.shape[2] != 3 or 0 in positions.shape:
        raise ValueError(
            f"positions must be (B, N, 3) with at least one point; got {tuple(positions.shape)}."
        )
    shape = tuple(positions.shape[:2])
    if mask is not None:
        if tuple(mask.shape) != shape:
            raise ValueError(f"mask must be (B, N) = {shape}; got {tuple(mask.shape)}.")
        if not bool((mask > 0).any(dim=1).all()):
            raise ValueError("mask must leave each set at least one point; got a set without any.")
    finite = positions.isfinite().all(-1)
    if not bool((finite if mask is None else finite | (mask <= 0)).all()):
        raise ValueError(
            "positions must be finite; got NaN or infinity. Leave such points out, or mask them with 0."
        )
    if weights is None:
        return positions.new_ones(*shape, 1)
    if weights.dim() == 2:
        weights = weights.expand(shape[0], *weights.shape)
    if weights.dim() != 3 or tuple(weights.shape[:2]) != shape:
        raise ValueError(
            f"weights must be (N, C) or (B, N, C) with (B, N) = {shape}; got {tuple(weights.shape)}."
        )
    return weights.to(positions)
