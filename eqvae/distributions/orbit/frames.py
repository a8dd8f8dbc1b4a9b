"""One frame for all components: turns after which those that explain the same latents agree on their pose.

What "upright" means is free for each component. A latent v that component i explains at the turn h_i and
component j, less well, at h_j votes for frames with f_i h_i^-1 = f_j h_j^-1: whichever of the two is asked,
the answer should be the same. Of all latents,

    c_ij(h) = sum_n w_ni w_nj [h_j^-1 h_i = h],      w_nk ~ max_h p(v, k, h)^beta,

and frames f_i are sought that make sum_ij c_ij(f_j^-1 f_i) large. Components with a symmetry are voted for
at several turns, every one of them right. Components are merged from the most voted for on, two groups of
them by the turn that all their pairs together like best; then each looks once more, and the mean of the
votes near by says what is finer than the grid.

Between unlike objects "the same angle" is a convention: a whirl and a larger whirl overlap best at another
turn than the one at which their arms point the same way. So frames that the votes find right to a step of
the grid stay as they are, and by how much votes without a grid would turn them further says how well defined
an angle is among the components of a kind.

Reference: Singer, Angular synchronization by eigenvectors and semidefinite programming (2011), for the
problem; average linkage decides here, since wrong turns of single pairs are then outvoted.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqvae.distributions.orbit.kernel import parabola
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import OrbitMixture
from eqvae.symmetry.group import Group
from eqvae.symmetry.motions import angle_of, compose, motion, reflection_of

_ANGLES = 120  # of the grid of votes
_LATENTS = 8000  # that vote, at most
_BETA = 0.1  # a component that explains a latent by 10 nats less votes with 1/e of the weight
_VOTERS = 6  # components of each latent
_SMOOTH = math.radians(8.0)  # votes so far apart still support each other
NEAR = math.radians(20.0)  # votes whose mean is finer than the grid
_SWEEPS = 10
_WALK = 128  # steps between components that explain the same latents: to all of their kind


@dataclass(frozen=True)
class Ballot:
    """Votes between pairs of components.

    Attributes:
        first, second: components i and j of each vote, (V,).
        element: h_j^-1 h_i, index into the grid, (V,).
        weight: w_i w_j, (V,).
        finer: by what angle h_j^-1 h_i is off the grid's element, radians, (V,).
    """

    first: Tensor
    second: Tensor
    element: Tensor
    weight: Tensor
    finer: Tensor


@torch.no_grad()
def align_frames(
    mixture: OrbitMixture, latents: Latents, seed: int = 0, log_p: Tensor | None = None
) -> Tensor:
    """Turn the frames of the components so that poses can be compared between them; p(v) stays as it is.

    Also notes how often each two components explain the same latents, `OrbitMixture.overlap`, and how far
    their frames still differ, `OrbitMixture.frame_scale`.

    Args:
        mixture: changed in place.
        latents: that vote.
        seed: of their draws.
        log_p: how well each component explains each latent, nats, (N, K); None asks the mixture.

    Returns:
        The turns of the frames, motions (K, 4).
    """
    group = mixture.symmetry
    still = group.identity(mixture.components).to(mixture.loc)
    if mixture.components < 2:
        return still
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
        return still
    found = synchronise(counted @ _kernel(group, grid), table)
    h = grid[found].to(v)
    if not group.is_finite:
        coarse, finer, weight = _left_over(ballot, found, table, grid)
        turns = _least_squares(ballot, coarse, weight, len(found))
        h = compose(motion(turns).to(v), h)
        left = coarse + finer - (turns[ballot.first] - turns[ballot.second])
        further = _least_squares(ballot, left, weight, len(found))
        near = alike(overlap)
        spread = near @ further.square() - (near @ further).square()
        mixture.frame_scale.copy_(spread.clamp_min(0).sqrt().to(mixture.frame_scale))
    turn_frames(mixture, h)
    return h


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
    reflected = reflection_of(mixture.grid(_ANGLES))
    found, first = [], 0
    for part, joint in mixture.parts(v, _ANGLES):
        best, element = joint.max(0)
        finer = _to_peak(mixture, joint, element).cpu()
        best, element = best.cpu(), element.cpu()
        if log_p is not None:
            best = log_p[first : first + len(part)].cpu()
        first += len(part)
        weight, k = (_BETA * (best - best.amax(1, keepdim=True))).exp().topk(voters, 1)
        weight, h = weight / weight.sum(1, keepdim=True), element.gather(1, k)
        finer = finer.gather(1, k)
        i, j = (~torch.eye(voters, dtype=torch.bool)).nonzero().T
        between = table[inverse[h[:, j]], h[:, i]]
        # seen from a mirrored frame turns go the other way
        off = (finer[:, i] - finer[:, j]) * (1 - 2 * reflected[h[:, j]])
        found.append((k[:, i], k[:, j], between, weight[:, i] * weight[:, j], off))
    return Ballot(*(torch.cat([f.flatten() for f in part]) for part in zip(*found, strict=True)))


def _to_peak(mixture: OrbitMixture, joint: Tensor, element: Tensor) -> Tensor:
    """From the best elements (B, K) of a grid to the tops of log p(v, k, h) about them, radians, (B, K)."""
    if mixture.symmetry.is_finite or mixture.is_trivial:
        return torch.zeros_like(joint[0])
    chirality, at = element // _ANGLES, element % _ANGLES
    beside = (chirality * _ANGLES + (at + step) % _ANGLES for step in (-1, 0, 1))
    around = [joint.gather(0, e[None])[0] for e in beside]
    return parabola(*around) * (2 * math.pi / _ANGLES)


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


def _left_over(
    ballot: Ballot, found: Tensor, table: Tensor, grid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Angles from f_j^-1 f_i to each vote, radians: on the grid, what is finer; and the weights, (V,)."""
    agreed = grid[table[inverses(table)[found[ballot.second]], found[ballot.first]]]
    asked = grid[ballot.element]
    off = angle_of(asked) - angle_of(agreed)
    off = (off + math.pi) % (2 * math.pi) - math.pi
    weight = ballot.weight.double() * (off.abs() < NEAR)
    weight = weight * (reflection_of(asked) == reflection_of(agreed))
    # a mirrored frame sees turns the other way
    seen = 1 - 2 * reflection_of(grid[found[ballot.second]])
    return off * seen, ballot.finer * seen, weight


def _least_squares(ballot: Ballot, off: Tensor, weight: Tensor, components: int) -> Tensor:
    """Angles a_i with the least sum of w (a_i - a_j - off)^2, radians, (K,): a Laplacian system."""
    k, i, j = components, ballot.first, ballot.second
    pairs = torch.zeros(k, k, dtype=torch.float64).index_put_((i, j), weight, accumulate=True)
    pull = torch.zeros_like(pairs).index_put_((i, j), weight * off, accumulate=True)
    pull = pull.sum(1) - pull.sum(0)
    stiff = pairs + pairs.T
    laplacian = torch.diag(stiff.sum(1)) - stiff
    laplacian = laplacian + 1e-6 * stiff.mean().clamp_min(1e-12) * torch.eye(k, dtype=torch.float64)
    return torch.linalg.solve(laplacian, pull)


def alike(overlap: Tensor) -> Tensor:
    """How much each component has to do with those of its kind, (K, K): rows add up to one."""
    near = overlap + overlap.T
    near = near + torch.diag(near.sum(1).clamp_min(1e-12))
    return torch.linalg.matrix_power(near / near.sum(1, keepdim=True), _WALK)
