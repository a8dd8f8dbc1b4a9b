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

Where objects have scales, the log-scale is one more axis of bins, `sizes`, and one more tangent. Shifts on
the grid and within a bin are then in pixels of the object at scale 1, so that bins grow with the object.

Reference: what classical particle alignment does by rotational correlation, such as Penczek, Radermacher,
Frank: Three-dimensional reconstruction of single particles (1992), here with gradients and posteriors.
"""

import math

import torch
from torch import Tensor

from eqvae.distributions.pose import PosePosterior
from eqvae.pose.inference import PoseInference, PoseQuery, PoseScore
from eqvae.pose.likelihood import TangentFit, fit_tangents, seen, with_tangents
from eqvae.pose.sizes import OneSize, ScaleBins
from eqvae.symmetry.motions import motion, retract
from eqvae.symmetry.plane import PlaneMotions

_POSE = ("angle", "shift_x", "shift_y")  # and the tangents of the sizes
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
        symmetry: of the model; one with scales makes the log-scale an axis of the search.
        scale_reach: log-scales up to this far from that of the view are searched; 0 trusts it to within
            about `scale_spacing`, which the tangents then mend.
        scale_spacing: of the log-scales; also how far within a bin a log-scale is linear.

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
        symmetry: PlaneMotions | None = None,
        scale_reach: float = 0.0,
        scale_spacing: float = 0.1,
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
        scaled = symmetry is not None and symmetry.has_scales
        self.sizes = ScaleBins(scale_reach, scale_spacing) if scaled else OneSize()
        self.register_buffer("offsets", shift_grid(reach, spacing), persistent=False)

    def infer(self, query: PoseQuery, *, fine: bool = True) -> PosePosterior:
        angles = self.fine_angles if fine else self.angles
        bins, fit, log_joint = self._search(query, angles)
        pose, nuisances = len(self._tangents), query.likelihood.nuisances
        small = fit.mean[:, :pose]
        if "intensity" in nuisances:  # the tangents of a brighter object are longer
            at = pose + nuisances.index("intensity")
            small = small / (1 + fit.mean[:, at : at + 1]).clamp_min(0.2)
        moved = retract(bins, small.flatten(2).mT)
        log_weights = log_joint.log_softmax(dim=1)
        covariance = self._mixed(fit.covariance[:, :pose, :pose], log_weights)
        if log_weights.shape[1] > self.kept:
            log_weights, best = fewer_bins(log_weights, self.kept, angles, self.chiralities)
            moved = moved.gather(1, best[:, :, None].expand(-1, -1, moved.shape[2]))
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

    @property
    def has_scales(self) -> bool:
        """Whether the log-scale is an axis of the search."""
        return bool(self.sizes.tangents)

    @property
    def _tangents(self) -> tuple[str, ...]:
        """Of the pose, in the order of small motions."""
        return (*_POSE, *self.sizes.tangents)

    def _search(self, query: PoseQuery, angles: int) -> tuple[Tensor, TangentFit, Tensor]:
        """Bins (B, K, 4 or 5), what fits in each, and log p(x, bin | c), (B, K)."""
        likelihood, sizes = query.likelihood, self.sizes
        view = sizes.views(query.view)  # every image at every size, one after the other
        space = view.space
        positions = view.position[:, None] + sizes.own(view, self.offsets)  # (B, J, 2)
        if len(self.offsets) == 1:
            seen_from = view.coordinates[:, None]
        else:
            seen_from = space.analyse(view.image, positions, view.log_scale)
        if self.reflections:
            seen_from = torch.cat([seen_from, space.mirror(seen_from)], dim=1)
        names = (*self._tangents, *likelihood.nuisances)
        stack = with_tangents(space, query.template, names)
        if sizes.count > 1:
            stack = stack.repeat_interleave(sizes.count, dim=0)
        stack = seen(view, stack, names)
        scales = torch.cat([self._windows(angles).to(likelihood.scales), likelihood.scales])
        correlation = space.correlate(stack[:, :, None], seen_from[:, None], angles)
        fit = fit_tangents(view, stack, correlation, scales, likelihood.variance)
        bins = sizes.posed(view, self._bins(positions, angles))
        log_bin = query.prior.log_prob(bins) + self._log_volume() + sizes.log_area(view)
        log_bin = log_bin - math.log(angles * self.chiralities)
        log_joint = fit.log_prob.flatten(1) + log_bin
        if sizes.count == 1:
            return bins, fit, log_joint
        fit = TangentFit(
            self._by_image(fit.log_prob.flatten(1), angles),
            self._by_image(fit.expected.flatten(1), angles),
            self._by_image(fit.mean.flatten(2).mT, angles).mT,
            fit.covariance,
        )
        return self._by_image(bins, angles), fit, self._by_image(log_joint, angles)

    def _by_image(self, found: Tensor, angles: int) -> Tensor:
        """What was found at each size, (B K, N, ...), as (chirality, size, shift, angle) of each image."""
        parts = found.unflatten(1, (self.chiralities, -1)).unflatten(0, (-1, self.sizes.count))
        return parts.transpose(1, 2).flatten(1, 3)

    def _mixed(self, covariance: Tensor, log_weights: Tensor) -> Tensor:
        """One covariance (B, ., .) of those (B K, ., .) that an image has at each size, by their weights."""
        if self.sizes.count == 1:
            return covariance
        weights = log_weights.exp().unflatten(1, (self.chiralities, self.sizes.count, -1))
        by_size = weights.sum(dim=(1, 3))[..., None, None]
        return (by_size * covariance.unflatten(0, (-1, self.sizes.count))).sum(dim=1)

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
        """Standard deviations of the windows: radians, pixels, pixels, and log-scales where there are any."""
        turn, shift = _WINDOW * 2 * math.pi / angles, _WINDOW * self.spacing
        return torch.tensor([turn, shift, shift, *self.sizes.windows(_WINDOW)])

    def _log_volume(self) -> float:
        """Area that a bin of the shift stands for: its share of the grid, or its whole window; and size."""
        size = self.sizes.log_volume(_WINDOW)
        if len(self.offsets) > 1:
            return 2 * math.log(self.spacing) + size
        return math.log(2 * math.pi * (_WINDOW * self.spacing) ** 2) + size


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
