"""What latents are multiplied with to evaluate an orbit mixture, see `mixture`; one serves many latents."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from eqvae.symmetry.blocks import Block
from eqvae.symmetry.representations import Representation

_LOG_2PI = math.log(2 * math.pi)


class Components(Protocol):
    """What a kernel needs of an `OrbitMixture`."""

    representation: Representation
    logits: Tensor
    loc: Tensor
    log_scale: Tensor
    factor: Tensor
    rank: int

    def grid(self, angles: int | None = None) -> Tensor: ...

    def table(self, block: Block, angles: int | None = None) -> tuple[Tensor, Tensor]: ...


class Kernel:
    """The vectors of all components that latents are multiplied with, and what does not depend on latents.

    Args:
        mixture: whose.
        dtype: to compute in.
        angles: of the grid.
        whole: whether the factors are divided by the Cholesky root of all blocks, as for `log_joint`.
    """

    def __init__(
        self,
        mixture: Components,
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

    def joint(self, v: Tensor) -> Tensor:
        """log p(v, k, h) of all components, (A, B, K), of v (B, D)."""
        joint = self.products(v, 0, self.constant - 0.5 * self.squares(v))
        for j in range(1, 1 + self.rank):
            y = self.products(v, j, self.offset[:, j - 1].expand(v.shape[0], -1))
            joint = joint.addcmul_(y, y, value=0.5)
        return joint

    def cluster_log_prob(self, v: Tensor) -> Tensor:
        """log p(k | v), (B, K)."""
        r, _ = shares(self.joint(v))
        return r.sum(0).log()

    def joint_of(self, v: Tensor, component: Tensor) -> Tensor:
        """log p(v, k, h) of components (B, T) alone, (A, B, T)."""
        features = [
            torch.einsum(
                "btrqd,bd->btrq", self.vectors[b.name].permute(3, 0, 1, 2)[component], v[:, b.slice]
            )
            for b in self.mixture.representation.blocks
        ]
        features = torch.cat(features, 3).unbind(2)  # of the mean and of each factor
        table = torch.cat([self.tables[b.name] for b in self.mixture.representation.blocks])
        shaped = (v[:, None].square() * self.precision[component]).sum(2)
        still = self.constant[component] - 0.5 * shaped
        joint = features[0] @ table + still[..., None]  # (B, T, A)
        offset = self.offset[component]
        for j in range(self.rank):  # one by one: together they are many times as large
            y = features[1 + j] @ table + offset[:, :, j, None]
            joint = joint.addcmul_(y, y, value=0.5)
        return joint.permute(2, 0, 1)

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


def total(joint: Tensor) -> Tensor:
    """log of the sum over elements and components, (A, B, K) -> (B,); see `shares` for the bound."""
    top = joint.detach().amax((0, 2))
    return joint.sub_(top[:, None]).clamp_(min=-80.0).exp_().sum((0, 2)).log() + top


def parabola(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """Where a parabola through three values is highest, in steps from the middle one, at most half a step."""
    bend = (left - 2 * middle + right).clamp_max(-1e-12)
    return (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
