"""Soft symmetry at the identity: the Lie derivative of the encoder, which an equivariant one does not have.

    L_X E (x) = d/ds rho(exp(s X))^-1 E(exp(s X) x)  at s = 0

References: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance (2022),
https://arxiv.org/abs/2210.02984, there to measure.
"""

import torch
from torch import Tensor

from eqvae.domains.square import act_on_image
from eqvae.losses.equivariance import EquivariancePenalty
from eqvae.models.vae import VAE, VAEOutput
from eqvae.symmetry.motions import inverse, motion
from eqvae.symmetry.plane import PlaneMotions


class LiePenalty(EquivariancePenalty):
    """sum_X |L_X E|^2 for the turn by a radian and both shifts by `shift`, relative to the latent's size.

    Every image draws X = +-turn +-x +-y; the mean of |L_X E|^2 over the signs is the sum over the three
    (Hutchinson). The derivative is a central difference of motions by `step`: two passes of the
    encoder. Each block is relative to the mean square of its means and of their velocity under the law.

    Args:
        symmetry: SO(2) or O(2), whose mirrors it does not see; a finite group has no derivative.
        shift: length of one unit of shift, pixels.
        interpolation: "fourier", whose derivative is exact on band-limited images; that of
            "bicubic", a = -3/4, is 3/2 of it.
        step: s, in units of X.

    Raises:
        ValueError: if the symmetry is finite.
    """

    def __init__(
        self,
        symmetry: PlaneMotions = PlaneMotions.so2(),
        shift: float = 2.0,
        interpolation: str = "fourier",
        step: float = 0.05,
    ):
        super().__init__(symmetry, shift, interpolation)
        if symmetry.is_finite:
            raise ValueError(
                f"symmetry must be SO(2) or O(2) for a Lie derivative; got {symmetry.name}. Use "
                "EncoderPenalty for a finite group."
            )
        self.step = step

    def draw(self, x: Tensor) -> Tensor:
        """Motions along one combination of the generators for each image."""
        sign = self.step * (2 * torch.randint(2, (len(x), 3)) - 1).to(x)
        return motion(sign[:, 0], self.shift * sign[:, 1:], dtype=x.dtype)

    def forward(self, vae: VAE, x: Tensor, output: VAEOutput) -> Tensor:
        g, act = self.draw(x), vae.representation.act
        ahead, behind = (
            act(inverse(h), vae.encode(act_on_image(h, x, self.interpolation)).mode)
            for h in (g, -g)
        )
        derivative = (ahead - behind) / (2 * self.step)
        z = (0.5 * (ahead + behind)).detach()
        velocity = (act(g, z) - act(-g, z)) / (2 * self.step)
        total = x.new_zeros(())
        for block in vae.representation.blocks:
            size = (z.square() + velocity.square())[:, block.slice].mean()
            total = total + derivative[:, block.slice].square().mean() / (size + 1e-6)
        return total
