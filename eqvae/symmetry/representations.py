"""How motions act on a latent: z = (t, v), t a position in the plane, v a sum of irreps.

    g . (t, v) = (g t, rho(g) v),      V = m_0 psi_0 + s sigma + sum_l m_l psi_l,

where psi_0 is trivial (content), sigma changes sign under a mirror (handedness) and psi_l, l >= 1, is
the plane turning l times as fast as the object: psi_l(angle, F) = R(l angle) diag(1, -1)^F. On v the
action is orthogonal; on (t, 1) it is the homogeneous matrix of g. Together they are one faithful,
non-unitary representation of E(2): no finite-dimensional unitary one exists that sees translations.

Where objects have scales, z = (t, s, v) with s the logarithm of the object's scale, g . s = s + log_scale(g):
the translations of one more axis, and a scaled object is at e^log_scale(g) times the distance.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqvae.symmetry.blocks import Block, SumOfIrreps
from eqvae.symmetry.motions import (
    angle_of,
    apply,
    cos_sin,
    has_scale,
    log_scale_of,
    reflection_of,
)
from eqvae.symmetry.plane import PlaneMotions

_TERM = re.compile(r"(\d+)\s*x\s*(\d+|sign)")


@dataclass(frozen=True)
class Slices:
    """Columns of a latent by meaning; an empty slice where the latent has none.

    Attributes:
        position: t, pixels.
        scale: s, the logarithm of the scale.
        content: the copies of psi_0, which no motion changes.
        sign: handedness, which a mirror negates.
        frame: the copies of psi_1, which turn as the object does.
        moving: every psi_l with l >= 1, the frame among them.
        vector: everything but position and scale, v.
    """

    position: slice
    scale: slice
    content: slice
    sign: slice
    frame: slice
    moving: slice
    vector: slice


@dataclass(frozen=True)
class Representation(SumOfIrreps):
    """A latent space with its action of E(2), or of SIM(2).

    Coordinates are ordered: position (x, y), log-scale, then the copies of psi_0, of sigma, of psi_1, ...

    Args:
        multiplicities: (m_0, m_1, ..., m_L), copies of psi_l by angular frequency l.
        sign: copies of sigma, the irrep that a mirror negates.
        position: whether the latent carries a position t (2 coordinates, pixels).
        scale: whether it carries the logarithm of a scale (1 coordinate).

    Raises:
        ValueError: if a multiplicity is negative or not whole, or the latent is empty.

    Example:
        >>> latent = Representation(multiplicities=(4, 2, 1))
        >>> str(latent), latent.dim
        ('position + 4x0 + 2x1 + 1x2', 12)
        >>> Representation.parse("position + 4x0 + 2x1 + 1x2") == latent
        True
    """

    multiplicities: tuple[int, ...]
    sign: int = 0
    position: bool = True
    scale: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiplicities", tuple(self.multiplicities))
        counts = (*self.multiplicities, self.sign)
        if not all(isinstance(m, int) and m >= 0 for m in counts):
            raise ValueError(
                f"multiplicities and sign must be whole numbers >= 0; got "
                f"{list(self.multiplicities)} and {self.sign}."
            )
        if sum(counts) == 0:
            raise ValueError(
                "multiplicities must name at least one irrep; got none. Try [16, 8, 4]."
            )

    @classmethod
    def parse(cls, text: str) -> "Representation":
        """The representation that a text such as "position + 16x0 + 2xsign + 8x1" names.

        Terms are "position", "scale" and COPIESxFREQUENCY, with "sign" for sigma, in any order; a frequency
        that is named twice has the sum of the copies.

        Raises:
            ValueError: if a term is none of them.
        """
        position, scale, sign, copies = False, False, 0, dict[int, int]()
        for term in text.split("+"):
            term = term.strip()
            match = _TERM.fullmatch(term)
            if term == "position":
                position = True
            elif term == "scale":
                scale = True
            elif match is None:
                raise ValueError(
                    f"a term of a representation must be position, scale or COPIESxFREQUENCY, such as "
                    f"8x1 or 2xsign; got {term!r} in {text!r}."
                )
            elif match[2] == "sign":
                sign += int(match[1])
            else:
                copies[int(match[2])] = copies.get(int(match[2]), 0) + int(match[1])
        highest = max(copies, default=-1)
        return cls(tuple(copies.get(ell, 0) for ell in range(highest + 1)), sign, position, scale)

    def __str__(self) -> str:
        names = {"position": "position", "log_scale": "scale", "sign": f"{self.sign}xsign"}
        return " + ".join(
            names.get(block.name, f"{block.copies}x{block.frequency}") for block in self.blocks
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The non-empty irrep blocks in the order of the coordinates."""
        wanted = [("position", 1, int(self.position), 2)]
        wanted += [("log_scale", 0, int(self.scale), 1)]
        wanted += [("psi0", 0, self.multiplicities[0] if self.multiplicities else 0, 1)]
        wanted += [("sign", 0, self.sign, 1)]
        wanted += [(f"psi{ell}", ell, m, 2) for ell, m in enumerate(self.multiplicities) if ell > 0]
        blocks, start = [], 0
        for name, frequency, copies, dim in wanted:
            if copies:
                blocks.append(Block(name, frequency, copies, dim, start))
                start += copies * dim
        return tuple(blocks)

    @cached_property
    def slices(self) -> Slices:
        """Columns by meaning."""
        found = {block.name: block.slice for block in self.blocks}
        none = slice(0, 0)
        first = 2 * int(self.position) + int(self.scale)
        moving = [block.slice for block in self.blocks if block.name.startswith("psi")]
        moving = [part for part in moving if part != found.get("psi0")]
        return Slices(
            position=found.get("position", none),
            scale=found.get("log_scale", none),
            content=found.get("psi0", none),
            sign=found.get("sign", none),
            frame=found.get("psi1", none),
            moving=slice(moving[0].start, moving[-1].stop) if moving else none,
            vector=slice(first, self.dim),
        )

    @property
    def num_frames(self) -> int:
        """Copies of psi_1."""
        return self.multiplicities[1] if len(self.multiplicities) > 1 else 0

    def frame_columns(self, copy: int) -> slice:
        """Columns of a copy of psi_1, counted from 0.

        Raises:
            ValueError: if the latent has no psi_1, or not so many copies.
        """
        if not self.has_frame:
            raise ValueError(
                f"multiplicities must hold a copy of psi_1 to read an angle; got "
                f"{list(self.multiplicities)}. An angle needs latent.multiplicities[1] >= 1."
            )
        if not 0 <= copy < self.num_frames:
            raise ValueError(
                f"copy must be one of the {self.num_frames} copies of psi_1, counted from 0; got {copy}."
            )
        first = self.slices.frame.start + 2 * copy
        return slice(first, first + 2)

    @property
    def vector(self) -> "Representation":
        """v alone: the same without position and scale."""
        return Representation(self.multiplicities, self.sign, position=False)

    @property
    def single(self) -> "Representation":
        """One copy of each irrep of v: how each of them moves."""
        return Representation(
            tuple(min(m, 1) for m in self.multiplicities), min(self.sign, 1), position=False
        )

    def check(self, symmetry: PlaneMotions) -> None:
        """Refuse frequencies that the symmetry can't tell apart.

        Raises:
            ValueError: if some psi_l in the latent aliases under C_N or D_N (l >= N / 2).
        """
        if symmetry == PlaneMotions.trivial():
            return  # no law is imposed, so nothing can alias
        for block in self.blocks:
            if block.name != "position" and not symmetry.separates(block.frequency):
                raise ValueError(
                    f"multiplicities holds frequency {block.frequency}, which {symmetry.name} can't "
                    f"tell from lower ones: frequencies must stay below N/2 = "
                    f"{symmetry.rotations / 2:g}. Drop it or use a larger group."
                )

    def spread(self, g: Tensor, log_scale: Tensor) -> Tensor:
        """log standard deviations of g . z, (B, num_copies), from those of z: positions spread with scale."""
        if not (self.position and has_scale(g)):
            return log_scale
        grown = log_scale[:, :1] + log_scale_of(g).to(log_scale)[:, None]
        return torch.cat([grown, log_scale[:, 1:]], dim=1)

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g . z, row by row.

        Args:
            g: motions, (B, 4), or (B, 5) where they scale.
            z: latents, (B, D).

        Returns:
            The moved latents, (B, D).
        """
        parts = []
        g = g.to(device=z.device, dtype=z.dtype)
        mirror = 1 - 2 * reflection_of(g)[:, None]
        for block in self.blocks:
            part = z[:, block.slice]
            if block.name == "position":
                part = apply(g, part)
            elif block.name == "log_scale":
                part = part + log_scale_of(g)[:, None]
            elif block.name == "sign":
                part = mirror * part
            elif block.frequency > 0:
                cos, sin = cos_sin(block.frequency * angle_of(g)[:, None])
                re, im = part[:, 0::2], mirror * part[:, 1::2]
                part = torch.stack([cos * re - sin * im, sin * re + cos * im], dim=2).flatten(1)
            parts.append(part)
        return torch.cat(parts, dim=1)

    def matrix(self, g: Tensor) -> Tensor:
        """rho(g): the matrices of g on homogeneous latents (z, 1), shape (B, D + 1, D + 1)."""
        n, d = len(g), self.dim
        basis = torch.eye(d, dtype=g.dtype, device=g.device)
        origin = self.act(g, g.new_zeros(n, d))
        columns = self.act(g.repeat_interleave(d, dim=0), basis.repeat(n, 1)).reshape(n, d, d)
        matrix = torch.zeros(n, d + 1, d + 1, dtype=g.dtype, device=g.device)
        matrix[:, :d, :d] = (columns - origin[:, None]).transpose(1, 2)
        matrix[:, :d, d] = origin
        matrix[:, d, d] = 1
        return matrix
