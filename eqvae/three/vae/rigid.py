"""Points of a rigid body with Gaussian noise: the likelihood of its shape, its pose summed out exactly.

    x_i = R D_i + t + noise,    noise ~ N(0, sigma^2),    R ~ Haar on SO(3),    t ~ N(0, tau^2)

With the template D about its centroid, xbar the centroid of x, and y = x - xbar,

    log p(x | D) = log N(y | R^ D) + log[c(F) exp(-tr F^T R^)] + log N(xbar; 0, tau^2 + sigma^2 / N),
    F = sum_i y_i D_i^T / sigma^2,    R^ the mode of exp(tr F^T R), Kabsch's rotation

where N(y | ...) lacks the three dimensions of the centroid. The posterior of R is matrix Fisher (see
`matrix_fisher`), that of t a Gaussian that does not depend on R. Where atoms can't be told apart, x may be D
in any of P orders: log p is then the mean over them, and the posterior of the pose has a mode for each.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.three.vae.matrix_fisher import Concentration
from eqvae.three.vae.pose import SpacePosePosterior

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class RigidMarginal:
    """log p(x | D) with the pose summed out, and the pose.

    Attributes:
        log_prob: log p(x | D), nats, float64, (B,).
        pose: p(g | x, D).
        pose_kl: KL of pose and order of the atoms to their prior, nats, without a gradient, (B,).
        squared_error: |x - g D|^2 at the likeliest pose, (B,).
    """

    log_prob: Tensor
    pose: SpacePosePosterior
    pose_kl: Tensor
    squared_error: Tensor


class RigidLikelihood(nn.Module):
    """p(x | D, g) = N(x; g D, variance), the same variance for every coordinate.

    Args:
        variance: sigma^2, Angstrom^2.
        learnable: whether sigma^2 is trained with the rest.
        rate: of its training, times that of other weights.

    Raises:
        ValueError: if variance or rate is not positive.
    """

    def __init__(self, variance: float = 1.0, learnable: bool = True, rate: float = 3.0):
        super().__init__()
        if not variance > 0 or not math.isfinite(variance):
            raise ValueError(f"variance must be positive (Angstrom^2); got {variance}.")
        if not rate > 0:
            raise ValueError(f"rate must be positive; got {rate}.")
        self.rate = rate
        start = torch.tensor(math.log(variance) / rate)
        if learnable:
            self.slow_log_variance = nn.Parameter(start)
        else:
            self.register_buffer("slow_log_variance", start)

    @property
    def log_variance(self) -> Tensor:
        return self.rate * self.slow_log_variance

    @property
    def variance(self) -> Tensor:
        return self.log_variance.exp()

    def mean(self, decoded: Tensor) -> Tensor:
        """The mean structure of what the decoder gives."""
        return decoded

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x | z) at a known pose, nats, (B,)."""
        squared = (x - decoded).square().flatten(1).sum(dim=1)
        return self.constant(x) - squared / (2 * self.variance)

    def constant(self, x: Tensor) -> Tensor:
        """log p of a perfect reconstruction, nats."""
        return -0.5 * x[0].numel() * (_LOG_2PI + self.log_variance)

    def marginal(self, orders: Tensor, template: Tensor, position_scale: float) -> RigidMarginal:
        """The likelihood of shapes with the pose summed out.

        Args:
            orders: structures with their atoms in each of P equally right orders, (B, P, N, 3).
            template: D about its centroid, (B, N, 3).
            position_scale: tau, Angstrom.
        """
        place = orders[:, 0].mean(dim=1)
        y, variance = orders - place[:, None, None], self.variance.double()
        f = torch.einsum("bpni,bnj->bpij", y.double(), template.double()) / variance
        turning = Concentration.of(f)
        turns = turning.svd.mode.to(y)  # R^ is stationary: its gradient would be 0
        rest = y - torch.einsum("bpij,bnj->bpni", turns, template)
        squared = rest.double().square().sum(dim=(2, 3))
        each = turning.log_width - squared / (2 * variance)
        log_orders = math.log(each.shape[1])
        log_shape = each.logsumexp(dim=1) - log_orders
        n, tau2 = y.shape[2], position_scale**2
        spread = tau2 + variance / n
        log_place = -1.5 * (_LOG_2PI + spread.log()) - place.double().square().sum(1) / (2 * spread)
        free = -1.5 * (n - 1) * (_LOG_2PI + variance.log()) - 1.5 * math.log(n)
        log_prob = free + log_shape + log_place
        with torch.no_grad():
            kept = tau2 / spread
            pose = SpacePosePosterior(
                concentration=f,
                log_weights=(each - log_shape[:, None] - log_orders),
                shift=(kept * place.double()),
                shift_scale=(kept * variance / n).sqrt().expand(len(y)),
            )
            cost = squared / (2 * variance) - (turning.svd.s * turning.mean_axes).sum(dim=2)
            away = ((1 - kept) * place.double()).square().sum(1)
            cost = (pose.log_weights.exp() * cost).sum(1) + n / (2 * variance) * away + 1.5 * kept
            expected = -1.5 * n * (_LOG_2PI + variance.log()) - cost
            best = (pose.log_weights - turning.log_width).argmax(dim=1, keepdim=True)
            error = squared.gather(1, best)[:, 0] + n * away
        return RigidMarginal(log_prob, pose, expected - log_prob, error)
