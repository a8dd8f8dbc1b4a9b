"""p(x | c, g): a template at a pose, what may differ from image to image, and white noise.

    x = g (d + sum_m s_m e_m T_m d) + noise,      e_m ~ N(0, 1),   noise ~ N(0, sigma^2 I)

d is the template that the content c is decoded to, T_m d its tangents: brightness, background, and small
changes of size and shape. They are linear, so that they are integrated out in closed form: the likelihood
is a Gaussian of covariance sigma^2 I + T S^2 T^t. A nuisance with s_m = 0 or none is a plain Gaussian.

With r = g^-1 x - d, b = T r / sigma^2 and A = T T^t / sigma^2 + S^-2,

    log p = -|r|^2 / (2 sigma^2) + b^t A^-1 b / 2 - log det(S^2 A) / 2 - (n / 2) log(2 pi sigma^2).

Known optics multiply template and tangents by each image's transfer function.

References: Simard et al.: Transformation invariance in pattern recognition - tangent distance and tangent
propagation (1998); Petersen, Pedersen: The matrix cookbook (2012), eq. 156, for the inverse.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eqvae.nn.deformations import GENERATORS
from eqvae.pose.space import TemplateSpace, View
from eqvae.symmetry.motions import angle_of, reflection_of

NUISANCES = ("intensity", "background", *(g for g in GENERATORS if not g.startswith("shift")))
_LOG_2PI = math.log(2 * math.pi)


class TemplateLikelihood(nn.Module):
    """Gaussian likelihood of images under posed templates, nuisances integrated out.

    Args:
        variance: sigma^2 on images in [0, 1], where training starts.
        learnable: whether sigma^2 is trained.
        rate: how many times faster than other weights it is trained. Where the noise is not known, start
            it wide, so that poses stay open until there is a template, and let it fall fast.
        nuisances: standard deviations by name: "intensity" (relative), "background" (grey value),
            "scale", "stretch", "shear" (relative), "heat" (blur, pixels^2); these are linearised, so
            at most about 0.2.

    Raises:
        ValueError: if the variance or the rate is not positive, a nuisance is unknown or negative.
    """

    def __init__(
        self,
        variance: float = 0.02,
        learnable: bool = True,
        rate: float = 1.0,
        nuisances: Mapping[str, float] | None = None,
    ):
        super().__init__()
        if not variance > 0:
            raise ValueError(f"variance must be positive; got {variance}.")
        if not rate > 0:
            raise ValueError(
                f"rate must be positive; got {rate}. Set learnable=false to keep the variance."
            )
        nuisances = dict(nuisances or {})
        for name, scale in nuisances.items():
            if name not in NUISANCES:
                raise ValueError(f"nuisances must be out of {list(NUISANCES)}; got {name!r}.")
            if not scale >= 0:
                raise ValueError(f"nuisances.{name} is a standard deviation, >= 0; got {scale}.")
        self.rate = rate
        log_variance = torch.tensor(math.log(variance) / rate)  # Adam's steps do not know the scale
        if learnable:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)
        kept = {name: float(scale) for name, scale in nuisances.items() if scale > 0}
        self.nuisances = tuple(kept)
        self.register_buffer("scales", torch.tensor(list(kept.values())), persistent=False)

    @property
    def variance(self) -> Tensor:
        """sigma^2. A perfect model of noise-free images has no density, so it stays above 1e-5."""
        return (self.rate * self.log_variance).exp().clamp_min(1e-5)

    def mean(self, decoded: Tensor) -> Tensor:
        """The mean image of what the decoder gives."""
        return decoded

    def constant(self, x: Tensor) -> Tensor:
        """log p at a perfect reconstruction, nats."""
        return -0.5 * x[0].numel() * (_LOG_2PI + self.variance.log())

    def log_prob(self, view: View, template: Tensor, g: Tensor) -> Tensor:
        """log p(x | c, g) in nats, (B,), for templates (B, dim) and motions g (B, 4) or (B, 5)."""
        return self._at(view, template, g).log_prob[..., 0]

    def fitted(self, view: View, template: Tensor, g: Tensor) -> Tensor:
        """The template with the image's own brightness, background and shape, as its optics show it."""
        e = self._at(view, template, g).mean[..., 0]
        view = view.at(g)
        stack = seen(view, with_tangents(view.space, template, self.nuisances), self.nuisances)
        best = stack[:, 0] + (e[:, :, None] * stack[:, 1:]).sum(dim=1)
        return replace(view, coordinates=best).own_coordinates

    def _at(self, view: View, template: Tensor, g: Tensor) -> "TangentFit":
        view = view.at(g)
        a = view.space.turn(view.coordinates, -angle_of(g))
        mirrored = reflection_of(g)[:, None] > 0.5
        a = torch.where(mirrored, view.space.mirror(a), a)  # (R F)^-1 = F R^-1
        stack = with_tangents(view.space, template, self.nuisances)
        stack = seen(view, stack, self.nuisances)
        return fit_tangents(view, stack, stack @ a[:, :, None], self.scales, self.variance)


