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
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from eqvae.distributions.orbit.groups import group_components
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Block, Representation

ELEMENTS = 2**20  # group elements x latents x components in memory at a time
_LOG_2PI = math.log(2 * math.pi)


class OrbitMixture(nn.Module):
    """sum_k pi_k int dh N(rho(h)^-1 v; mu_k, diag(s_k^2) + W_k W_k^T).

    Args:
        representation: of v; a latent's `vector`, without position.
        symmetry: H, the group whose orbits they are.
        components: K.
        rank: columns of W_k.
        angles: of the grid of SO(2) and O(2); a finite group has its own elements.

    Attributes:
        overlap: how often each two components explain the same latents, (K, K), see `frames`.

        frame_scale: standard deviation of the components' frames about a common one, radians.

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
        super().__init__()
        if representation.position:
            raise ValueError(
                f"representation must be without a position; got {representation}. Give latent.vector."
            )
        if components < 1 or angles < 1 or rank < 0:
            raise ValueError(
                "components and angles must be at least 1 and rank at least 0; got "
                f"{components}, {angles} and {rank}."
            )
        self.representation = representation
        self.symmetry = symmetry
        self.rank = rank
        self.angles = angles
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.zeros(components, representation.dim))
        self.log_scale = nn.Parameter(torch.zeros(components, representation.num_copies))
        self.factor = nn.Parameter(torch.zeros(components, representation.dim, rank))
        self.register_buffer("overlap", torch.zeros(components, components))
        self.register_buffer("frame_scale", torch.zeros(()))
        self._tables: dict[tuple, tuple[Tensor, Tensor]] = {}

    @property
    def components(self) -> int:
        return len(self.logits)

    @property
    def is_trivial(self) -> bool:
        """Whether nothing in v moves: the density is a plain mixture of Gaussians."""
        moving = self.representation.slices.content != self.representation.slices.vector
        return not moving or self.symmetry == PlaneMotions.trivial()

    @property
    def rows(self) -> int:
        """How many latents at a time are quick to work on."""
        return max(16, ELEMENTS // (self.components * len(self.grid())))

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
        return self._joint(_Kernel(self, v.dtype, angles), v)

    def log_joint_of(self, v: Tensor, component: Tensor, angles: int | None = None) -> Tensor:
        """log p(v, k, h) of a few components of each latent: (A, B, T) of components (B, T)."""
        return _Kernel(self, v.dtype, angles).joint_of(v, component)

    def parts(self, v: Tensor, angles: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Latents (b, D) and their `log_joint` (A, b, K), as many at a time as are quick to work on."""
        kernel = _Kernel(self, v.dtype, angles)
        for part in v.split(max(16, ELEMENTS // (self.components * len(self.grid(angles))))):
            yield part, self._joint(kernel, part)

    def log_prob(self, v: Tensor) -> Tensor:
        """log p(v) in nats, (B,)."""
        return torch.cat([_total(joint) for _, joint in self.parts(v)])

    def log_prob_by_block(self, v: Tensor) -> dict[str, Tensor]:
        """log p(v_b | the blocks before b) for each block b, nats, each (B,): their sum is `log_prob`."""
        kernel = _Kernel(self, v.dtype, whole=False)
        rows = max(1, self.rows // (1 + self.rank))
        parts = [self._log_prob_by_block(kernel, part) for part in v.split(rows)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def cluster_log_prob(self, v: Tensor, angles: int | None = None) -> Tensor:
        """log p(k | v), (B, K)."""
        found = []
        for _, joint in self.parts(v, angles):
            r, _ = shares(joint)
            found.append(r.sum(0).log())
        return torch.cat(found)

    @torch.no_grad()
    def kinds(self, v: Tensor, groups: int | None = None, seed: int = 0) -> Tensor:
        """p(group | v), (B, groups); None for the components themselves, see `group_components`."""
        by_component = self.cluster_log_prob(v).exp()
        if groups is None:
            return by_component
        group = group_components(self.overlap, self.logits.softmax(0), groups, seed).to(v.device)
        return v.new_zeros(len(v), groups).index_add_(1, group, by_component)

    def sample(
        self, n: int, generator: torch.Generator | None = None, component: Tensor | None = None
    ) -> Tensor:
        """Draws, (n, D).

        Args:
            n: how many.
            generator: source of randomness, on the CPU.
            component: of each draw, (n,); drawn by their weights if None.
        """
        k = component
        if k is None:
            weights = self.logits.softmax(0).detach().cpu()
            k = torch.multinomial(weights, n, replacement=True, generator=generator)
        u = self.draw_upright(k.to(self.loc.device), generator)
        return self.representation.act(self.symmetry.sample(n, generator=generator), u)

    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws of objects in the frames of their components (n,): mu_k + eps, (n, D).

        Args:
            component: of each draw, (n,).
            generator: source of randomness, on the CPU.
            temperature: of eps, whose standard deviation grows with its root; 0 gives the means.
        """
        loc = self.loc
        noise = torch.randn(
            len(component), loc.shape[1] + self.rank, generator=generator, dtype=loc.dtype
        )
        noise = noise.to(loc.device) * math.sqrt(temperature)
        own, shared = noise.split([loc.shape[1], self.rank], dim=1)
        spread = self.factor[component] @ shared[:, :, None]
        return loc[component] + self.scale[component] * own + spread[:, :, 0]

    @property
    def scale(self) -> Tensor:
        """s_k by coordinate, (K, D)."""
        return self.log_scale.exp()[:, self.representation.copy_index.to(self.loc.device)]

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

    def _joint(self, kernel: "_Kernel", v: Tensor) -> Tensor:
        joint = kernel.products(v, 0, kernel.constant - 0.5 * kernel.squares(v))
        for j in range(1, 1 + kernel.rank):
            y = kernel.products(v, j, kernel.offset[:, j - 1].expand(len(v), -1))
            joint = joint.addcmul_(y, y, value=0.5)
        return joint

    def _matrix_elements(self, block: Block, angles: int | None) -> Tensor:
        """rho_l(h) on the grid, (d, d, A)."""
        g = self.grid(angles)
        if block.slice == self.representation.slices.content or self.is_trivial:
            return torch.eye(block.dim, dtype=g.dtype)[:, :, None].expand(-1, -1, len(g))
        one = self.representation.single
        at = next(b.slice for b in one.blocks if b.name == block.name)
        return one.matrix(g)[:, at, at].permute(1, 2, 0)

    def _log_prob_by_block(self, kernel: "_Kernel", v: Tensor) -> dict[str, Tensor]:
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
            upto = _total(known[0] + constant + 0.5 * y)
            found[block.name], before = upto - before, upto
        return found


class _Kernel:
    """The vectors of all components that latents are multiplied with, and what does not depend on latents.

    Args:
        mixture: whose.
        dtype: to compute in.
        angles: of the grid.
        whole: whether the factors are divided by the Cholesky root of all blocks, as for `log_joint`.
    """

    def __init__(
        self,
        mixture: OrbitMixture,
        dtype: torch.dtype,
        angles: int | None = None,
        whole: bool = True,
    ):
        latent, self.mixture, self.angles = mixture.representation, mixture, angles
        self.log_pi = mixture.logits.to(dtype).log_softmax(0)
        self.loc = mixture.loc.to(dtype)
        self.log_scale = mixture.log_scale.to(dtype)
        self.precision = (-2 * self.log_scale).exp()[:, latent.copy_index.to(self.loc.device)]
        # factors that are not fitted yet cost nothing
        self.factor = mixture.factor.to(dtype)[:, :, : mixture.rank if mixture.factor.any() else 0]
        self.rank = self.factor.shape[2]
        self.weighted = self.factor * self.precision[:, :, None]  # (K, D, r)
        if whole:
            root, constant = self.upto(latent.blocks)
            self.constant = constant
            self.weighted = torch.linalg.solve_triangular(root, self.weighted.mT, upper=False).mT
            self.offset = -torch.einsum("kdr,kd->kr", self.weighted, self.loc)
        vectors = torch.cat([(self.loc * self.precision)[:, :, None], self.weighted], 2)
        self.size = len(mixture.grid(angles))
        self.tables, self.vectors = {}, {}
        for block in latent.blocks:
            q, r = (table.to(vectors) for table in mixture.table(block, angles))
            w = vectors[:, block.slice].unflatten(1, (block.copies, block.dim))
            turned = torch.einsum("kmjr,ijq->rqmik", w, q).flatten(2, 3)
            self.tables[block.name], self.vectors[block.name] = r, turned  # (1 + r, q, d m, K)

    def products(self, v: Tensor, j: int, still: Tensor, block: Block | None = None) -> Tensor:
        """<w_j, rho(h)^-1 v> + still, (A, B, K), of all blocks or of one."""
        blocks = self.mixture.representation.blocks if block is None else [block]
        features = [v[:, b.slice] @ self.vectors[b.name][j] for b in blocks]  # (q, B, K)
        table = torch.cat([*(self.tables[b.name] for b in blocks), v.new_ones(1, self.size)])
        features = torch.cat([*features, still[None]])
        return (table.T @ features.flatten(1)).unflatten(1, features.shape[1:])

    def joint_of(self, v: Tensor, component: Tensor) -> Tensor:
        """log p(v, k, h) of components (B, T) alone, (A, B, T)."""
        features = [
            torch.einsum(
                "btrqd,bd->btrq", self.vectors[b.name].permute(3, 0, 1, 2)[component], v[:, b.slice]
            )
            for b in self.mixture.representation.blocks
        ]
        table = torch.cat([self.tables[b.name] for b in self.mixture.representation.blocks])
        y = torch.cat(features, 3) @ table  # (B, T, 1 + r, A)
        shaped = (v[:, None].square() * self.precision[component]).sum(2)
        still = self.constant[component] - 0.5 * shaped
        spread = (y[:, :, 1:] + self.offset[component][..., None]).square().sum(2)
        return (y[:, :, 0] + still[..., None] + 0.5 * spread).permute(2, 0, 1)

    def squares(self, v: Tensor, block: Block | None = None) -> Tensor:
        """sum_m |v_m|^2 / s_km^2 of one block or of all, (B, K)."""
        part = slice(None) if block is None else block.slice
        return v[:, part].square() @ self.precision[:, part].T

    def offsets(self, block: Block) -> Tensor:
        """-W^T diag(s^-2) mu of one block, (K, r)."""
        part = block.slice
        return -torch.einsum("kdr,kd->kr", self.weighted[:, part], self.loc[:, part])

    def upto(self, blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
        """C_k (K, r, r), and the constant of log pi_k N / A (K,), of the marginal of these blocks."""
        end = blocks[-1].slice.stop
        copies = sum(block.copies for block in blocks)
        dims = self.mixture.representation.copy_dims[:copies].to(self.log_scale)
        w = self.factor[:, :end]
        gram = w.mT @ (w * self.precision[:, :end, None])
        root = torch.linalg.cholesky(gram + torch.eye(w.shape[2]).to(gram))
        log_det = self.log_scale[:, :copies] @ dims + root.diagonal(dim1=1, dim2=2).log().sum(1)
        energy = 0.5 * (self.loc[:, :end].square() * self.precision[:, :end]).sum(1)
        still = (
            log_det + energy + 0.5 * end * _LOG_2PI + math.log(len(self.mixture.grid(self.angles)))
        )
        return root, self.log_pi - still


def shares(joint: Tensor) -> tuple[Tensor, Tensor]:
    """p(k, h | v) and log p(v) from log p(v, k, h), (A, B, K) -> (A, B, K) and (B,).

    What is 80 nats below the largest is taken to be there: its exponential would not be a normal number of
    float32, and those take a processor fifty times as long. Overwrites `joint`.
    """
    top = joint.detach().amax((0, 2))
    r = joint.sub_(top[:, None]).clamp_(min=-80.0).exp_()
    mass = r.sum((0, 2))
    return r.div_(mass[:, None]), mass.log() + top


def _total(joint: Tensor) -> Tensor:
    """log of the sum over elements and components, (A, B, K) -> (B,); see `shares` for the bound."""
    top = joint.detach().amax((0, 2))
    return joint.sub_(top[:, None]).clamp_(min=-80.0).exp_().sum((0, 2)).log() + top
