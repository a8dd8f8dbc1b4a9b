"""Classical two-dimensional classification: k-means of images that are aligned to the class averages.

A posed image is x(p) = T_k(R(-theta) (p - t)) + noise, with a class average T_k. In turns:

    1. class and angle: polar samples about t turn an angle into a shift along the circle, so that
       <x, T_k turned by theta> for all theta is one product of angular Fourier transforms;
    2. position: the upright image x(R(theta) q + t) is correlated with T_k over all shifts by a 2-D FFT,
       for theta and for theta + 180 degrees, and the better of both is kept;
    3. T_k: the mean of its aligned images.

The first averages are single images, drawn far apart (k-means++ on distances after alignment); a class
that runs empty starts again from the image that fits worst. In the end the averages are aligned to each
other, so that an angle means the same in all classes as far as it can.

References: Penczek, Radermacher, Frank: Three-dimensional reconstruction of single particles embedded in
ice (1992), for multi-reference alignment; Arthur, Vassilvitskii: k-means++ (2007).
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from .images import centre_of_mass, foreground, grey, polar, polarity, sample
from .result import PeerResult

_CHUNK = 512


@dataclass(frozen=True)
class Alignment:
    """How images map to class averages.

    Attributes:
        label: class, (N,).
        angle: theta, radians, (N,).
        shift: t, pixels, (N, 2).
        residual: |x - turned T_k|^2 on the polar samples, up to a constant for all images, (N,).
    """

    label: Tensor
    angle: Tensor
    shift: Tensor
    residual: Tensor


def fit_transform(
    train: np.ndarray,
    val: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    num_classes: int = 10,
    iterations: int = 15,
    restarts: int = 1,
    dim: int = 16,
    max_shift: float | None = None,
    num_angles: int = 128,
) -> PeerResult:
    """Content: principal components of the aligned pixels; angle and shift of the alignment.

    Args:
        train, val, test: images, (N, C, H, H); val is not looked at.
        seed: of the first averages and of the PCA.
        num_classes: averages.
        iterations: turns of the three steps.
        restarts: random first averages; those that end with the smallest residual are kept.
        dim: components that PCA keeps.
        max_shift: how far a position may lie from the centre of mass, pixels; an eighth of H if None.
        num_angles: samples on each circle; angles between them are interpolated.
    """
    begin = time.perf_counter()
    torch.manual_seed(seed)
    sign = polarity(grey(train))
    learned, described = (foreground(grey(part), sign) for part in (train, test))
    size = learned.shape[-1]
    aligner = _Aligner(size, num_angles, size / 8 if max_shift is None else max_shift)
    images, mass = torch.from_numpy(learned), torch.from_numpy(centre_of_mass(learned)).float()
    averages, label, best = None, None, math.inf
    for _ in range(restarts):
        trial, found = aligner.classify(images, mass, num_classes, iterations)
        if (residual := float(found.residual.mean())) < best:
            averages, label, best = trial, found.label, residual
    averages = aligner.align_averages(averages, label)
    learned_seconds = time.perf_counter() - begin
    # once more to averages that do not move, so that training and test images are treated alike
    uprights = []
    for part in (learned, described):
        images = torch.from_numpy(part)
        mass = shift = torch.from_numpy(centre_of_mass(part)).float()
        for _ in range(3):
            found = aligner.align(images, averages, shift, mass)
            shift = found.shift
        uprights.append(aligner.upright(images, found).flatten(1).numpy())
    pca = PCA(min(dim, *uprights[0].shape), random_state=seed).fit(uprights[0])
    return PeerResult(
        content=pca.transform(uprights[1]),
        angle=found.angle.numpy(),
        shift=found.shift.numpy(),
        seconds=time.perf_counter() - begin,
        elbo=None,
        images_per_second=len(train) * iterations * restarts / learned_seconds,
        notes=f"{num_classes} class averages, {iterations} iterations, best of {restarts} by its residual, "
        f"{dim} components of aligned pixels",
    )


class _Aligner:
    """The three steps for images of one size."""

    def __init__(self, size: int, num_angles: int, max_shift: float):
        self.radii = torch.arange(0.5, size / 2 - 1)
        self.num_angles = num_angles
        self.max_shift = max_shift
        line = torch.arange(size) - (size - 1) / 2
        self.grid = torch.stack([line.expand(size, size), -line[:, None].expand(size, size)], dim=2)
        self.disc = (self.grid.square().sum(dim=2) <= (size / 2 - 1) ** 2).float()

    def classify(
        self, images: Tensor, mass: Tensor, num_classes: int, iterations: int
    ) -> tuple[Tensor, Alignment]:
        """Averages (K, H, H) from one random start, and the alignment that made them."""
        averages, shift = self.far_apart(images, mass, num_classes), mass
        for _ in range(iterations):
            found = self.align(images, averages, shift, mass)
            shift = found.shift
            averages = self.average(images, found, num_classes)
        return averages, found

    def harmonics(self, images: Tensor, shift: Tensor) -> Tensor:
        """Angular Fourier transform about `shift`, every circle weighted by the root of its radius."""
        rings = polar(images, shift, self.radii, self.num_angles)
        rings = rings * (self.radii.sqrt() * math.sqrt(2 * math.pi / self.num_angles))[:, None]
        return torch.fft.rfft(rings, dim=2, norm="ortho")

    def align(self, images: Tensor, averages: Tensor, shift: Tensor, mass: Tensor) -> Alignment:
        """Steps 1 and 2 from positions `shift`, which stay within `max_shift` of `mass`."""
        references = self.harmonics(averages, torch.zeros(len(averages), 2))
        parts = [
            self._align(x, averages, references, t, m)
            for x, t, m in zip(*(a.split(_CHUNK) for a in (images, shift, mass)), strict=True)
        ]
        return Alignment(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _align(self, images, averages, references, shift, mass) -> tuple[Tensor, ...]:
        spectrum = self.harmonics(images, shift)
        overlap, angle = self._best_turn(spectrum, references)
        distance = _energy(references) - 2 * overlap
        residual, label = distance.min(dim=1)
        angle = angle.gather(1, label[:, None])[:, 0]
        still = Alignment(label, angle, shift, residual)
        upright = self.upright(images, still)
        targets = torch.fft.rfft2(averages * self.disc).conj()[label]
        # half a turn of the upright image is a flip of both axes
        peaks = [self._best_shift(x, targets) for x in (upright, upright.flip(1, 2))]
        other = peaks[1][0] > peaks[0][0]
        angle = torch.where(other, angle + math.pi, angle)
        step = torch.where(other[:, None], peaks[1][1], peaks[0][1])
        shift = shift + _turn(angle, step)
        away = shift - mass
        limit = self.max_shift / away.norm(dim=1, keepdim=True).clamp_min(self.max_shift)
        return label, angle, mass + away * limit, residual + _energy(spectrum)

    def _best_turn(self, spectrum: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
        """The largest <x, turned T_k> and its angle, each (N, K)."""
        # a batch of matrix products, one for each order m: (M, N, R) @ (M, R, K)
        product = spectrum.permute(2, 0, 1) @ references.conj().permute(2, 1, 0)
        curve = torch.fft.irfft(product, n=self.num_angles, dim=0, norm="forward")
        curve = curve.permute(1, 2, 0)  # (N, K, angles); both factors are "ortho"
        top, index = curve.max(dim=2)
        offset = _vertex(curve, index, dim=2)
        return top, (index + offset) * (2 * math.pi / self.num_angles)

    def _best_shift(self, upright: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Peak over small shifts d of <upright(q + d), T(q)>: its height (N,) and d (N, 2)."""
        size = upright.shape[-1]
        product = torch.fft.rfft2(upright) * targets
        reach = max(2, math.ceil(self.max_shift / 2))
        plane = torch.fft.fftshift(torch.fft.irfft2(product, s=(size, size)), dim=(1, 2))
        middle = size // 2
        window = plane[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        width = 2 * reach + 1
        top, index = window.flatten(1).max(dim=1)
        row, column = index // width, index % width
        rows = torch.arange(len(upright))
        along = _vertex(window[rows, row], column, dim=1, wrap=False)
        down = _vertex(window[rows, :, column], row, dim=1, wrap=False)
        return top, torch.stack([column - reach + along, reach - row - down], dim=1)

    def upright(self, images: Tensor, alignment: Alignment) -> Tensor:
        """x(R(theta) q + t) on the pixels q of the disc, (N, H, H)."""
        moved = []
        columns = (images, alignment.angle, alignment.shift)
        for x, angle, shift in zip(*(a.split(_CHUNK) for a in columns), strict=True):
            points = _turn(angle[:, None, None], self.grid) + shift[:, None, None]
            moved.append(sample(x, points) * self.disc)
        return torch.cat(moved)

    def average(self, images: Tensor, alignment: Alignment, num_classes: int) -> Tensor:
        """Step 3; an empty class takes the image that fits worst."""
        upright = self.upright(images, alignment)
        sums = torch.zeros(num_classes, *self.disc.shape)
        sums.index_add_(0, alignment.label, upright)
        counts = alignment.label.bincount(minlength=num_classes)
        empty = (counts == 0).nonzero()[:, 0]
        worst = alignment.residual.argsort(descending=True)[: len(empty)]
        averages = sums / counts.clamp_min(1)[:, None, None]
        averages[empty] = upright[worst]
        return averages

    def far_apart(self, images: Tensor, mass: Tensor, num_classes: int) -> Tensor:
        """Single images as first averages, each drawn in proportion to its distance from those before."""
        spectra = torch.cat(
            [
                self.harmonics(x, m)
                for x, m in zip(images.split(_CHUNK), mass.split(_CHUNK), strict=True)
            ]
        )
        energy = _energy(spectra)
        chosen = [int(torch.randint(len(images), ()))]
        distance = torch.full_like(energy, math.inf)
        for _ in range(num_classes - 1):
            reference = spectra[chosen[-1:]]
            overlap = self._best_turn(spectra, reference)[0][:, 0]
            distance = distance.minimum(energy + energy[chosen[-1]] - 2 * overlap).clamp_min(0)
            chosen.append(int(torch.multinomial(distance + 1e-12, 1)))
        still = torch.zeros(num_classes)
        return self.upright(images[chosen], Alignment(still.long(), still, mass[chosen], still))

    def align_averages(self, averages: Tensor, label: Tensor) -> Tensor:
        """The averages turned and moved to fit the mean of them all, from the largest class on."""
        counts = label.bincount(minlength=len(averages)).float()
        common = averages[counts.argmax()][None]
        shift = still = torch.zeros(len(averages), 2)
        for _ in range(10):
            found = self.align(averages, common, shift, still)
            shift = found.shift
            upright = self.upright(averages, found)
            common = (upright * counts[:, None, None]).sum(dim=0, keepdim=True) / counts.sum()
        return upright


def _energy(spectrum: Tensor) -> Tensor:
    """|x|^2 from the one-sided transform over the angle, (N,); an even number of angles."""
    power = spectrum.abs().square().sum(dim=1)
    return 2 * power.sum(dim=1) - power[:, 0] - power[:, -1]


def _turn(angle: Tensor, points: Tensor) -> Tensor:
    """R(angle) p."""
    cos, sin = angle.cos(), angle.sin()
    x, y = points[..., 0], points[..., 1]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)


def _vertex(curve: Tensor, index: Tensor, dim: int, wrap: bool = True) -> Tensor:
    """Where the parabola through a sampled peak and its neighbours is highest, in samples from the peak."""
    n = curve.shape[dim]
    neighbours = [
        curve.gather(dim, ((index + k) % n if wrap else (index + k).clamp(0, n - 1)).unsqueeze(dim))
        for k in (-1, 0, 1)
    ]
    before, top, after = (value.squeeze(dim) for value in neighbours)
    bend = 2 * top - before - after
    offset = torch.where(bend > 1e-12, (after - before) / (2 * bend.clamp_min(1e-12)), 0.0)
    return offset.clamp(-0.5, 0.5)
