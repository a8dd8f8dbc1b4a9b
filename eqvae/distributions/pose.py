"""Laws over poses: mixtures of cells on the group, and the posterior of content and pose together.

A pose is a motion g: where the object is, which way it points and, with reflections, which hand it has.
A `PosePosterior` is

    q(g) = sum_k w_k N(log(g_k^-1 g); 0, S),      g = g_k exp(u) = (angle_k +- u_0, t_k + A_k (u_1, u_2)),

a mixture of Gaussians in small motions u of the object itself, with one covariance S for all cells of an
image. The noise stands on the right, so that moving the object moves the cells and nothing else:
q(h^-1 g) has the cells h g_k. It has as many modes as the object has symmetries, and is flat where the
image says nothing. Densities are with respect to the Haar measure d theta / 2 pi d x d y (and counting
measure of mass 1/2 each for the two hands): the uniform angle has density 1 and log density 0.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.gaussian import normal_log_prob, rows_of
from eqvae.symmetry.motions import compose, linear_part, retract
from eqvae.symmetry.representations import Representation

_WRAPS = (-2, -1, 0, 1, 2)  # of the circle: enough for standard deviations up to half a turn


@dataclass(frozen=True)
class PosePosterior:
    """q(g | x) for a batch of images.

    Attributes:
        cells: motions g_k, (B, K, 4), radians and pixels.
        log_weights: log w_k, normalised, (B, K).
        covariance: of the small motions (angle, x, y) in the object's frame, (B, 3, 3).
        reflections: whether both hands are possible.
    """

    cells: Tensor
    log_weights: Tensor
    covariance: Tensor
    reflections: bool = False

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def mode(self) -> Tensor:
        """The centre of the likeliest cell, (B, 4)."""
        best = self.log_weights.argmax(dim=1)
        return self.cells[torch.arange(len(best), device=best.device), best]

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws g, (B, 4); their cell is drawn, the motion within it is reparameterised."""
        cell = draw_cells(self.log_weights, generator)
        like = self.cells
        noise = torch.randn(len(cell), 3, generator=generator, dtype=like.dtype, device=like.device)
        return self.within(cell, noise)

    def within(self, cell: Tensor, noise: Tensor) -> Tensor:
        """g_k exp(S^(1/2) noise) for cells (B,) and standard normal noise (B, 3)."""
        centre = self.cells[torch.arange(len(cell), device=cell.device), cell]
        return retract(centre, (self._root @ noise[:, :, None])[:, :, 0])

    def log_prob(self, g: Tensor) -> Tensor:
        """log q(g) with respect to the Haar measure, nats, (B,)."""
        turn, shift = self._offsets(g)
        root = self._root
        wraps = (0,) if bool((self.angle_scale < 0.5).all()) else _WRAPS
        turn = turn[..., None] + turn.new_tensor(wraps) * (2 * math.pi)  # (B, K, W)
        shift = shift[:, :, None].expand(-1, -1, len(wraps), -1)
        small = torch.cat([turn[..., None], shift], dim=-1)[..., None]
        white = torch.linalg.solve_triangular(root[:, None, None], small, upper=False)[..., 0]
        log_det = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)[:, None]
        energy = (-0.5 * white.square().sum(dim=-1)).logsumexp(dim=-1)
        energy = energy - log_det - 1.5 * math.log(2 * math.pi)
        if self.reflections:
            same = (self.cells[..., 0] - g[:, None, 0]).abs() < 0.5
            energy = energy.masked_fill(~same, -torch.inf) + math.log(2)
        return (self.log_weights + energy).logsumexp(dim=1) + math.log(2 * math.pi)

    def angle_log_density(self, points: int = 360) -> Tensor:
        """log q(angle) with respect to d theta / 2 pi on the grid 2 pi j / points, nats, (B, points).

        Every value is the mean over the grid cell, so that it is right however narrow a mode is.
        """
        edges = (torch.arange(points + 1, dtype=torch.float64) - 0.5) * (2 * math.pi / points)
        edges = edges.to(self.cells.device)
        rows = []
        for part in _parts(self, 2**22 // (points * self.cells.shape[1]) + 1):
            angle = part.cells[..., 1].double() % (2 * math.pi)
            held = torch.zeros(len(angle), points, dtype=torch.float64, device=angle.device)
            width = part.angle_scale.double()
            for wrap in _WRAPS:
                distance = (edges + 2 * math.pi * wrap - angle[..., None]) / width[:, None, None]
                mass = torch.special.ndtr(distance).diff(dim=-1)
                held += (part.log_weights.double().exp()[..., None] * mass).sum(dim=1)
            rows.append(held)
        mass = torch.cat(rows)
        mass = mass / mass.sum(dim=1, keepdim=True)
        return (mass * points).clamp_min(1e-300).log()

    @property
    def angle_scale(self) -> Tensor:
        """Standard deviation of the angle within a cell, radians, (B,)."""
        return self.covariance[:, 0, 0].sqrt()

    @property
    def position_scale(self) -> Tensor:
        """Standard deviations of x and y over all cells, pixels, (B, 2)."""
        weight = self.log_weights.exp()[..., None]
        t = self.cells[..., 2:]
        mean = (weight * t).sum(dim=1, keepdim=True)
        between = (weight * (t - mean).square()).sum(dim=1)
        linear = linear_part(self.cells.flatten(0, 1)).unflatten(0, self.cells.shape[:2])
        rows = linear @ self.covariance[:, None, 1:, 1:]  # A S A^T, its diagonal only
        within = (weight * (rows * linear).sum(dim=-1)).sum(dim=1)
        return (between + within).sqrt()

    def credible_angles(self, level: float = 0.9, points: int = 720) -> Tensor:
        """The smallest set of angles that holds the mass `level`: how many degrees it takes, (B,)."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, such as 0.9; got {level}.")
        mass = self.angle_log_density(points).exp() / points
        held = mass.sort(dim=1, descending=True).values.cumsum(dim=1)
        whole = (held < level).sum(dim=1).clamp(max=points - 1)
        at = torch.arange(len(held), device=held.device)
        before = torch.where(whole > 0, held[at, (whole - 1).clamp(min=0)], 0.0)
        part = (level - before) / (held[at, whole] - before).clamp_min(1e-300)
        return (whole + part) * (360 / points)

    def symmetry_order(self, max_order: int = 8) -> Tensor:
        """k of the symmetry C_k that the posterior shows, 0 for any angle, (B,): see `eqvae.metrics`."""
        from eqvae.metrics.pose.symmetry_order import symmetry_order

        return torch.from_numpy(symmetry_order(self.angle_log_density().cpu(), max_order))

    def entropy(self, draws: int = 16, generator: torch.Generator | None = None) -> Tensor:
        """-E log q with respect to the Haar measure, nats, estimated from draws, (B,)."""
        values = [self.log_prob(self.sample(generator)) for _ in range(draws)]
        return -torch.stack(values).mean(dim=0)

    def act(self, g: Tensor) -> "PosePosterior":
        """The law of h g for g ~ q: cells h g_k, motions h (B, 4)."""
        count = self.cells.shape[1]
        many = g.to(self.cells).repeat_interleave(count, dim=0)
        return replace(
            self, cells=compose(many, self.cells.flatten(0, 1)).unflatten(0, (-1, count))
        )

    def recentred(self, shift: Tensor) -> "PosePosterior":
        """The law of g exp(shift): the same poses told of another point of the object, (B, 2) pixels.

        For shifts of about a pixel and less: that the angle's noise moves the new point is left out.
        """
        u = torch.nn.functional.pad(shift, (1, 0))[:, None].expand(-1, self.cells.shape[1], -1)
        return replace(self, cells=retract(self.cells, u))

    @property
    def _root(self) -> Tensor:
        return torch.linalg.cholesky(self.covariance)

    def _offsets(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The small motions from every cell to g: angles (B, K) and shifts (B, K, 2)."""
        sign = 1 - 2 * self.cells[..., 0]
        turn = sign * (g[:, None, 1] - self.cells[..., 1])
        turn = (turn + math.pi) % (2 * math.pi) - math.pi
        away = g[:, None, 2:] - self.cells[..., 2:]
        linear = linear_part(self.cells.flatten(0, 1)).unflatten(0, self.cells.shape[:2])
        return turn, (linear.mT @ away[..., None])[..., 0]


@dataclass(frozen=True)
class ContentPosterior:
    """q(c | x) = N(loc, diag(exp(2 log_scale))), each (B, m_0)."""

    loc: Tensor
    log_scale: Tensor

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        like = self.loc
        noise = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.loc + self.log_scale.exp() * noise

    def log_prob(self, c: Tensor) -> Tensor:
        return normal_log_prob(c, self.loc, self.log_scale.exp()).sum(dim=1)


@dataclass(frozen=True)
class PosedPosterior:
    """q(c, g | x) = q(c | x) q(g | x): content and pose, in the coordinates of a latent.

    A latent z = (t, c, [handedness,] u) holds the angle as a unit vector u in psi_1. Densities are with
    respect to dt dc and the Haar measure of the angle.

    Attributes:
        representation: of the latent.
        content: q(c | x).
        pose: q(g | x).
    """

    representation: Representation
    content: ContentPosterior
    pose: PosePosterior

    @property
    def mode(self) -> Tensor:
        """Mean content at the likeliest pose, (B, D)."""
        return to_latent(self.representation, self.content.loc, self.pose.mode)

    @property
    def position_scale(self) -> Tensor:
        return self.pose.position_scale

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        c = self.content.rsample(generator)
        return to_latent(self.representation, c, self.pose.sample(generator))

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x) in nats, (B,)."""
        content, g = from_latent(self.representation, z)
        return self.content.log_prob(content) + self.pose.log_prob(g)

    def act(self, g: Tensor) -> "PosedPosterior":
        return replace(self, pose=self.pose.act(g))

    def angle_log_density(self, copy: int = 0, points: int = 360) -> Tensor:
        """The law of the angle on a grid, see `PosePosterior.angle_log_density`."""
        return self.pose.angle_log_density(points)


def to_latent(representation: Representation, content: Tensor, g: Tensor) -> Tensor:
    """z = (t, c, [handedness,] cos angle, sin angle) from content (B, m_0) and motions (B, 4)."""
    parts = [g[:, 2:], content]
    if representation.sign:
        parts.append(1 - 2 * g[:, :1])
    return torch.cat([*parts, g[:, 1:2].cos(), g[:, 1:2].sin()], dim=1)


def from_latent(representation: Representation, z: Tensor) -> tuple[Tensor, Tensor]:
    """Content (B, m_0) and motions (B, 4) of latents (B, D)."""
    blocks = {block.name: z[:, block.slice] for block in representation.blocks}
    u = blocks["psi1"]
    mirror = (blocks["sign"] < 0).to(z) if representation.sign else torch.zeros_like(u[:, :1])
    angle = torch.atan2(u[:, 1:], u[:, :1])
    return blocks["psi0"], torch.cat([mirror, angle, blocks["position"]], dim=1)


def check_pose_latent(representation: Representation, reflections: bool) -> None:
    """Refuse latents that are not content and one pose.

    Raises:
        ValueError: if the latent is not position, psi_0, one psi_1 and, with reflections, one sign.
    """
    m = representation.multiplicities
    wanted = len(m) == 2 and m[0] >= 1 and m[1] == 1 and representation.position
    if not wanted or representation.sign != int(reflections):
        raise ValueError(
            f"representation must be a position, content and one frame, multiplicities=[m, 1] with "
            f"sign={int(reflections)}; got multiplicities={list(m)}, sign={representation.sign}, "
            f"position={representation.position}. Choose latent=pose"
            f"{' and set latent.sign=1' if reflections else ''}."
        )


def draw_cells(log_weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Cells drawn by their weights, (B,)."""
    cumulative = log_weights.exp().cumsum(dim=1)
    u = torch.rand(
        len(cumulative), 1, generator=generator, dtype=cumulative.dtype, device=cumulative.device
    )
    cell = torch.searchsorted(cumulative, u * cumulative[:, -1:])
    return cell[:, 0].clamp(max=cumulative.shape[1] - 1)


def _parts(posterior: PosePosterior, size: int) -> list[PosePosterior]:
    return [rows_of(posterior, slice(i, i + size)) for i in range(0, len(posterior), size)]
