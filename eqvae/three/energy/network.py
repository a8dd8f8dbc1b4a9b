"""Networks that describe every atom of a molecule: scalars, and vectors that turn along.

    a_ij   = W(|r_ij|) phi(s_j)                                   how much, by distance and by what j is
    s_i   += A sum_j a_ij^0                                       scalars, invariant
    x_i^l += sum_j a_ij^l Y_l(r_ij / |r_ij|) + b_ij^l x_j^l       harmonics of degree l, x^l -> D_l x^l

and then every atom works alone: <U x^l, V x^l> and |V x^l| go into s, and s says how much of U x^l is added
to x^l. All is dense over the N^2 pairs of one molecule. W ends smoothly at the cutoff, so that an atom
which leaves is not missed at once, and sums over j don't know the order of equal atoms.

References:
    Schuett, Unke, Gastegger, Equivariant message passing for the prediction of tensorial properties and
    molecular spectra (2021), https://arxiv.org/abs/2102.03150; here for any degree, and messages are
    narrower than what an atom knows.
    Gasteiger, Gross, Guennemann, Directional message passing for molecular graphs (2020),
    https://arxiv.org/abs/2003.03123, eq. (7) and (8): radial functions and envelope.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.symmetry.wigner import solid_harmonics
from eqvae.three.energy.frames import check_elements

_TINY = 1e-4  # below the root of a square, whose slope at 0 it bounds


@dataclass(frozen=True)
class Described:
    """What a network says of every atom.

    Attributes:
        scalars: (B, N, F).
        vectors: (B, N, 3, C); None where nobody asked.
    """

    scalars: Tensor
    vectors: Tensor | None


class PairNetwork(nn.Module):
    """The network above for the atoms of one molecule, (B, N, 3) -> `Described`.

    Args:
        elements: chemical symbol of each atom.
        width: F, scalars of an atom.
        channels: C, of messages and of the harmonics of each degree.
        degree: the highest l.
        rounds: of messages.
        num_radial: functions of the distance.
        cutoff: Angstrom, beyond which atoms don't see each other.
        vectors: whether the last round ends in vectors; without them it has no parameters for them.

    Raises:
        ValueError: for what is no element, and sizes below 1.
    """

    def __init__(
        self,
        elements: Sequence[str],
        width: int = 48,
        channels: int = 16,
        degree: int = 2,
        rounds: int = 2,
        num_radial: int = 12,
        cutoff: float = 5.0,
        vectors: bool = False,
    ):
        super().__init__()
        check_elements(elements)
        sizes = {"width": width, "channels": channels, "degree": degree, "rounds": rounds}
        for name, value in (sizes | {"num_radial": num_radial, "cutoff": cutoff}).items():
            if not value > 0:
                raise ValueError(f"{name} of a PairNetwork must be positive; got {value}.")
        kinds = sorted(set(elements))
        self.elements, self.width, self.channels = tuple(elements), width, channels
        self.cutoff, self.vectors = cutoff, vectors
        self.embedding = nn.Embedding(len(kinds), width)
        self.rounds = nn.ModuleList(
            PairRound(
                width,
                channels,
                degree,
                num_radial,
                is_first=k == 0,
                kept=degree if k < rounds - 1 else int(vectors),
            )
            for k in range(rounds)
        )
        self.register_buffer("kind", torch.tensor([kinds.index(e) for e in elements]))
        # no buffers: they stay in float64, so that audits in float64 are exact
        self.waves = math.pi / cutoff * torch.arange(1, num_radial + 1, dtype=torch.float64)
        self.climbs = [harmonic_step(k) for k in range(2, degree + 1)]

    def forward(self, positions: Tensor) -> Described:
        radial, harmonics = self.geometry(positions)
        s = self.embedding(self.kind).expand(len(positions), -1, -1)
        x: list[Tensor] = []
        for part in self.rounds:
            s, x = part(s, x, radial, harmonics)
        return Described(s, x[0] if self.vectors else None)

    def geometry(self, positions: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Radial functions (B, N, N, K), 0 of an atom with itself, and harmonics, each (B, N, N, 2 l + 1)."""
        same = torch.eye(positions.shape[1]).to(positions)[:, :, None]
        r = (
            positions[:, None] - positions[:, :, None] + same
        )  # an atom has some direction to itself
        distance = r.square().sum(-1, keepdim=True).sqrt()
        one_over = 1 / distance
        fading = envelope(distance / self.cutoff) * one_over * (1 - same)
        radial = math.sqrt(2 / self.cutoff) * torch.sin(distance * self.waves.to(r)) * fading
        u = r * one_over
        harmonics = [u]
        for climb in self.climbs:
            products = harmonics[-1][..., None] * u[..., None, :]
            harmonics.append(products.flatten(-2) @ climb.to(u))
        return radial, harmonics


