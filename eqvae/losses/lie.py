"""Soft symmetry at the identity: the Lie derivative of the encoder, which an equivariant one does not have.

    L_X E (x) = d/ds rho(exp(s X))^-1 E(exp(s X) x)  at s = 0

References: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance (2022),
https://arxiv.org/abs/2210.02984, there to measure.
"""

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.losses.equivariance import EquivariancePenalty
from eqvae.models.model import Model
from eqvae.models.vae import LatentELBO
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
        if not isinstance(symmetry, PlaneMotions):
            raise ValueError(
                f"symmetry must be of the plane for a Lie derivative; got {symmetry.name}. Use "
                "EncoderPenalty or DecoderPenalty for structures."
            )
        if symmetry.is_finite:
            raise ValueError(
                f"symmetry must be SO(2) or O(2) for a Lie derivative; got {symmetry.name}. Use "
                "EncoderPenalty for a finite group."
            )
        self.step = step

    def draw(self, x: Tensor) -> Tensor:
        """Motions along one combination of the generators for each image, their lengths `step`."""
        generators = self.symmetry.generators().values()
        unit = torch.tensor([self.shift if X.unit == "px" else 1.0 for X in generators])
        directions = torch.tensor([X.direction for X in generators]) * unit[:, None]
        sign = (2 * torch.randint(2, (len(x), len(directions))) - 1).to(x.dtype)
        return self.symmetry.exp(self.step * sign @ directions.to(x.dtype))

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        g, act = self.draw(batch.image), model.representation.act
        back = self.symmetry.inverse(g)
        modes = [model.encode(self.moved(h, batch, model)).mode for h in (g, back)]
        g, back = g.to(modes[0]), back.to(modes[0])
        ahead, behind = (act(u, z) for u, z in zip((back, g), modes, strict=True))
        derivative = (ahead - behind) / (2 * self.step)
        z = (0.5 * (ahead + behind)).detach()
        velocity = (act(g, z) - act(back, z)) / (2 * self.step)
        total = z.new_zeros(())
        for block in model.representation.blocks:
            size = (z.square() + velocity.square())[:, block.slice].mean()
            total = total + derivative[:, block.slice].square().mean() / (size + 1e-6)
        return total