@dataclass(frozen=True)
class TangentFit:
    """A Gaussian fit of a template and its tangents to images, for each of N poses.

    Attributes:
        log_prob: log of the likelihood with the tangents integrated out, nats, (B, ..., N).
        expected: E log p(x | tangents) under their posterior, nats, (B, ..., N).
        mean: posterior means of the tangents' factors, (B, M, ..., N).
        covariance: their posterior covariance, (B, M, M), the same for all poses.
    """

    log_prob: Tensor
    expected: Tensor
    mean: Tensor
    covariance: Tensor


def tangents(space: TemplateSpace, d: Tensor, names: Sequence[str]) -> Tensor:
    """T_m d for templates (B, dim): (B, M, dim)."""
    if not names:
        return d.new_zeros(d.shape[0], 0, d.shape[1])
    return torch.stack([space.derivative(d, name) for name in names], dim=1)


def with_tangents(space: TemplateSpace, d: Tensor, names: Sequence[str]) -> Tensor:
    """d and its tangents, (B, 1 + M, dim)."""
    return torch.cat([d[:, None], tangents(space, d, names)], dim=1)


def seen(view: View, stack: Tensor, names: Sequence[str]) -> Tensor:
    """Template and tangents (B, 1 + M, dim) as each image shows them: by its optics, at its scale.

    The background is the camera's: no optics stand before it.
    """
    if view.transfer is not None:
        filtered = view.space.filter(stack, view.own_transfer)
        camera = torch.tensor([name == "background" for name in ("template", *names)])
        stack = torch.where(camera.to(stack.device)[:, None], stack, filtered)
    return stack if view.log_scale is None else view.space.stretch(stack, view.log_scale)


def fit_tangents(
    view: View, stack: Tensor, correlation: Tensor, scales: Tensor, variance: Tensor
) -> TangentFit:
    """Integrate out the factors e_m ~ N(0, s_m^2) of the tangents, for every pose.

    Args:
        view: the images.
        stack: template and tangents, (B, 1 + M, dim).
        correlation: their inner products with the images turned back, (B, 1 + M, ..., N).
        scales: s_m, (M,).
        variance: sigma^2.
    """
    d, t = stack[:, 0], stack[:, 1:]
    extra = (1,) * (correlation.dim() - 2)
    squared = view.energy + d.square().sum(dim=1)
    squared = squared.reshape(-1, *extra) - 2 * correlation[:, 0]
    pixels = view.image[0].numel()
    base = -0.5 * (squared / variance + pixels * (_LOG_2PI + variance.log()))
    if t.shape[1] == 0:
        empty = correlation[:, 1:]
        return TangentFit(base, base, empty, empty.new_zeros(d.shape[0], 0, 0))
    gram = t @ t.mT / variance
    slope = (correlation[:, 1:] - (t @ d[:, :, None]).reshape(d.shape[0], -1, *extra)) / variance
    slope = slope.flatten(2)  # (B, M, poses)
    root = torch.linalg.cholesky(gram + torch.diag(scales.pow(-2)))
    white = torch.linalg.solve_triangular(root, slope, upper=False)
    mean = torch.linalg.solve_triangular(root.mT, white, upper=True)
    log_det = 2 * (root.diagonal(dim1=1, dim2=2).log().sum(dim=1) + scales.log().sum())
    covariance = torch.cholesky_inverse(root)
    spread = (gram * covariance).sum(dim=(1, 2))
    gain = 0.5 * (white.square().sum(dim=1) - log_det[:, None])
    linear = (slope * mean).sum(dim=1) - 0.5 * (mean * (gram @ mean)).sum(dim=1)
    return TangentFit(
        log_prob=base + gain.reshape(base.shape),
        expected=base + (linear - 0.5 * spread[:, None]).reshape(base.shape),
        mean=mean.reshape(correlation[:, 1:].shape),
        covariance=covariance,
    )
