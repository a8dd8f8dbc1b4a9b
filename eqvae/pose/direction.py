"""A law on the circle of directions whose natural parameters are irreps: equivariant by construction.

    q(theta) = exp( sum_l eta_l . e_l(theta) - A(eta) ),      e_l(theta) = (cos l theta, sin l theta)

with one vector eta_l of frequency l for each l. Turning the object turns eta_l by l times the angle and
with it the law. It has as many modes as it needs: an object of symmetry C_n leaves only eta_n, eta_2n, ...
and gets n equal modes; eta = 0, an isotropic object, gives the uniform law, without any discontinuity.
eta_1 alone is the von Mises law with concentration |eta_1|.

Densities are with respect to the Haar measure d theta / 2 pi, so that the uniform law has density 1 and
log density 0. The normaliser is a sum over a grid, exact to rounding while no mode is narrower than about
a grid cell: 512 points hold standard deviations down to 1 degree.

References: Mardia, Jupp, Directional Statistics (2000), section 3.5.4 (generalised von Mises).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class DirectionPosterior:
    """q(theta) for a batch of objects.

    Attributes:
        eta: natural parameters, (B, L, 2), row l - 1 for frequency l.
        points: size of the grid.
    """

    eta: Tensor
    points: int = 512

    @cached_property
    def grid(self) -> Tensor:
        """Angles of the grid, radians, (points,)."""
        index = torch.arange(self.points, dtype=self.eta.dtype, device=self.eta.device)
        return index * (2 * math.pi / self.points)

    @cached_property
    def log_density(self) -> Tensor:
        """log q on the grid with respect to the Haar measure, nats, (B, points)."""
        energy = self._energy(self.grid.expand(len(self.eta), -1))
        return energy - self.log_normaliser[:, None]

    @cached_property
    def log_normaliser(self) -> Tensor:
        """A(eta) = log of the mean of exp(sum_l eta_l . e_l) over the circle, (B,)."""
        energy = self._energy(self.grid.expand(len(self.eta), -1))
        return energy.logsumexp(dim=1) - math.log(self.points)

    @property
    def mode(self) -> Tensor:
        """The likeliest grid angle, radians, (B,)."""
        return self.grid[self.log_density.argmax(dim=1)]

    def log_prob(self, theta: Tensor) -> Tensor:
        """log q(theta) with respect to the Haar measure, nats, for angles (B,)."""
        return self._energy(theta[:, None])[:, 0] - self.log_normaliser

    def kl_to_uniform(self) -> Tensor:
        """KL(q || uniform) in nats, (B,); >= 0, and 0 at eta = 0."""
        return (self.log_density.exp() * self.log_density).mean(dim=1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws (B,) by inverting the cumulative law, linear within a grid cell; radians."""
        mass = self.log_density.exp() / self.points
        cumulative = mass.cumsum(dim=1)
        u = torch.rand(len(mass), 1, generator=generator, dtype=mass.dtype).to(mass.device)
        u = u * cumulative[:, -1:]
        cell = torch.searchsorted(cumulative, u).clamp_max(self.points - 1)
        before = cumulative.gather(1, cell) - mass.gather(1, cell)
        within = ((u - before) / mass.gather(1, cell).clamp_min(1e-30)).clamp(0, 1)
        # a cell is centred on its grid point
        return ((cell + within - 0.5) * (2 * math.pi / self.points))[:, 0] % (2 * math.pi)

    def act(self, g: Tensor) -> "DirectionPosterior":
        """The law of g theta = angle + theta, or angle - theta under a mirror; g (B, 4)."""
        order = torch.arange(1, self.eta.shape[1] + 1, dtype=g.dtype, device=g.device)
        cos, sin = torch.cos(order * g[:, 1:2]), torch.sin(order * g[:, 1:2])
        re, im = self.eta[..., 0], (1 - 2 * g[:, :1]) * self.eta[..., 1]
        return DirectionPosterior(
            torch.stack([cos * re - sin * im, sin * re + cos * im], dim=2), self.points
        )

    def _energy(self, theta: Tensor) -> Tensor:
        """sum_l eta_l . e_l(theta) for angles (B, P): (B, P)."""
        order = torch.arange(1, self.eta.shape[1] + 1, dtype=theta.dtype, device=theta.device)
        angle = theta[:, :, None] * order  # (B, P, L)
        return torch.einsum("bpl,bl->bp", angle.cos(), self.eta[..., 0]) + torch.einsum(
            "bpl,bl->bp", angle.sin(), self.eta[..., 1]
        )
