"""Random deformations of what the encoder sees in training, so that content is what they leave.

    ELBO of x with q(c | a x),   a = exp(sum_m u_m G_m),   u_m ~ N(0, s_m^2)

The decoder still has to explain x itself, for any a: content learns to tell apart what no small change of
size, slant, stroke or position tells apart. It is a bound on log p(x) like any other, with a posterior
that looks through a random lens; at test time the lens is taken away.

The matrices act on disk-harmonic coefficients; a bank of them is made once, each batch draws from it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from eqvae.nn.deformations import GENERATORS, generator_matrix
from eqvae.nn.harmonics import DiskHarmonics


class RandomDeformation(nn.Module):
    """Deforms coefficients (B, C, dim), each group of images by one matrix of a bank.

    Args:
        harmonics: the basis of the coefficients, that of the encoder.
        scales: standard deviations s_m by generator of `eqvae.nn.deformations`: "scale", "stretch",
            "shear" (relative), "shift_x", "shift_y" (pixels), "heat" (variance of a blur, or of its
            inverse, half as wide, pixels^2: thickness of strokes).
        bank: number of matrices.
        groups: matrices drawn for each batch.
        seed: of the bank.

    Raises:
        ValueError: if a generator is unknown, a standard deviation negative or nothing is to be drawn.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        scales: Mapping[str, float] | None = None,
        bank: int = 128,
        groups: int = 16,
        seed: int = 0,
    ):
        super().__init__()
        scales = {"scale": 0.15, "stretch": 0.15, "shear": 0.15} if scales is None else dict(scales)
        if not scales or bank < 1 or groups < 1:
            raise ValueError(
                f"scales must name a generator, bank and groups be at least 1; got {scales}, {bank}, "
                f"{groups}. Set model.deform=null for no deformation."
            )
        for name, scale in scales.items():
            if name not in GENERATORS or not scale >= 0:
                raise ValueError(
                    f"scales must give standard deviations >= 0 for {list(GENERATORS)}; got "
                    f"{name!r}: {scale}."
                )
        self.groups = groups
        matrices = deformation_bank(harmonics, scales, bank, seed)
        self.register_buffer("matrices", matrices, persistent=False)

    def forward(self, coefficients: Tensor) -> Tensor:
        """Deformed coefficients, of the same shape."""
        chosen = torch.randint(len(self.matrices), (self.groups,), device=coefficients.device)
        parts = coefficients.tensor_split(self.groups)
        return torch.cat([p @ self.matrices[k].T for p, k in zip(parts, chosen, strict=True)])


def deformation_bank(
    harmonics: DiskHarmonics, scales: Mapping[str, float], count: int, seed: int
) -> Tensor:
    """Matrices exp(sum_m u_m G_m) with u_m ~ N(0, s_m^2), (count, dim, dim)."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor(list(scales.values()), dtype=torch.get_default_dtype())
    generators = torch.stack([generator_matrix(harmonics, name) for name in scales]).to(size)
    u = torch.randn(count, len(size), generator=generator) * size
    if "heat" in scales:  # the inverse of a blur raises the finest detail: half as far that way
        heat = list(scales).index("heat")
        u[:, heat] = torch.where(u[:, heat] < 0, 0.5 * u[:, heat], u[:, heat])
    return torch.stack([torch.matrix_exp(torch.einsum("m,mij->ij", row, generators)) for row in u])
