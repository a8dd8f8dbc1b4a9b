"""Particles: simulated electron micrographs of one flexible molecule, at exactly known poses.

The molecule is a sum of isotropic Gaussians in space, so its projection along the line of sight,
moved by g in the image plane, is a sum of Gaussians in the plane,

    rho(p) = sum_k m_k N(p; g c_k, s_k^2 I),

and needs no interpolation at any pose. It has a body and an arm that folds back about a hinge, from
one conformation to the next. The optics (`eqvae.data.optics`) and the noise belong to the camera.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from eqvae.data.images import ImageSet
from eqvae.data.optics import ctf, delocalisation
from eqvae.data.sources.scenes import Scenes, as_tuples
from eqvae.domains.grid import pixel_coordinates
from eqvae.symmetry.motions import apply, motion

_NARROWEST = 1.2  # pixels: a Gaussian's amplitude at the Nyquist frequency is then below 1e-3
_FOLDING = 2.1  # radians from the first conformation to the last
_REFERENCES = 16  # for each label: defoci, angles and shifts that stand for all


@dataclass(frozen=True)
class Particles(Scenes):
    """Noisy projections of a molecule in several conformations, seen through a microscope.

    An image is x = 1/2 + gain (h * rho - mean + noise), clipped to [0, 1], with h the optics. `mean`
    is that of h * rho over all images of the source, and `gain` maps the largest |h * rho - mean|
    plus 3.5 standard deviations of the noise to 1/2; both are the same for all images. Fewer than
    0.1 % of the pixels are clipped, and none to speak of without noise.

    The label is conformation * len(views) + view. The pose is that of the molecule's body; each
    conformation has its centre of mass at the image centre. Seen from the default view, no turn or
    mirror brings one label to another, or to itself.

    Args:
        num_images: how many.
        size: side of the images in pixels; a posing may ask for more.
        conformations: how many, from the arm stretched out to folded back by 2.1 radians.
        views: lines of sight (azimuth, inclination) in the molecule's frame, radians; the
            direction is (sin i cos a, sin i sin a, cos i).
        radius: of the stretched molecule about its centre of mass, pixels.
        snr: variance of the noise-free signal over the pixels of an image, mean over all images,
            divided by the variance of the noise; None is no noise.
        defocus: smallest and largest, micrometres, uniform between; None is perfect optics.
        pixel_size: Angstrom/pixel; the rest matter with a defocus only.
        voltage: kilovolts.
        cs: spherical aberration, millimetres.
        amplitude_contrast: w in [0, 1).
        b_factor: of the envelope, Angstrom^2.
        seed: of labels, defoci and noise; the molecule is always the same.

    Raises:
        ValueError: if a number is out of its range, or the optics blur beyond the image.
    """

    num_images: int = 5000
    size: int = 64
    conformations: int = 4
    views: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    radius: float = 22.0
    snr: float | None = None
    defocus: tuple[float, float] | None = None
    pixel_size: float = 3.0
    voltage: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.1
    b_factor: float = 100.0
    seed: int = 0

    def __post_init__(self):
        for name in ("views", "defocus"):
            object.__setattr__(self, name, as_tuples(getattr(self, name)))
        for name in ("num_images", "conformations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if not self.views or any(len(view) != 2 for view in self.views):
            raise ValueError(
                "views must be at least one pair (azimuth, inclination) in radians; "
                f"got {self.views}. The default is ((0.0, 0.0),)."
            )
        if not 0 < self.radius <= self.size / 2:
            raise ValueError(
                f"radius must be in pixels with 0 < radius <= size / 2 = {self.size / 2:g}; "
                f"got {self.radius}. Lower it or raise size."
            )
        if self.snr is not None and not 0 < self.snr < math.inf:
            raise ValueError(
                f"snr must be a positive ratio of variances; got {self.snr}. For no noise use null."
            )
        for name in ("pixel_size", "voltage"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)}.")
        for name in ("cs", "b_factor"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} must not be negative; got {getattr(self, name)}. For none use 0."
                )
        if not 0 <= self.amplitude_contrast < 1:
            raise ValueError(
                f"amplitude_contrast must be in [0, 1); got {self.amplitude_contrast}. "
                "0.1 is usual for ice."
            )
        if self.defocus is not None:
            self._check_defocus()

    def _check_defocus(self) -> None:
        if len(self.defocus) != 2 or not 0 < self.defocus[0] <= self.defocus[1]:
            raise ValueError(
                "defocus must be (smallest, largest) in micrometres with 0 < smallest <= largest; "
                f"got {self.defocus}. For perfect optics use null."
            )
        if self._delocalisation > self.size:
            # beyond it the CTF is undersampled even on an image padded to twice its size
            raise ValueError(
                f"defocus must blur by no more than size={self.size} pixels; got {self.defocus}, "
                f"which at {self.pixel_size} Angstrom/pixel blurs by {self._delocalisation:.0f}. "
                "Lower defocus, or raise pixel_size or size."
            )

    @property
    def _delocalisation(self) -> float:
        return delocalisation(self.defocus[1], self.pixel_size, self.voltage, self.cs)

    def load(self) -> ImageSet:
        """Draw all particles at the identity pose."""
        labels, defoci = self._factors()
        return self.still(
            labels=labels,
            symmetry_orders=(1,) * (self.conformations * len(self.views)),
            pixel_size=torch.full((self.num_images,), float(self.pixel_size)),
            transfer=None if self.defocus is None else self._transfer(defoci),
        )

    def render(self, rows: Tensor, g: Tensor, size: int) -> Tensor:
        labels, defoci = (factor[rows] for factor in self._factors())
        images = self._signal(labels, defoci, g, size)
        mean, noise, gain = self._greys
        images = images - mean
        if noise:
            images = images + noise * self.white_noise(rows, size).to(g)
        return (0.5 + gain * images).clamp(0, 1)[:, None]

    def _signal(self, labels: Tensor, defoci: Tensor, g: Tensor, size: int) -> Tensor:
        """h * rho without noise, (B, size, size)."""
        centres, widths, masses = (part.to(g) for part in self._molecule)
        centres = apply(g, centres[labels])
        margin = 0 if self.defocus is None else self._margin(size)
        x = pixel_coordinates(1, size + 2 * margin, dtype=g.dtype)[0, :, 0]
        columns = _normal(x - centres[..., :1], widths)
        rows = _normal(-x - centres[..., 1:], widths) * masses[:, None]
        images = rows.mT @ columns
        if self.defocus is None:
            return images
        return self._through_optics(images, defoci.to(g))[..., margin:-margin, margin:-margin]

    def _margin(self, size: int) -> int:
        """Pixels to draw around the image: blur from there comes in, and none wraps around."""
        margin = math.ceil(self._delocalisation)
        while next_fast_len(size + 2 * margin) > size + 2 * margin:
            margin += 1
        return margin

    def _through_optics(self, images: Tensor, defoci: Tensor) -> Tensor:
        side = images.shape[-1]
        down, across = torch.fft.fftfreq(side), torch.fft.rfftfreq(side)
        frequency = 2 * math.pi * torch.hypot(down[:, None], across).to(images)
        frequency = frequency.clamp(max=math.pi)  # what `transfer` says of the corners
        response = self._ctf(frequency, defoci[:, None, None])
        return torch.fft.irfft2(torch.fft.rfft2(images) * response, s=(side, side))

    def _transfer(self, defoci: Tensor) -> Tensor:
        """The CTF on [0, pi], close enough for linear interpolation to err by less than 0.01."""
        number = max(64, 1 + math.ceil(math.pi * self._delocalisation / 0.25))
        return self._ctf(torch.linspace(0, math.pi, number), defoci[:, None])

    def _ctf(self, frequency: Tensor, defocus: Tensor) -> Tensor:
        optics = (self.pixel_size, self.voltage, self.cs, self.amplitude_contrast, self.b_factor)
        return ctf(frequency, defocus, *optics)

    @cached_property
    def _greys(self) -> tuple[float, float, float]:
        """Mean of the signal, standard deviation of the noise and gain, from reference images."""
        labels = torch.arange(self.conformations * len(self.views)).repeat(_REFERENCES)
        place = torch.arange(_REFERENCES).repeat_interleave(len(labels) // _REFERENCES).double()
        place = (place + 0.5) / _REFERENCES
        low, high = self.defocus or (0.0, 0.0)
        shift = torch.stack([place, (5 * place) % 1], dim=1) - 0.5  # of the pixel grid
        g = motion(2 * math.pi * place, shift, dtype=torch.float64)
        signal = self._signal(labels, low + (high - low) * place, g, self.size)
        mean = float(signal.mean())
        variance = float(signal.flatten(1).var(dim=1, correction=0).mean())
        noise = 0.0 if self.snr is None else math.sqrt(variance / self.snr)
        largest = 1.05 * float((signal - mean).abs().max())  # peaks of other poses are higher
        return mean, noise, 0.5 / (largest + 3.5 * noise)

    @cached_property
    def _molecule(self) -> tuple[Tensor, Tensor, Tensor]:
        """Centres seen along each label's view (L, K, 2), widths (K,) in pixels and masses (K,)."""
        body, arm = _body(), _arm()
        widths = torch.cat([body[:, 3], arm[:, 3]])
        masses = widths**3  # all of one peak density
        masses = masses / masses.sum()
        angles = torch.linspace(0, _FOLDING, self.conformations, dtype=torch.float64)
        centres, reach = [], None
        for angle in angles.tolist():
            points = torch.cat([body[:, :3], _folded(arm[:, :3], angle)])
            points = points - masses @ points
            reach = reach or float((points.norm(dim=1) + 2 * widths).max())  # stretched out
            centres += [points @ _view(*view).T[:, :2] for view in self.views]
        scale = self.radius / reach
        return torch.stack(centres) * scale, (widths * scale).clamp_min(_NARROWEST), masses

    def _factors(self) -> tuple[Tensor, Tensor]:
        """Labels and defoci of all scenes."""
        generator = torch.Generator().manual_seed(self.seed)
        number = self.conformations * len(self.views)
        labels = torch.randint(number, (self.num_images,), generator=generator)
        low, high = self.defocus or (0.0, 0.0)
        return labels, low + (high - low) * torch.rand(self.num_images, generator=generator)


