"""The orbit mixture: latents lie on the orbits of a few kinds of object.

    p(v) = sum_k pi_k  int_H dh  N(rho(h)^-1 v; mu_k, S_k),      S_k = diag(s_k^2) + W_k W_k^T

over the Haar measure of a compact group H: draw a kind k, an object mu_k + eps of that kind in the frame of
its component, and a turn h. Averaged over all h the density is invariant, p(rho(a) v) = p(v), whatever
S_k is. With one s_k for each irrep copy, the exponent needs of rho(h)^-1 v only inner products with a few
vectors w of each component, and those are sums of matrix elements of the irreps rho_l,

    <w, rho(h)^-1 v> = sum_l sum_ij rho_l(h)_ij  sum_{copies m of l} v_mi w_mj,

one small matrix product for each irrep and one small transform to the elements of H, as many as the group's
grid has: all of a finite group, of SO(2) and O(2) enough for the sum to be the integral. The vectors are
mu_k / s_k^2, and by the identity of Woodbury the columns of diag(s_k^-2) W_k C_k^-T with
C_k C_k^T = 1 + W_k^T diag(s_k^-2) W_k. The trivial group leaves a plain mixture of Gaussians.
All densities in nats.

Reference: Ghahramani, Hinton, The EM algorithm for mixtures of factor analyzers (1996), for S_k.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from eqvae.distributions.orbit.components import Mixture
from eqvae.distributions.orbit.kernel import Kernel, total
from eqvae.symmetry.blocks import Block
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation

ELEMENTS = 2**20  # group elements x latents x components in memory at a time
FINEST = 512  # angles of a grid


class OrbitMixture(Mixture):
    """sum_k pi_k int dh N(rho(h)^-1 v; mu_k, diag(s_k^2) + W_k W_k^T).

    Args:
        representation: of v; a latent's `vector`, without position.
        symmetry: H, the group whose orbits they are.
        components: K.
        rank: columns of W_k.
        angles: of the grid of SO(2) and O(2); a finite group has its own elements.

    Attributes:
        frame_scale: how well defined the frame of each is beside the others', radians, (K,), see `frames`.

    Raises:
        ValueError: if the latent has a position, to which no proper density is invariant, or a number is
            out of range.
    """

    def __init__(
        self,
        representation: Representation,
        symmetry: PlaneMotions,
        components: int = 40,
        rank: int = 0,
        angles: int = 64,
    ):
        super().__init__(representation, components)
        if angles < 1 or rank < 0:
            raise ValueError(
                f"angles must be at least 1 and rank at least 0; got {angles} and {rank}."
            )
        self.symmetry = symmetry
        self.rank = rank
        self.angles = angles
        self.factor = nn.Parameter(torch.zeros(components, representation.dim, rank))
        self.register_buffer("frame_scale", torch.zeros(components))
        self._tables: dict[tuple, tuple[Tensor, Tensor]] = {}

    @property
    def is_trivial(self) -> bool:
        """Whether nothing in v moves: the density is a plain mixture of Gaussians."""
        moving = self.representation.slices.content != self.representation.slices.vector
        return not moving or self.symmetry == PlaneMotions.trivial()

    @property
    def rows(self) -> int:
        """How many latents at a time are quick to work on."""
        return self._rows()

    def _rows(self, angles: int | None = None) -> int:
        return max(16, ELEMENTS // (self.components * len(self.grid(angles))))

    def grid(self, angles: int | None = None) -> Tensor:
        """The elements h that the integral is summed over, motions without shift (A, 4), float64."""
        if self.is_trivial:
            return self.symmetry.identity(dtype=torch.float64)
        return self.symmetry.grid(angles or self.angles)

    def log_joint(self, v: Tensor, angles: int | None = None) -> Tensor:
        """log p(v, k, h) by element of the grid, latent and component, (A, B, K); each 1 / A of the measure.

        Args:
            v: (B, D).
            angles: of the grid, default the mixture's own.
        """
        return Kernel(self, v.dtype, angles).joint(v)

    def log_joint_of(self, v: Tensor, component: Tensor, angles: int | None = None) -> Tensor:
        """log p(v, k, h) of a few components of each latent: (A, B, T) of components (B, T)."""
        return Kernel(self, v.dtype, angles).joint_of(v, component)

    def parts(self, v: Tensor, angles: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Latents (b, D) and their `log_joint` (A, b, K), as many at a time as are quick to work on."""
        kernel = Kernel(self, v.dtype, angles)
        for part in v.split(self._rows(angles)):
            yield part, kernel.joint(part)

    def log_prob(self, v: Tensor) -> Tensor:
        """log p(v) in nats, (B,)."""
        return torch.cat([total(joint) for _, joint in self.parts(v)])

    def log_prob_by_block(self, v: Tensor) -> dict[str, Tensor]:
        """log p(v_b | the blocks before b) for each block b, nats, each (B,): their sum is `log_prob`."""
        kernel = Kernel(self, v.dtype, whole=False)
        rows = max(1, self.rows // (1 + self.rank))
        parts = [self._log_prob_by_block(kernel, part) for part in v.split(rows)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def cluster_log_prob(self, v: Tensor, angles: int | None = None) -> Tensor:
        """log p(k | v), (B, K)."""
        kernel = Kernel(self, v.dtype, angles)
        return torch.cat([kernel.cluster_log_prob(part) for part in v.split(self._rows(angles))])

    def sample(
        self, n: int, generator: torch.Generator | None = None, component: Tensor | None = None
    ) -> Tensor:
        """Draws, (n, D).

        Args:
            n: how many.
            generator: source of randomness, on the CPU.
            component: of each draw, (n,); drawn by their weights if None.
        """
        k = self.drawn_components(n, generator) if component is None else component
        u = self.draw_upright(k.to(self.loc.device), generator)
        return self.representation.act(self.symmetry.sample(n, generator=generator), u)

    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        loc = self.loc
        noise = torch.randn(
            len(component), loc.shape[1] + self.rank, generator=generator, dtype=loc.dtype
        )
        noise = noise.to(loc.device) * math.sqrt(temperature)
        own, shared = noise.split([loc.shape[1], self.rank], dim=1)
        spread = self.factor[component] @ shared[:, :, None]
        return loc[component] + self.scale[component] * own + spread[:, :, 0]

    def table(self, block: Block, angles: int | None = None) -> tuple[Tensor, Tensor]:
        """Matrix elements of an irrep on the grid as Q R: rho(h)_ij = sum_q Q_ijq R_qh.

        There are d d matrix elements, but of psi_l under SO(2) only two are different functions.

        Returns:
            Q (d, d, q) and R (q, A), float64.
        """
        key = (block.name, angles or self.angles)
        if key not in self._tables:
            elements = self._matrix_elements(block, angles)
            u, s, vt = torch.linalg.svd(elements.flatten(0, 1), full_matrices=False)
            q = int((s > 1e-9 * s[0]).sum())
            self._tables[key] = (u[:, :q].unflatten(0, elements.shape[:2]), s[:q, None] * vt[:q])
        return self._tables[key]

    def export(self) -> "FixedMixture":
        """What says of which component latents are, with all that follows from the parameters computed."""
        return FixedMixture(self)

    def _matrix_elements(self, block: Block, angles: int | None) -> Tensor:
        """rho_l(h) on the grid, (d, d, A)."""
        g = self.grid(angles)
        if block.slice == self.representation.slices.content or self.is_trivial:
            return torch.eye(block.dim, dtype=g.dtype)[:, :, None].expand(-1, -1, len(g))
        one = self.representation.single
        at = next(b.slice for b in one.blocks if b.name == block.name)
        return one.matrix(g)[:, at, at].permute(1, 2, 0)

    def _log_prob_by_block(self, kernel: Kernel, v: Tensor) -> dict[str, Tensor]:
        known, before, found = 0.0, 0.0, {}
        for i, block in enumerate(self.representation.blocks):
            still = [-0.5 * kernel.squares(v, block)]
            still += [column.expand(len(v), -1) for column in kernel.offsets(block).T]
            known = known + torch.stack(  # (1 + r, A, B, K)
                [kernel.products(v, j, s, block) for j, s in enumerate(still)]
            )
            root, constant = kernel.upto(self.representation.blocks[: i + 1])
            y = torch.linalg.solve_triangular(
                root, known[1:].permute(3, 0, 1, 2).flatten(2), upper=False
            )
            y = y.square().sum(1).unflatten(1, known.shape[1:3]).permute(1, 2, 0)
            upto = total(known[0] + constant + 0.5 * y)
            found[block.name], before = upto - before, upto
        return found


class FixedMixture(nn.Module):
    """Says of which component of an `OrbitMixture` latents are: a plain graph, for any number of them.

    Args:
        mixture: in training no more.
    """

    @torch.no_grad()
    def __init__(self, mixture: OrbitMixture):
        super().__init__()
        self.kernel = Kernel(mixture, mixture.loc.dtype)

    def cluster_log_prob(self, v: Tensor) -> Tensor:
        """log p(k | v), (B, K)."""
        return self.kernel.cluster_log_prob(v)

    def kinds(self, v: Tensor, groups: None = None, seed: int = 0) -> Tensor:
        """p(k | v), (B, K)."""
        return self.cluster_log_prob(v).exp()


@torch.no_grad()
def resolving_angles(mixture: OrbitMixture, coarsest: float) -> int:
    """How many angles the peaks of p(h | v) need, no fewer than the mixture's own.

    Args:
        mixture: whose components.
        coarsest: step of the grid, of the standard deviation of the angle in any component of weight,
            (sum_m l_m^2 |mu_m|^2 / s_m^2)^(-1/2) radians.
    """
    if mixture.is_trivial or mixture.symmetry.is_finite:
        return mixture.angles
    blocks = mixture.representation.blocks
    frequency = torch.cat([torch.full((b.copies * b.dim,), float(b.frequency)) for b in blocks])
    turned = frequency.to(mixture.loc) * mixture.loc / mixture.scale
    there = mixture.logits.softmax(0) > 0.2 / mixture.components
    sharpest, angles = float(turned.square().sum(1)[there].max().rsqrt()), mixture.angles
    while angles < FINEST and 2 * math.pi / angles > coarsest * sharpest:
        angles *= 2
    return angles