class PairRound(nn.Module):
    """One round: what atoms send each other, and what each makes of it.

    Args:
        width, channels, degree, num_radial: see `PairNetwork`.
        is_first: whether no atom has harmonics yet.
        kept: degrees whose harmonics are given on, from 1.
    """

    def __init__(
        self, width: int, channels: int, degree: int, num_radial: int, is_first: bool, kept: int
    ):
        super().__init__()
        self.channels, self.degree, self.is_first, self.kept = channels, degree, is_first, kept
        parts = 1 + degree + (0 if is_first else degree)
        self.phi = nn.Linear(width, parts * channels)
        self.radial = nn.Linear(num_radial, parts * channels, bias=False)
        self.take = nn.Linear(channels, width, bias=False)
        self.mix = nn.ParameterList(
            nn.Parameter(torch.randn(channels, 2 * channels) / math.sqrt(channels))
            for _ in range(degree)
        )
        self.update = nn.Sequential(
            nn.Linear(width + 2 * degree * channels, width),
            nn.SiLU(),
            nn.Linear(width, width + kept * channels),
        )

    def forward(
        self, s: Tensor, x: list[Tensor], radial: Tensor, harmonics: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        amounts = self.radial(radial) * self.phi(s)[:, None]  # (B, i, j, parts C)
        first, *others = amounts.split(self.channels, dim=-1)
        s = s + self.take(first.sum(2))
        known, turned = [s], []
        for k, Y in enumerate(harmonics):
            new = Y.transpose(-1, -2) @ others[k]
            if not self.is_first:
                new = new + x[k] + (others[self.degree + k][:, :, :, None] * x[k][:, None]).sum(2)
            u, v = (new @ self.mix[k]).split(self.channels, dim=-1)
            known += [(v.square().sum(2) + _TINY).sqrt(), (u * v).sum(2)]
            turned.append((new, u))
        sizes = [s.shape[-1]] + [self.channels] * self.kept
        more, *gates = self.update(torch.cat(known, dim=-1)).split(sizes, dim=-1)
        kept = zip(turned, gates, strict=False)
        return s + more, [new + gate[:, :, None] * u for (new, u), gate in kept]


class PlainNetwork(nn.Module):
    """All coordinates into one perceptron, (B, N, 3) -> `Described`: neither rotations nor permutations.

    Args:
        elements: chemical symbol of each atom.
        width: F, scalars of an atom.
        channels: C, vectors of an atom.
        hidden: width of the two hidden layers.
        vectors: whether there are vectors.
    """

    def __init__(
        self,
        elements: Sequence[str],
        width: int = 12,
        channels: int = 4,
        hidden: int = 96,
        vectors: bool = False,
    ):
        super().__init__()
        check_elements(elements)
        self.elements, self.width, self.channels = tuple(elements), width, channels
        self.vectors = vectors
        n = len(self.elements)
        self.layers = nn.Sequential(
            nn.Linear(3 * n, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, n * (width + (3 * channels if vectors else 0))),
        )

    def forward(self, positions: Tensor) -> Described:
        centred = positions - positions.mean(1, keepdim=True)
        out = self.layers(centred.flatten(1)).unflatten(1, (positions.shape[1], -1))
        vectors = out[:, :, self.width :].unflatten(2, (3, -1)) if self.vectors else None
        return Described(out[:, :, : self.width], vectors)


def envelope(x: Tensor) -> Tensor:
    """1 at 0, and 0 from 1 on with two derivatives; x = r / cutoff."""
    x = x.clamp(max=1)
    x2 = x * x
    return 1 + x2 * x2 * x * (-21 + x * (35 - 15 * x))


def harmonic_step(degree: int) -> Tensor:
    """C with Y_l(u) = (Y_{l-1}(u) x u) C for unit vectors u, (3 (2 l - 1), 2 l + 1) in float64.

    Products of Y_{l-1} with a vector hold Y_l: C is the one solution of least norm, found at random u.
    """
    points = torch.randn(40 * degree, 3, generator=torch.Generator().manual_seed(0)).double()
    u = points / points.norm(dim=1, keepdim=True)
    products = (solid_harmonics(degree - 1, u)[:, :, None] * u[:, None]).flatten(1)
    return torch.linalg.lstsq(products, solid_harmonics(degree, u), driver="gelsd").solution