def _normal(distance: Tensor, widths: Tensor) -> Tensor:
    """Normal density of (B, K, P) distances, one width for each k."""
    widths = widths[:, None]
    return torch.exp(-0.5 * (distance / widths).square()) / (widths * math.sqrt(2 * math.pi))


# The molecule in a unit of its own: rows (x, y, z, width), seen from +z by default.

_HINGE = torch.tensor([0.12, 0.0, 0.0], dtype=torch.float64)


def _body() -> Tensor:
    """18 Gaussians along a spiral on an ellipsoid, wider at one end."""
    k = torch.arange(18, dtype=torch.float64)
    height = 1 - (2 * k + 1) / 18
    ring, turn = (1 - height.square()).sqrt(), k * math.pi * (3 - math.sqrt(5))
    x = -0.23 + 0.46 * height
    y = -0.32 + 0.30 * ring * turn.cos() - 0.12 * height
    z = 0.30 * ring * turn.sin()
    return torch.stack([x, y, z, 0.105 - 0.03 * height], dim=1)


def _arm() -> Tensor:
    """10 Gaussians from the hinge outwards along a hook."""
    k = torch.arange(10, dtype=torch.float64) / 9
    x = 0.12 + 0.72 * k
    y = 0.28 * k**3
    z = 0.18 * torch.sin(3 * k)
    return torch.stack([x, y, z, 0.08 + 0.03 * k], dim=1)


def _folded(points: Tensor, angle: float) -> Tensor:
    """Points turned about the hinge, whose axis leans by 0.3 radians from the z axis."""
    lean = _about_y(0.3)
    return (points - _HINGE) @ (lean @ _about_z(angle) @ lean.T).T + _HINGE


def _view(azimuth: float, inclination: float) -> Tensor:
    """The rotation that brings the line of sight to the z axis."""
    return _about_y(-inclination) @ _about_z(-azimuth)


def _about_z(angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)


def _about_y(angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=torch.float64)
