"""One frame for all components: turns after which those that explain the same latents agree on their pose.

What "upright" means is free for each component. A latent v that component i explains at the turn h_i and
component j, less well, at h_j votes for frames with f_i h_i^-1 = f_j h_j^-1: whichever of the two is asked,
the answer should be the same. Of all latents,

    c_ij(h) = sum_n w_ni w_nj [h_j^-1 h_i = h],      w_nk ~ max_h p(v, k, h)^beta,

and frames f_i are sought that make sum_ij c_ij(f_j^-1 f_i) large. Components with a symmetry are voted for
at several turns, every one of them right. Components are merged from the most voted for on, two groups of
them by the turn that all their pairs together like best; then each looks once more, and the mean of the
votes near by says what is finer than the grid.

Reference: Singer, Angular synchronization by eigenvectors and semidefinite programming (2011), for the
problem; average linkage decides here, since wrong turns of single pairs are then outvoted.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.symmetry.group import Group
from eqvae.symmetry.motions import angle_of, motion, reflection_of

_ANGLES = 120  # of the grid of votes
_LATENTS = 8000  # that vote, at most
_BETA = 0.1  # a component that explains a latent by 10 nats less votes with 1/e of the weight
_VOTERS = 6  # components of each latent
_SMOOTH = math.radians(8.0)  # votes so far apart still support each other
_NEAR = math.radians(20.0)  # votes whose mean is finer than the grid
_SWEEPS = 10


@dataclass(frozen=True)
class Ballot:
    """Votes between pairs of components.

    Attributes:
        first, second: components i and j of each vote, (V,).
        element: h_j^-1 h_i, index into the grid, (V,).
        weight: w_i w_j, (V,).
    """

    first: Tensor
    second: Tensor
    element: Tensor
    weight: Tensor


@torch.no_grad()
def align_frames(
    mixture: OrbitMixture, latents: Latents, seed: int = 0, log_p: Tensor | None = None
) -> None:
    """Turn the frames of the components so that poses can be compared between them; p(v) stays as it is.

    Also notes how often each two components explain the same latents, `OrbitMixture.overlap`, and how far
    their frames still differ, `OrbitMixture.frame_scale`.

    Args:
        mixture: changed in place.
        latents: that vote.
        seed: of their draws.
        log_p: how well each component explains each latent, nats, (N, K); None asks the mixture.
    """
    if mixture.components < 2:
        return
    group = mixture.symmetry
    grid = mixture.grid(_ANGLES)
    if log_p is None:
        v = latents.some(_LATENTS, torch.Generator().manual_seed(seed))
    else:
        v = latents.loc
    table = product_table(group, grid)
    ballot = votes(mixture, v, table, log_p)
    counted = _counted(ballot, mixture.components, len(grid))
    overlap = counted.sum(2)
    mixture.overlap.copy_((overlap + overlap.T).to(mixture.overlap))
    if mixture.is_trivial:
        return
    found = synchronise(counted @ _kernel(group, grid), table)
    turn_frames(mixture, grid[found].to(v))
    if not group.is_finite:
        turns, spread = _small_turns(ballot, found, table, grid)
        turn_frames(mixture, motion(turns).to(v))
        mixture.frame_scale.fill_(spread)


@torch.no_grad()
def turn_frames(mixture: OrbitMixture, h: Tensor) -> None:
    """Turn the frame of each component by h (K, 4)."""
    act = mixture.representation.act
    mixture.loc.copy_(act(h, mixture.loc))
    for j in range(mixture.rank):
        mixture.factor[:, :, j] = act(h, mixture.factor[:, :, j])


def votes(mixture: OrbitMixture, v: Tensor, table: Tensor, log_p: Tensor | None = None) -> Ballot:
    """All votes of latents (B, D).

    Args:
        mixture: of whose components.
        v: latents.
        table: products of the grid's elements.
        log_p: how well each component explains each latent, nats, (B, K); None asks the mixture.
    """
    inverse, voters = inverses(table), min(_VOTERS, mixture.components)
    found, first = [], 0
    for part, joint in mixture.parts(v, _ANGLES):
        best, element = (most.cpu() for most in joint.max(0))
        if log_p is not None:
            best = log_p[first : first + len(part)].cpu()
        first += len(part)
        weight, k = (_BETA * (best - best.amax(1, keepdim=True))).exp().topk(voters, 1)
        weight, h = weight / weight.sum(1, keepdim=True), element.gather(1, k)
        i, j = (~torch.eye(voters, dtype=torch.bool)).nonzero().T
        between = table[inverse[h[:, j]], h[:, i]]
        found.append((k[:, i], k[:, j], between, weight[:, i] * weight[:, j]))
    return Ballot(*(torch.cat([f.flatten() for f in part]) for part in zip(*found, strict=True)))


def synchronise(support: Tensor, table: Tensor) -> Tensor:
    """Frames f_i that make sum_ij c_ij(f_j^-1 f_i) large, indices into the grid, (K,).

    Args:
        support: c_ij(h), (K, K, A).
        table: products of the grid's elements, see `product_table`.
    """
    found = _swept(support, _merged(support, table), table)
    first = int(support.sum((1, 2)).argmax())  # its frame stays as it is
    return table[inverses(table)[found[first]], found]


def product_table(group: Group, grid: Tensor) -> Tensor:
    """Index of h_a h_b in a grid that is closed under products, (A, A); the identity comes first."""
    n = len(grid)
    products = group.compose(grid.repeat_interleave(n, 0), grid.repeat(n, 1))
    return torch.cdist(_seen(group, products), _seen(group, grid)).argmin(1).reshape(n, n)


def inverses(table: Tensor) -> Tensor:
    """Index of h_a^-1, (A,)."""
    return (table == 0).int().argmax(1)


def _seen(group: Group, g: Tensor) -> Tensor:
    """Where motions bring two points, which tells them apart, (N, 4)."""
    points = g.new_tensor([[1.0, 0.0], [0.0, 1.0]])
    return group.act(g, points.expand(len(g), 2, 2)).flatten(1)


def _kernel(group: Group, grid: Tensor) -> Tensor:
    """How much a vote for one element supports another, (A, A)."""
    seen = _seen(group, grid)
    distance = torch.cdist(seen, seen) / math.sqrt(2)  # the chord of the angle between them
    return (-0.5 * (distance / _SMOOTH).square()).exp().double()


def _counted(ballot: Ballot, components: int, elements: int) -> Tensor:
    """c_ij(h), (K, K, A)."""
    place = (ballot.first * components + ballot.second) * elements + ballot.element
    total = torch.zeros(components * components * elements, dtype=torch.float64)
    total.index_add_(0, place.cpu(), ballot.weight.double().cpu())
    return total.reshape(components, components, elements)


def _merged(support: Tensor, table: Tensor) -> Tensor:
    """Frames found by merging groups of components, (K,)."""
    inverse, total, k = inverses(table), support.clone(), len(support)
    found, members = torch.zeros(k, dtype=torch.int64), {i: [i] for i in range(k)}
    # of groups of equal say, those whose votes agree best come first
    size = torch.ones(k, dtype=torch.float64)
    value = total.amax(2)
    value.fill_diagonal_(-1.0)
    for _ in range(k - 1):
        i, j = divmod(int((value / (size[:, None] * size)).argmax()), k)
        turn = int(total[i, j].argmax())  # group i, turned by it, joins group j
        for m in members[i]:
            found[m] = table[turn, found[m]]
        members[j] += members.pop(i)
        # c_ix(f_x^-1 f_i) is asked at f_i turn now, and c_xi at turn^-1 before
        total[j] += total[i][:, table[:, turn]]
        total[:, j] += total[:, i][:, table[inverse[turn]]]
        size[j] += size[i]
        value[j], value[:, j] = total[j].amax(1), total[:, j].amax(1)
        value[i], value[:, i], value[j, j] = -1.0, -1.0, -1.0
        gone = [x for x in range(k) if x not in members]
        value[j, gone], value[gone, j] = -1.0, -1.0
    return found


def _swept(support: Tensor, found: Tensor, table: Tensor) -> Tensor:
    """Each component in turn takes the element that all others together like best, until none changes."""
    inverse, found = inverses(table), found.clone()
    for _ in range(_SWEEPS):
        before = found.clone()
        for i in range(len(found)):
            at = table[inverse[found]]  # f_j^-1 h for every h, (K, A)
            liked = support[i].gather(1, at)
            found[i] = (liked.sum(0) - liked[i]).argmax()
        if torch.equal(found, before):
            break
    return found


def _small_turns(
    ballot: Ballot, found: Tensor, table: Tensor, grid: Tensor
) -> tuple[Tensor, float]:
    """Angles a_i that the mean of the votes near f_j^-1 f_i asks for, radians, (K,), and their spread.

    The least squares of all w (a_i - a_j - vote)^2 is the solution of a Laplacian system.
    """
    k = len(found)
    i, j = ballot.first.cpu(), ballot.second.cpu()
    agreed = grid[table[inverses(table)[found[j]], found[i]]]
    asked = grid[ballot.element.cpu()]
    off = angle_of(asked) - angle_of(agreed)
    off = (off + math.pi) % (2 * math.pi) - math.pi
    off = off * (1 - 2 * reflection_of(grid[found[j]]))  # a mirrored frame sees turns the other way
    w = ballot.weight.double().cpu() * (off.abs() < _NEAR)
    w = w * (reflection_of(asked) == reflection_of(agreed))
    pairs = torch.zeros(k, k, dtype=torch.float64).index_put_((i, j), w, accumulate=True)
    pull = torch.zeros(k, k, dtype=torch.float64).index_put_((i, j), w * off, accumulate=True)
    pull = pull.sum(1) - pull.sum(0)
    stiff = pairs + pairs.T
    laplacian = torch.diag(stiff.sum(1)) - stiff
    laplacian = laplacian + 1e-6 * stiff.mean().clamp_min(1e-12) * torch.eye(k, dtype=torch.float64)
    turns = torch.linalg.solve(laplacian, pull)
    left = off - (turns[i] - turns[j])
    variance = (w * left.square()).sum() / w.sum().clamp_min(1e-12)
    return turns, float((variance / 2).sqrt())  # of two frames, each as uncertain
