"""Amortised pose posteriors: an equivariant network proposes poses, training makes the proposals good.

    attention   a weight for every bin of angle and shift and a small motion within it: many modes
    unimodal    one Gaussian about one angle and position: the baseline, which can't say "from two sides"

The network sees disk-harmonic coefficients and gives functions on the circle, which turn with the object, so
that q(g | h x) is the moved q(g | x). Unlike the exact search they work for any likelihood and cost no
search, and they need many training steps before they know anything.

References: Nasiri, Bepler: Unsupervised object representation learning using translation and rotation group
equivariant VAE (2022), https://arxiv.org/abs/2210.12918, section 3.2, for attention over bins.
"""

import math

import torch
from torch import Tensor

from eqvae.distributions import bounded
from eqvae.distributions.pose import PosePosterior
from eqvae.nn.fibre import FibreMLP, circle_functions, fibre_order
from eqvae.nn.harmonics import DiskHarmonics
from eqvae.pose.exact import shift_grid
from eqvae.pose.inference import PoseInference, PoseQuery, PoseScore, sampled_score
from eqvae.pose.space import View
from eqvae.symmetry.motions import motion, retract
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class AttentionPose(PoseInference):
    """Attention over bins of angle and shift, with a continuous motion within each.

    Args:
        harmonics: the basis that images are read in.
        angles: bins of the angle.
        reach, spacing: of the grid of shifts about the localiser's answer, in the object's frame, pixels.
        hidden: functions on the circle in each hidden layer.
        frequency: their band limit, which is also that of the attention over angles.
        draws: poses drawn for each image in training, >= 2.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        angles: int = 32,
        reach: float = 0.0,
        spacing: float = 1.0,
        hidden: int = 64,
        frequency: int = 8,
        draws: int = 4,
    ):
        super().__init__()
        offsets = shift_grid(reach, spacing)
        self.shifts = len(offsets)
        turning = self.shifts + 3  # logits of the shifts, and the motion within a bin: angle, x, y
        out_type = Representation((turning + 3, *[turning] * frequency), position=False)
        self.draws = checked_draws(draws)
        self.harmonics = harmonics
        self.network = proposal(harmonics, out_type, hidden, frequency)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("circle", circle_functions(frequency, angles), persistent=False)
        self.register_buffer("rows", fibre_order(out_type, frequency), persistent=False)
        turn = 2 * math.pi / angles
        self.register_buffer("bin_size", torch.tensor([turn, spacing, spacing]), persistent=False)

    def score(self, query: PoseQuery) -> PoseScore:
        return sampled_score(self.infer(query), query, self.draws)

    def infer(self, query: PoseQuery, *, fine: bool = True) -> PosePosterior:
        h = self.network(seen_by_irrep(query.view))
        h = torch.cat([h, h.new_zeros(h.shape[0], 1)], dim=1)[:, self.rows]  # (B, 2L + 1, C)
        on_circle = torch.einsum("nk,bkc->bcn", self.circle, h)
        logits = on_circle[:, : self.shifts]  # (B, J, N)
        within = on_circle[:, self.shifts : self.shifts + 3].tanh().mT * (0.5 * self.bin_size)
        log_scale = bounded(h[:, 0, -3:] - 1, -7.0, 1.0)
        scale = log_scale.exp() * self.bin_size

        count = self.circle.shape[0]
        angle = torch.arange(count, device=h.device) * (2 * math.pi / count)
        position = query.view.position.repeat_interleave(self.shifts * count, dim=0)
        centre = motion(angle.repeat(h.shape[0] * self.shifts), position, dtype=h.dtype)
        # a bin's shift and the motion within it both stand in the object's frame
        small = within[:, None] + torch.nn.functional.pad(self.offsets, (1, 0))[:, None]
        bins = retract(centre, small.flatten(0, 2))
        return PosePosterior(
            bins.unflatten(0, (h.shape[0], -1)),
            logits.flatten(1).log_softmax(dim=1),
            torch.diag_embed(scale.square()),
        )


class UnimodalPose(PoseInference):
    """One wrapped Gaussian about one angle and one position.

    Args:
        harmonics: the basis that images are read in.
        hidden, frequency: of the network, as for `AttentionPose`.
        draws: poses drawn for each image in training, >= 2.
    """

    def __init__(
        self,
        harmonics: DiskHarmonics,
        hidden: int = 64,
        frequency: int = 5,
        draws: int = 2,
    ):
        super().__init__()
        self.draws = checked_draws(draws)
        self.harmonics = harmonics
        out_type = Representation((3, 2), position=False)
        self.network = proposal(harmonics, out_type, hidden, frequency)

    def score(self, query: PoseQuery) -> PoseScore:
        return sampled_score(self.infer(query), query, self.draws)

    def infer(self, query: PoseQuery, *, fine: bool = True) -> PosePosterior:
        h = self.network(seen_by_irrep(query.view))
        scale = bounded(h[:, :3] - 1, -7.0, 1.0).exp()
        direction, correction = h[:, 3:5], 0.1 * h[:, 5:7]
        angle = torch.atan2(direction[:, 1], direction[:, 0])
        centre = motion(angle, query.view.position + correction, dtype=h.dtype)
        log_weights = torch.zeros_like(angle)[:, None]
        return PosePosterior(centre[:, None], log_weights, torch.diag_embed(scale.square()))


def proposal(
    harmonics: DiskHarmonics, out_type: Representation, hidden: int, frequency: int
) -> FibreMLP:
    """An equivariant network from what is seen to invariants, functions on the circle and vectors."""
    return FibreMLP(
        harmonics.representation,
        out_type,
        PlaneMotions.so2(),
        hidden,
        frequency,
        out_frequency=out_type.max_frequency,
    )


def seen_by_irrep(view: View) -> Tensor:
    """What a proposal reads of images, irrep by irrep, without the background."""
    space = view.space
    return space.harmonics.by_irrep(space.coefficients(view.coordinates))


def checked_draws(draws: int) -> int:
    """The number of draws, if they can be compared with one another."""
    if draws < 2:
        raise ValueError(f"draws must be at least 2, to compare one with the others; got {draws}.")
    return draws
