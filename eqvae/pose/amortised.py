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
from eqvae.distributions.pose_prior import PosePrior
from eqvae.nn.fibre import FibreMLP, circle_functions, fibre_order
from eqvae.nn.harmonic import channel_order, image_type
from eqvae.nn.harmonics import fitted_harmonics
from eqvae.pose.exact import shift_grid
from eqvae.pose.inference import PoseInference, PoseScore, sampled_score
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import View
from eqvae.symmetry.motions import retract
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Representation


class _Proposal(PoseInference):
    """An equivariant network from a view to invariants, functions on the circle and vectors."""

    def __init__(
        self,
        out_type: Representation,
        image_size: int,
        channels: int,
        degree: int,
        radius: float | None,
        hidden: int,
        frequency: int,
        draws: int,
    ):
        super().__init__()
        if draws < 2:
            raise ValueError(
                f"draws must be at least 2, to compare one with the others; got {draws}."
            )
        harmonics = fitted_harmonics(image_size, degree, radius)
        self.draws = draws
        self.network = FibreMLP(
            image_type(harmonics, channels),
            out_type,
            PlaneMotions.so2(),
            hidden,
            frequency,
            out_frequency=out_type.max_frequency,
        )
        order = channel_order(harmonics, channels)
        self.register_buffer("order", order, persistent=False)

    def propose(self, view: View) -> Tensor:
        coefficients = view.space.coefficients(view.coordinates).flatten(1)
        return self.network(coefficients[:, self.order])

    def score(
        self, view: View, template: Tensor, likelihood: TemplateLikelihood, prior: PosePrior
    ) -> PoseScore:
        posterior = self.infer(view, template, likelihood, prior)
        return sampled_score(posterior, view, template, likelihood, prior, self.draws)


class AttentionPose(_Proposal):
    """Attention over bins of angle and shift, with a continuous motion within each.

    Args:
        image_size, channels, degree, radius: of the images and the basis, as for the encoder.
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
        image_size: int,
        channels: int = 1,
        degree: int = 22,
        radius: float | None = None,
        angles: int = 32,
        reach: float = 0.0,
        spacing: float = 1.0,
        hidden: int = 64,
        frequency: int = 8,
        draws: int = 4,
    ):
        offsets = shift_grid(reach, spacing)
        shifts = len(offsets)
        turning = shifts + 3  # logits of the shifts, and the motion within a bin: angle, x, y
        out_type = Representation((turning + 3, *[turning] * frequency), position=False)
        super().__init__(out_type, image_size, channels, degree, radius, hidden, frequency, draws)
        self.shifts = shifts
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("circle", circle_functions(frequency, angles), persistent=False)
        self.register_buffer("rows", fibre_order(out_type, frequency), persistent=False)
        turn = 2 * math.pi / angles
        self.register_buffer("bin_size", torch.tensor([turn, spacing, spacing]), persistent=False)

    def infer(
        self,
        view: View,
        template: Tensor,
        likelihood: TemplateLikelihood,
        prior: PosePrior,
        *,
        fine: bool = True,
    ) -> PosePosterior:
        h = self.propose(view)
        h = torch.cat([h, h.new_zeros(len(h), 1)], dim=1)[:, self.rows]  # (B, 2L + 1, C)
        on_circle = torch.einsum("nk,bkc->bcn", self.circle, h)
        logits = on_circle[:, : self.shifts]  # (B, J, N)
        within = on_circle[:, self.shifts : self.shifts + 3].tanh().mT * (0.5 * self.bin_size)
        log_scale = bounded(h[:, 0, -3:] - 1, -7.0, 1.0)
        scale = log_scale.exp() * self.bin_size

        count = self.circle.shape[0]
        angle = torch.arange(count, device=h.device) * (2 * math.pi / count)
        centre = torch.zeros(len(h), self.shifts, count, 4, device=h.device, dtype=h.dtype)
        centre[..., 1] = angle
        centre[..., 2:] = view.position[:, None, None]
        # a bin's shift and the motion within it both stand in the object's frame
        small = within[:, None].expand(-1, self.shifts, -1, -1).clone()
        small = small + torch.nn.functional.pad(self.offsets, (1, 0))[:, None]
        bins = retract(centre, small)
        return PosePosterior(
            bins.flatten(1, 2),
            logits.flatten(1).log_softmax(dim=1),
            torch.diag_embed(scale.square()),
        )


class UnimodalPose(_Proposal):
    """One wrapped Gaussian about one angle and one position.

    Args:
        image_size, channels, degree, radius: of the images and the basis, as for the encoder.
        hidden, frequency: of the network, as for `AttentionPose`.
        draws: poses drawn for each image in training, >= 2.
    """

    def __init__(
        self,
        image_size: int,
        channels: int = 1,
        degree: int = 22,
        radius: float | None = None,
        hidden: int = 64,
        frequency: int = 5,
        draws: int = 2,
    ):
        out_type = Representation((3, 2), position=False)
        super().__init__(out_type, image_size, channels, degree, radius, hidden, frequency, draws)

    def infer(
        self,
        view: View,
        template: Tensor,
        likelihood: TemplateLikelihood,
        prior: PosePrior,
        *,
        fine: bool = True,
    ) -> PosePosterior:
        h = self.propose(view)
        scale = bounded(h[:, :3] - 1, -7.0, 1.0).exp()
        direction, correction = h[:, 3:5], 0.1 * h[:, 5:7]
        angle = torch.atan2(direction[:, 1], direction[:, 0])
        centre = torch.cat(
            [torch.zeros_like(angle)[:, None], angle[:, None], view.position + correction], dim=1
        )
        log_weights = torch.zeros_like(angle)[:, None]
        return PosePosterior(centre[:, None], log_weights, torch.diag_embed(scale.square()))
