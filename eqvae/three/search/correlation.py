"""Correlations of two sets of coefficients as functions on SO(3): one rotation, or a grid of all by FFT.

    c(R) = sum_cnl w_nl <a_cnl, D_l(R) b_cnl> = sum_l <D_l(R), G_l>,      G_l = sum_cn w_nl a_cnl b_cnl^T

G, a row of F = sum_l (2 l + 1)^2 numbers, is all that is kept of the two. With D = Z(alpha) d(beta) Z(gamma)
the correlation is a Fourier series in alpha and gamma at each beta,

    c(alpha, beta, gamma) = sum_mm' exp(i (m alpha + m' gamma)) sum_l d^l_mm'(beta) M^l_mm',

M being G in the basis where Z is diagonal, so that a grid of N^3 rotations costs O(N^3 log N).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from eqvae.data.pixels import GIB
from eqvae.data.room import free_memory
from eqvae.three.search.euler import blocks, elements_of, wigner_blocks

_SHARE = 0.5  # of the memory that is free
_SMOOTH = (8, 10, 12, 16, 18, 20, 24, 30, 32, 36, 40, 48, 50, 54, 60, 64, 72, 80, 90, 96, 100)


def pairs(a: Tensor, b: Tensor, weights: Tensor | None = None) -> Tensor:
    """G of two sets of coefficients, (..., F).

    Leading axes are broadcast: (S, 1, C, n, K) and (1, T, C, n, K) compare each with each.

    Args:
        a: which stay, (..., C, n, (lmax + 1)^2).
        b: which are rotated, likewise.
        weights: of shells and degrees, (n, lmax + 1); None for 1.

    Raises:
        ValueError: if shapes do not fit.
    """
    lmax = math.isqrt(a.shape[-1]) - 1
    if a.shape[-3:] != b.shape[-3:] or (lmax + 1) ** 2 != a.shape[-1]:
        raise ValueError(
            f"coefficients must be (..., C, n, (lmax + 1)^2) of one lift; got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    shape = (a.shape[-2], lmax + 1)
    if weights is not None and tuple(weights.shape) != shape:
        raise ValueError(f"weights must be (n, lmax + 1) = {shape}; got {tuple(weights.shape)}.")
    if weights is not None:
        a = a * spread(weights.to(a))
    a, b = a.flatten(-3, -2), b.flatten(-3, -2)
    parts = []
    for degree in range(lmax + 1):
        part = slice(degree**2, (degree + 1) ** 2)
        parts.append((a[..., part].mT @ b[..., part]).flatten(-2))
    return torch.cat(parts, dim=-1)


def spread(weights: Tensor) -> Tensor:
    """Numbers of degrees (..., lmax + 1) for each coefficient, (..., (lmax + 1)^2)."""
    degree = torch.arange(weights.shape[-1], device=weights.device)
    return weights.repeat_interleave(2 * degree + 1, dim=-1)


def inverted(pair: Tensor) -> Tensor:
    """G of a and of the mirror image -b: (-1)^l G."""
    lmax = lmax_of(pair)
    return pair * (1 - 2 * (blocks(lmax, pair.dtype, pair.device).degree % 2))


def lmax_of(pair: Tensor) -> int:
    """lmax from F = (lmax + 1) (2 lmax + 1) (2 lmax + 3) / 3."""
    return round((3 * pair.shape[-1] / 4) ** (1 / 3) - 1)


def lowered(pair: Tensor, lmax: int) -> Tensor:
    """The part of G up to a lower degree."""
    return pair[..., : (lmax + 1) * (2 * lmax + 1) * (2 * lmax + 3) // 3]


def at(pair: Tensor, elements: Tensor) -> Tensor:
    """c at some elements of O(3), by the explicit sum over Wigner matrices.

    Args:
        pair: G, (..., F).
        elements: (..., k, 5) for each pair, or (k, 5) for all.

    Returns:
        (..., k).
    """
    return (signed_blocks(lmax_of(pair), elements) @ pair[..., None])[..., 0]


def signed_blocks(lmax: int, elements: Tensor) -> Tensor:
    """D of elements of O(3), with the sign (-1)^l of an inversion, (..., 5) -> (..., F)."""
    d = wigner_blocks(lmax, elements)
    if not bool((elements[..., 0] > 0).any()):
        return d
    odd = blocks(lmax, d.dtype, d.device).degree % 2
    return d * (1 - 2 * elements[..., :1] * odd)


@dataclass(frozen=True)
class RotationGrid:
    """Rotations at equally spaced Euler angles, beta between the poles.

    Args:
        size: of alpha and gamma; beta has half as many.

    Raises:
        ValueError: if size is no even whole number from 2.
    """

    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 2 or self.size % 2:
            raise ValueError(f"size of a grid must be an even whole number, >= 2; got {self.size}.")

    @classmethod
    def of(cls, lmax: int, oversampling: float = 2.0) -> "RotationGrid":
        """The grid with `oversampling` (2 lmax + 1) angles or a few more, for the sake of the FFT."""
        least = max(2 * lmax + 1, oversampling * (2 * lmax + 1))
        return cls(next((n for n in _SMOOTH if n >= least), 2 * math.ceil(least / 2)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of alpha, beta and gamma."""
        return (self.size, self.size // 2, self.size)

    @property
    def step(self) -> float:
        """Between neighbours, radians."""
        return 2 * math.pi / self.size

    def __len__(self) -> int:
        return math.prod(self.shape)

    def angles(self, index: Tensor) -> Tensor:
        """Euler angles of flat indices (...,) into `shape`, (..., 3) float64."""
        rest, gamma = index // self.size, index % self.size
        alpha, beta = rest // (self.size // 2), rest % (self.size // 2)
        return self.step * torch.stack([alpha, beta + 0.5, gamma], dim=-1).double()

    def elements(self, index: Tensor | None = None) -> Tensor:
        """The rotations, (..., 5) float64; all of them, (len, 5), where no index is given."""
        return elements_of(self.angles(torch.arange(len(self)) if index is None else index))

    def weights(self) -> Tensor:
        """What each stands for in an average over SO(3), (1, beta, 1), float64: they sum to 1 over the grid.

        Fejer's first rule in cos(beta): exact for degrees below beta's number.
        """
        n = self.size // 2
        beta = self.step * (torch.arange(n, dtype=torch.float64) + 0.5)
        k = torch.arange(1, n // 2 + 1, dtype=torch.float64)[:, None]
        rule = 1 - 2 * ((2 * k * beta).cos() / (4 * k * k - 1)).sum(0)
        return rule[None, :, None] / (n * self.size**2)


def on_grid(pair: Tensor, grid: RotationGrid) -> Tensor:
    """c at every rotation of a grid, by FFT, (..., F) -> (..., alpha, beta, gamma).

    Raises:
        ValueError: if the grid has fewer than 2 lmax + 1 angles, or needs more memory than there is.
    """
    lmax, lead = lmax_of(pair), pair.shape[:-1]
    if grid.size < 2 * lmax + 1:
        raise ValueError(
            f"size of the grid must be at least 2 lmax + 1 = {2 * lmax + 1}; got {grid.size}."
        )
    pair = pair.reshape(-1, pair.shape[-1])
    _check_room(len(pair), lmax, grid, pair.element_size())
    index, sign, table = _series(lmax, grid.size, pair.dtype, pair.device)
    # M of m from -lmax to lmax, m' from 0: real and imaginary parts, each from two entries of G
    parts = (pair[:, index] * sign).sum(2)  # (P, 2, modes, lmax + 1)
    modes = table @ parts.permute(2, 3, 0, 1).flatten(2)  # (modes, beta, P * 2)
    modes = modes.unflatten(2, (len(pair), 2)).unflatten(0, (2 * lmax + 1, lmax + 1))
    modes = modes.permute(3, 2, 0, 1, 4)  # (P, beta, m, m', 2)
    n = grid.size
    half = modes.new_zeros(*modes.shape[:2], n, n // 2 + 1, 2)
    half[:, :, : lmax + 1, : lmax + 1] = modes[:, :, lmax:]
    if lmax:
        half[:, :, -lmax:, : lmax + 1] = modes[:, :, :lmax]
    # exp(+ i m alpha) is the inverse transform without its 1 / n^2
    values = torch.fft.irfft2(torch.view_as_complex(half), s=(n, n), norm="forward")
    return values.transpose(1, 2).reshape(*lead, *grid.shape)


@lru_cache(maxsize=16)
def _series(
    lmax: int, size: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Where M comes from in G and with which factors, (2, 2, modes, lmax + 1), and d, (modes, beta, l).

    Coefficients V_m = (v_m + i v_-m) / sqrt(2), m > 0, V_-m = V_m^* and V_0 = v_0 turn by exp(i m alpha).
    """
    with torch.inference_mode(False), torch.no_grad():
        known = blocks(lmax, torch.float64, torch.device("cpu"))
        modes = (2 * lmax + 1, lmax + 1, lmax + 1)
        index = torch.zeros(2, 2, *modes, dtype=torch.long)
        sign = torch.zeros(2, 2, *modes, dtype=torch.float64)
        table = torch.zeros(*modes[:2], size // 2, lmax + 1, dtype=torch.float64)
        beta = 2 * math.pi / size * (torch.arange(size // 2, dtype=torch.float64) + 0.5)
        d = known.wigner(torch.stack([0 * beta, beta, 0 * beta], dim=1))
        for degree, span in known.spans():
            block = torch.arange(span.start, span.stop).reshape(2 * degree + 1, 2 * degree + 1)
            m, n = torch.arange(-degree, degree + 1)[:, None], torch.arange(degree + 1)[None]
            up, down, right, left = degree + m.abs(), degree - m.abs(), degree + n, degree - n
            s, t = m.sign(), n.sign()
            scale = (torch.where(m == 0, 2, 1) * torch.where(n == 0, 2, 1)).double().sqrt() / 2
            where = (slice(lmax - degree, lmax + degree + 1), slice(degree + 1))
            # conj(A_m) B_n with A_m = (a_|m| + i s a_-|m|) scale, B_n = (b_n + i t b_-n) scale
            terms = (
                ((block[up, right], 1), (block[down, left], s * t)),
                (
                    (block[up, left], t),
                    (block[down, right], -s),
                ),
            )
            for part, both in enumerate(terms):
                for term, (entry, factor) in enumerate(both):
                    index[part, term, *where, degree] = entry
                    sign[part, term, *where, degree] = factor * scale
            # d in the same basis, which is real about this axis
            small = d[:, span].unflatten(1, block.shape)
            small = scale * (small[:, up, right] + s * t * small[:, down, left])
            table[*where, :, degree] = small.permute(1, 2, 0)
        index, sign, table = index.flatten(2, 3), sign.flatten(2, 3), table.flatten(0, 1)
        return index.to(device), sign.to(device, dtype), table.to(device, dtype)


def _check_room(n: int, lmax: int, grid: RotationGrid, size: int) -> None:
    free = free_memory()
    per = size * (3 * len(grid) + 4 * (2 * lmax + 1) * (lmax + 1) * (lmax + 1))
    if free is not None and n * per > _SHARE * free:
        # the needs of one pair grow as the cube of the degree
        fits = math.floor((lmax + 1) * (_SHARE * free / (n * per)) ** (1 / 3)) - 1
        raise ValueError(
            f"lmax must be at most {max(0, fits)} for {n} correlations on grids of {len(grid)} rotations "
            f"with {free / GIB:.1f} GiB of free memory; got {lmax}. Compare fewer at a time."
        )


def block_norms(pair_a: Tensor, weights: Tensor | None = None) -> Tensor:
    """|a|, the norm that the correlation belongs to: c(R) <= |a| |b|, (..., C, n, K) -> (...,)."""
    power = pair_a.square()
    if weights is not None:
        power = power * spread(weights.to(power))
    return power.sum(dim=(-3, -2, -1)).sqrt()


def whitening(coefficients: Tensor | Sequence[Tensor], floor: float = 1e-3) -> Tensor:
    """Weights (n, lmax + 1) that give each shell and degree the same share of the correlation.

        w_nl = 1 / mean power of <f_nl, f_nl>

    Without them low degrees and full shells decide everything, and they say least about the pose.

    Args:
        coefficients: of the sets to compare, (..., C, n, (lmax + 1)^2), or several such.
        floor: least power, relative to the largest of the same degree, so that empty shells stay empty.
    """
    several = [coefficients] if isinstance(coefficients, Tensor) else list(coefficients)
    powers = []
    for each in several:
        lmax = math.isqrt(each.shape[-1]) - 1
        squares = each.detach().square().sum(-3).reshape(-1, each.shape[-2], each.shape[-1]).mean(0)
        parts = [squares[:, i**2 : (i + 1) ** 2].sum(1) for i in range(lmax + 1)]
        powers.append(torch.stack(parts, dim=1))
    power = torch.stack(powers).log().mean(0).exp() if len(powers) > 1 else powers[0]
    least = floor * power.amax(dim=0, keepdim=True)
    return 1 / power.maximum(least.clamp_min(torch.finfo(power.dtype).tiny))
