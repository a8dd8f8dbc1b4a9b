"""Content of structures of one topology: invariants of learned vectors.

    v_k = sum_i W_ki (x_i - xbar)                  vectors, 1o
    v_j . v_k                                      0e: no rotation, shift or mirror changes them
    det(a_j, b_j, c_j) / (|a_j| |b_j| |c_j|)       0o, with a, b, c linear in v: a mirror changes the sign

The mean of 0e is a function of invariants; that of 0o is odd in the determinants. Log-variances come from
invariants alone, one for each copy, so that q(c | g x) = g q(c | x) exactly.
"""

import torch
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.gaussian import START_LOG_SCALE
from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae.posed import check_posed

_NONE = 1e-6  # volume of three vectors of length 1, below which there is no handedness


class InvariantEncoder(nn.Module):
    """Structures (B, P, N, 3), in P equally right orders of their atoms, to the content of them.

    Args:
        domain: the atoms.
        representation: of the latent.
        symmetry: SE(3), or E(3) with mirror images.
        vectors: K, learned ones.
        hidden: width of both layers.
        triples: determinants that handedness is read from.
        scale: typical coordinate, Angstrom; `start` measures it.

    Raises:
        ValueError: if there are fewer than three atoms, or a number is out of its range.
    """

    def __init__(
        self,
        domain: Points,
        representation: SpaceRepresentation,
        symmetry: SpaceMotions = SpaceMotions(),
        vectors: int = 24,
        hidden: int = 128,
        triples: int = 16,
        scale: float = 10.0,
    ):
        super().__init__()
        check_posed(representation)
        check_atoms(domain)
        check_symmetry(symmetry)
        if min(vectors, hidden, triples) < 1 or not scale > 0:
            raise ValueError(
                f"vectors, hidden, triples and scale must be positive; got {vectors}, {hidden}, {triples} "
                f"and {scale}."
            )
        self.domain, self.representation, self.symmetry = domain, representation, symmetry
        copies = representation.multiplicities
        self.even, self.odd = copies["0e"], copies.get("0o", 0)
        self.triples = triples
        self.weights = nn.Parameter(torch.randn(vectors, domain.num_atoms) / domain.num_atoms**0.5)
        self.threes = nn.Parameter(torch.randn(3, triples, vectors) / vectors**0.5)
        count = vectors * (vectors + 1) // 2 + triples
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.register_buffer("centre", torch.zeros(count))
        self.register_buffer("spread", torch.ones(()))
        self.trunk = nn.Sequential(
            nn.Linear(count, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.loc = nn.Linear(hidden, self.even)
        self.log_scale = nn.Linear(hidden, self.even + self.odd)
        self.gates = nn.Linear(hidden, self.odd * triples)
        nn.init.zeros_(self.log_scale.weight)
        nn.init.constant_(self.log_scale.bias, START_LOG_SCALE)
        rows, columns = torch.triu_indices(vectors, vectors)
        self.register_buffer("pairs", rows * vectors + columns, persistent=False)

    def forward(self, x: Tensor) -> ContentPosterior:
        invariants, handed = self.features(x)
        h = self.trunk((invariants - self.centre) / self.spread)
        loc = self.loc(h)
        if self.odd:
            gates = self.gates(h).unflatten(1, (self.odd, self.triples))
            loc = torch.cat([loc, (gates * handed[:, None]).sum(2) / self.triples**0.5], dim=1)
        return ContentPosterior(loc, self.log_scale(h))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Invariants (B, F) and pseudoscalars (B, T) of structures (B, P, N, 3), means over the orders."""
        y = (x - x.mean(dim=2, keepdim=True)) / self.scale
        v = torch.einsum("kn,bpni->bpki", self.weights, y)
        products = (v @ v.mT).flatten(2)[..., self.pairs]
        a, b, c = torch.einsum("stk,bpki->sbpti", self.threes, v)
        volume = (a * torch.linalg.cross(b, c)).sum(dim=-1)
        sides = a.norm(dim=-1) * b.norm(dim=-1) * c.norm(dim=-1)
        handed = volume / (sides + _NONE)
        invariants = torch.cat([products, handed.square()], dim=-1)
        return invariants.mean(dim=1), handed.mean(dim=1)

    @torch.no_grad()
    def start(self, x: Tensor, scale: float) -> None:
        """Measure scale and invariants on training structures (B, P, N, 3)."""
        self.scale.fill_(scale)
        invariants, _ = self.features(x)
        self.centre.copy_(invariants.mean(dim=0))
        if len(invariants) > 1:  # one structure has no spread
            self.spread.copy_(invariants.std(dim=0).square().mean().sqrt().clamp_min(1e-3))


def check_symmetry(symmetry: SpaceMotions) -> None:
    """Refuse groups that don't move structures.

    Raises:
        ValueError: if it is neither SE(3) nor E(3).
    """
    if not isinstance(symmetry, SpaceMotions):
        raise ValueError(
            f"symmetry must be of space, SE(3) or E(3); got {symmetry.name}. Set symmetry=se3 or e3."
        )


def check_atoms(domain: Points) -> None:
    """Refuse domains in which no rotation can be told.

    Raises:
        ValueError: if there are fewer than three atoms.
    """
    if not isinstance(domain, Points):
        raise ValueError(
            f"domain must be eqvae.three.points.Points; got {domain}. Set domain=points."
        )
    if domain.num_atoms < 3:
        raise ValueError(
            f"a pose needs at least 3 atoms; got {domain.num_atoms}. Take structures with more of them."
        )
