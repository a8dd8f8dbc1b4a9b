"""Pose by exact correlation: all angles by one transform over frequency, shifts on a grid, no network.

With the template's coordinates d and the image's coordinates a about a position,

    log p(x | c, theta) = -(|x|^2 + |d|^2 - 2 Re sum_l e^{i l theta} <a_l, d_l>) / (2 sigma^2) + const

for all angles is one small product, so the posterior over poses is found by search: no local optimum, as
many modes as the object has symmetries, uniform where there is nothing. Within a bin of the search the
image is linear in the small motion u of the object, so each bin is a Gaussian integral,

    q(g) = sum_k w_k N(u; m_k, S),    log w_k = log p(bin k) + log int N(u; 0, W^2) p(x | c, g_k exp(u)) du,

with the tangents of angle and position beside those of the nuisances. The bins' windows N(u; 0, W^2)
overlap so that they sum to a constant: 0.6 of the spacing ripples by less than 1e-3.

log p(x | c) = logsumexp_k log w_k marginalises the pose and is what training maximises.

Reference: what classical particle alignment does by rotational correlation, such as Penczek, Radermacher,
Frank: Three-dimensional reconstruction of single particles (1992), here with gradients and posteriors.
"""

import math

import torch
from torch import Tensor

from eqvae.distributions.pose import PosePosterior
from eqvae.pose.inference import PoseInference, PoseQuery, PoseScore
from eqvae.pose.likelihood import TangentFit, fit_tangents, seen, with_tangents
from eqvae.symmetry.motions import motion, retract

_POSE = ("angle", "shift_x", "shift_y")
_WINDOW = 0.6  # of the spacing of bins


