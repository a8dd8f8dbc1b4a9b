"""The orbit mixture of latents of space, with the integral over SO(3) in closed form.

    p(v) = sum_k pi_k 1/|M| sum_m int dR N(v; rho(m R) mu_k, diag s_k^2)

M is 1, or where mirror images count, 1 and the inversion. v holds no irrep above l = 1: of a component with
vectors w_kc, a latent with vectors u_c leaves the integral

    int dR exp(tr F^T R) = c(F),      F = sum_c u_c w_kc^T / s_kc^2

which is known (see `matrix_fisher`) however sharp it is; a sum over a grid of SO(3) is the same where the
grid is fine enough, and the tests' reference. The posterior of R is matrix Fisher, one for each component and
hand, and its mean makes the M-step exact. Without a symmetry it is a plain mixture of Gaussians.

Reference: as `eqvae.distributions.orbit.em`, of which the steps are used.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.normal import normal_log_prob
from eqvae.distributions.orbit.components import Mixture
from eqvae.distributions.orbit.em import BATCH, Moments, improved, spread_out
from eqvae.distributions.orbit.latents import Latents
from eqvae.symmetry.blocks import Block
from eqvae.symmetry.space import SpaceRotations, spin_of_matrix
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.vae.matrix_fisher import Known, proper_svd, widths

_STEPS = 12  # of EM
_PASSES = 2  # over more latents than a step sees, beyond those
_ROWS = 2**13  # latents x components x hands at a time
_RULE = 0.05  # step of the integrals' rule, see `widths`
_TOLD = 40.0  # nats below the likeliest component, from where on none is evaluated


@dataclass(frozen=True)
class Explained:
    """What a mixture says of latents.

    Attributes:
        log_joint: log p(v, k, m), (B, K, M).
        concentration: F of each component and hand, (B, K, M, 3, 3).
        mean: E[R | v, k, m], (B, K, M, 3, 3).
    """

    log_joint: Tensor
    concentration: Tensor
    mean: Tensor

    @property
    def log_prob(self) -> Tensor:
        """log p(v), (B,)."""
        return self.log_joint.flatten(1).logsumexp(1)

    @property
    def log_shares(self) -> Tensor:
        """log p(k, m | v), (B, K, M)."""
        return self.log_joint - self.log_prob[:, None, None]


class SpaceOrbitMixture(Mixture):
    """sum_k pi_k int dh N(v; rho(h) mu_k, diag s_k^2) over SO(3) or O(3).

    Args:
        representation: of v, without position; irreps 0e, 0o, 1o and 1e.
        symmetry: whose orbits they are; None for a mixture of Gaussians that stand still.
        components: K.

    Raises:
        ValueError: if an irrep is above l = 1.
    """

    def __init__(
        self,
        representation: SpaceRepresentation,
        symmetry: SpaceRotations | None,
        components: int = 40,
    ):
        super().__init__(representation, components)
        if representation.max_frequency > 1:
            raise ValueError(
                f"an orbit prior in space is for latents of 0e, 0o, 1o and 1e; got {representation}. Set "
                "prior=normal, or leave the higher irreps out of latent.text."
            )
        self.symmetry = symmetry

    @property
    def hands(self) -> Tensor:
        """What each m multiplies the coordinates with, (M, D)."""
        parity = [p for n, _, p in self.representation.irreps for _ in range(n)]
        signs = torch.tensor(parity)[self.representation.copy_index].double()
        both = self.symmetry is not None and self.symmetry.parity
        one = torch.ones_like(signs)
        return torch.stack([one, signs] if both else [one]).to(self.loc)

    def explain(self, v: Tensor, blocks: tuple[Block, ...] | None = None) -> Explained:
        """What the mixture says of latents (B, D), or of some of their blocks alone."""
        rows = max(1, _ROWS // (self.components * len(self.hands)))
        parts = [
            self._explain(part, blocks or self.representation.blocks) for part in v.split(rows)
        ]
        return Explained(
            *(torch.cat(p) for p in zip(*(vars(e).values() for e in parts), strict=True))
        )

    def log_prob(self, v: Tensor) -> Tensor:
        return self.explain(v).log_prob.to(v)

    def log_prob_by_block(self, v: Tensor) -> dict[str, Tensor]:
        """log p(v_b | the blocks before b) for each block b, nats, each (B,): their sum is `log_prob`."""
        blocks, before, found = self.representation.blocks, 0.0, {}
        for i, block in enumerate(blocks):
            upto = self.explain(v, blocks[: i + 1]).log_prob.to(v)
            found[block.name], before = upto - before, upto
        return found

    def cluster_log_prob(self, v: Tensor) -> Tensor:
        return self.explain(v).log_shares.logsumexp(2).to(v)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws, (n, D)."""
        u = self.draw_upright(self.drawn_components(n, generator), generator)
        if self.symmetry is None:
            return u
        return self.representation.act(self.symmetry.sample(n, generator=generator).to(u), u)

    def draw_upright(
        self, component: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        loc = self.loc[component]
        noise = torch.randn(loc.shape, generator=generator, dtype=loc.dtype).to(loc.device)
        return loc + math.sqrt(temperature) * self.scale[component] * noise

    def _explain(self, v: Tensor, blocks: tuple[Block, ...]) -> Explained:
        log_pi = self.logits.double().log_softmax(0) - math.log(len(self.hands))
        joint = log_pi[:, None].expand(len(v), -1, len(self.hands))
        v, f = v.double(), v.new_zeros(*joint.shape, 3, 3, dtype=torch.float64)
        for block in blocks:
            part = block.slice
            x = v[:, None, None, part]
            mean = (self.loc[:, None] * self.hands)[:, :, part].double()
            scale = self.scale[:, None, part].double()
            if block.frequency == 0 or self.symmetry is None:
                joint = joint + normal_log_prob(x, mean, scale).sum(dim=3)
                continue
            length = (x.square() + mean.square()) / (2 * scale.square())
            joint = joint - (length + scale.log() + 0.5 * math.log(2 * math.pi)).sum(dim=3)
            u, w = x.unflatten(3, (-1, 3)), (mean / scale.square()).unflatten(2, (-1, 3))
            f = f + torch.einsum("bzyci,kmcj->bkmij", u, w)
        svd = proper_svd(f.detach())
        width, axes = _widths((joint.detach() + svd.s.sum(dim=3)).flatten(1), svd.s.flatten(1, 2))
        mean = (svd.u * (1 + axes).reshape(*joint.shape, 1, 3)) @ svd.v.mT
        # log c(F), whose gradient is the mean
        integral = Known.apply(f, width.reshape(joint.shape) + svd.s.sum(dim=3), mean)
        return Explained(joint + integral, f, mean)


def _widths(bound: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """`widths` (B, J) and (B, J, 3) of singular values (B, J, 3), 0 for what can't be told beside the best.

    Widths are negative, so that `bound` + them is at most `bound`, (B, J): what lies far below the best one's
    value even so is left as it is.
    """
    width, axes = torch.zeros_like(bound), torch.zeros_like(s)
    best = bound.argmax(dim=1, keepdim=True)
    asked = torch.zeros_like(bound, dtype=torch.bool).scatter(1, best, True)
    for _ in range(2):
        width[asked], axes[asked] = widths(s[asked], _RULE)
        least = (bound + width).gather(1, best) - _TOLD
        asked = ~asked & (bound > least)
    return width, axes


def moments(mixture: SpaceOrbitMixture, v: Tensor) -> Moments:
    """The E-step on latents (B, D)."""
    found = mixture.explain(v)
    r, latent, hands = found.log_shares.exp(), mixture.representation, mixture.hands.double()
    first, second = [], []
    for block in latent.blocks:
        x, hand = v[:, block.slice].double(), hands[:, block.slice]
        if block.frequency == 0 or mixture.symmetry is None:
            first.append(torch.einsum("bkm,md,bd->kd", r, hand, x))
        else:
            u, sign = x.unflatten(1, (block.copies, 3)), hand[:, 0]
            back = torch.einsum("bkm,m,bkmij,bci->kcj", r, sign, found.mean, u)
            first.append(back.flatten(1))
        square = x.square().unflatten(1, (block.copies, -1)).sum(2)
        second.append(r.sum(2).T @ square)
    sums = (r.sum((0, 2)), torch.cat(first, 1), torch.cat(second, 1), found.log_prob.sum())
    return Moments(*(value.to(v) / len(v) for value in sums))


@torch.no_grad()
def fit_components(
    latents: Latents, symmetry: SpaceRotations | None, components: int, rank: int, seed: int
) -> SpaceOrbitMixture:
    """The mixture of K components, by EM; `rank` is not used: each irrep copy has one variance."""
    generator = torch.Generator().manual_seed(seed)
    mixture = SpaceOrbitMixture(latents.representation, symmetry, components).to(latents.loc)
    total = latents.spread(symmetry is None)
    some = latents.some(BATCH, generator)
    one = SpaceOrbitMixture(latents.representation, symmetry, 1).to(latents.loc)
    one.log_scale.copy_(0.5 * total.log()[None])

    def distance(to: Tensor) -> Tensor:
        one.loc.copy_(to[None])
        return (one.log_prob(to[None]) - one.log_prob(some)).clamp_min(0)

    spread_out(mixture, some, total, distance, generator)
    steps = _STEPS + int(_PASSES * max(len(latents) - BATCH, 0) / BATCH)
    for _ in improved(mixture, latents, total, steps, generator, lambda v: moments(mixture, v)):
        pass
    return mixture.requires_grad_(False)


@torch.no_grad()
def align_frames(mixture: SpaceOrbitMixture, latents: Latents, seed: int = 0) -> None:
    """Turn each component's frame onto that of the heaviest one, and note which explain the same latents.

    Changes no density: "upright" is free for each component.
    """
    v = latents.some(BATCH, torch.Generator().manual_seed(seed))
    share = mixture.cluster_log_prob(v).exp()
    mixture.overlap.copy_(share.T @ share)
    moving = [block.slice for block in mixture.representation.blocks if block.frequency == 1]
    if mixture.symmetry is None or not moving:
        return
    vectors = torch.cat([mixture.loc[:, part] for part in moving], dim=1).unflatten(1, (-1, 3))
    onto = vectors[int(mixture.logits.argmax())]
    turn = spin_of_matrix(proper_svd((onto.mT @ vectors).double()).mode)
    mixture.loc.copy_(mixture.representation.act(turn.to(mixture.loc), mixture.loc))