class ExactPose(PoseInference):
    """The pose posterior by search over bins of angle and shift.

    Args:
        angles: bins of the angle in training.
        fine_angles: bins of the angle when poses are asked for.
        reach: shifts up to this far from the localiser's answer are searched, pixels; 0 trusts it to
            within about a pixel, which the tangents then mend.
        spacing: of the shifts, pixels; also how far within a bin a shift is linear.
        reflections: whether mirror images are the same object.
        kept: likeliest bins that a posterior keeps.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        angles: int = 64,
        fine_angles: int = 256,
        reach: float = 0.0,
        spacing: float = 1.0,
        reflections: bool = False,
        kept: int = 512,
    ):
        super().__init__()
        for name, value, least in (("angles", angles, 8), ("fine_angles", fine_angles, 8)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}.")
        if reach < 0 or not spacing > 0 or kept < 1:
            raise ValueError(
                "reach must be >= 0 and spacing > 0 (pixels), kept >= 1; got "
                f"{reach}, {spacing}, {kept}."
            )
        self.angles = angles
        self.fine_angles = fine_angles
        self.spacing = spacing
        self.reflections = reflections
        self.kept = kept
        self.register_buffer("offsets", shift_grid(reach, spacing), persistent=False)

    def infer(self, query: PoseQuery, *, fine: bool = True) -> PosePosterior:
        angles = self.fine_angles if fine else self.angles
        bins, fit, log_joint = self._search(query, angles)
        small, nuisances = fit.mean[:, :3], query.likelihood.nuisances
        if "intensity" in nuisances:  # the tangents of a brighter object are longer
            at = len(_POSE) + nuisances.index("intensity")
            small = small / (1 + fit.mean[:, at : at + 1]).clamp_min(0.2)
        moved = retract(bins, small.flatten(2).mT)
        log_weights = log_joint.log_softmax(dim=1)
        if log_weights.shape[1] > self.kept:
            log_weights, best = fewer_bins(log_weights, self.kept, angles, self.chiralities)
            moved = moved.gather(1, best[:, :, None].expand(-1, -1, 4))
        covariance = fit.covariance[:, :3, :3]
        return PosePosterior(moved, log_weights, covariance, self.reflections)

    def score(self, query: PoseQuery) -> PoseScore:
        _, fit, log_joint = self._search(query, self.angles)
        evidence = log_joint.logsumexp(dim=1)
        weight = (log_joint - evidence[:, None]).exp()
        expected = (weight * fit.expected.flatten(1)).sum(dim=1)
        return PoseScore(log_likelihood=expected, kl=expected - evidence)

    @property
    def chiralities(self) -> int:
        """2 with mirror images, else 1."""
        return 1 + int(self.reflections)

    def _search(self, query: PoseQuery, angles: int) -> tuple[Tensor, TangentFit, Tensor]:
        """Bins (B, K, 4), what fits in each, and log p(x, bin | c), (B, K)."""
        view, likelihood = query.view, query.likelihood
        space = view.space
        positions = view.position[:, None] + self.offsets  # (B, J, 2)
        if len(self.offsets) == 1:
            seen_from = view.coordinates[:, None]
        else:
            seen_from = space.analyse(view.image, positions)
        if self.reflections:
            seen_from = torch.cat([seen_from, space.mirror(seen_from)], dim=1)
        names = (*_POSE, *likelihood.nuisances)
        stack = seen(view, with_tangents(space, query.template, names), names)
        scales = torch.cat([self._windows(angles).to(likelihood.scales), likelihood.scales])
        correlation = space.correlate(stack[:, :, None], seen_from[:, None], angles)
        fit = fit_tangents(view, stack, correlation, scales, likelihood.variance)
        bins = self._bins(positions, angles)
        log_bin = query.prior.log_prob(bins) + self._log_volume()
        log_bin = log_bin - math.log(angles * self.chiralities)
        return bins, fit, fit.log_prob.flatten(1) + log_bin

    def _bins(self, positions: Tensor, angles: int) -> Tensor:
        """Centres of the bins about positions (B, J, 2), ordered (chirality, shift, angle): (B, K, 4)."""
        # <R_theta F d, a> = <R_-theta d, F a>: mirrored views are at minus the angle
        angle = torch.arange(angles, device=positions.device) * (2 * math.pi / angles)
        mirrored = torch.arange(self.chiralities, device=positions.device)
        mirrored = mirrored.repeat_interleave(positions.shape[1])[:, None].to(angle)  # (V, 1)
        turned = (1 - 2 * mirrored) * angle  # (V, N)
        shift = positions.repeat(1, self.chiralities, 1)[:, :, None]  # (B, V, 1, 2)
        shape = (positions.shape[0], *turned.shape)
        g = motion(
            turned.expand(shape).flatten(),
            shift.expand(*shape, 2).reshape(-1, 2),
            mirrored.expand(shape).flatten(),
            dtype=positions.dtype,
        )
        return g.unflatten(0, (positions.shape[0], -1))

    def _windows(self, angles: int) -> Tensor:
        """Standard deviations of the windows: radians, pixels, pixels."""
        turn = _WINDOW * 2 * math.pi / angles
        return torch.tensor([turn, _WINDOW * self.spacing, _WINDOW * self.spacing])

    def _log_volume(self) -> float:
        """Area that a bin of the shift stands for: its share of the grid, or its whole window."""
        if len(self.offsets) > 1:
            return 2 * math.log(self.spacing)
        return math.log(2 * math.pi * (_WINDOW * self.spacing) ** 2)


def fewer_bins(
    log_weights: Tensor, kept: int, angles: int, chiralities: int
) -> tuple[Tensor, Tensor]:
    """The likeliest bins, or the best shifts of every angle where those hold less than 99 %.

    Where little is known about the angle, dropping the tail would prefer some angles: then each angle
    keeps its whole mass on its best shifts.

    Args:
        log_weights: of bins ordered (chirality, shift, angle), normalised, (B, K).
        kept: number of bins.
        angles, chiralities: of the bins.

    Returns:
        Normalised log weights (B, kept) and the bins they belong to (B, kept).
    """
    top, best = log_weights.topk(kept, dim=1)
    each = kept // (chiralities * angles)
    if each == 0:
        return top.log_softmax(dim=1), best
    by_angle = log_weights.unflatten(1, (chiralities, -1, angles))
    index = torch.arange(log_weights.shape[1], device=best.device).reshape(by_angle.shape[1:])
    few, shift = by_angle.topk(min(each, by_angle.shape[2]), dim=2)
    few = few + (by_angle.logsumexp(dim=2) - few.logsumexp(dim=2))[:, :, None]
    chosen = index.expand_as(by_angle).gather(2, shift).flatten(1)
    room = kept - chosen.shape[1]
    few = torch.nn.functional.pad(few.flatten(1), (0, room), value=-torch.inf)
    chosen = torch.nn.functional.pad(chosen, (0, room))
    enough = top.exp().sum(dim=1, keepdim=True) > 0.99
    weights = torch.where(enough, top, few).log_softmax(dim=1)
    return weights, torch.where(enough, best, chosen)


def shift_grid(reach: float, spacing: float) -> Tensor:
    """Points of a square grid within a disc, (J, 2), the origin first."""
    steps = int(reach / spacing + 1e-9)
    axis = torch.arange(-steps, steps + 1) * float(spacing)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    length = grid.norm(dim=1)
    inside = length <= reach + 1e-9
    return grid[inside][length[inside].argsort(stable=True)]
