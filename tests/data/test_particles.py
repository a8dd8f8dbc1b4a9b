"""Particles are exact: at every pose what the formula says, through the optics that they name."""

import math

import numpy as np
import pytest
import torch
from scipy.special import j0

from eqvae.data import ImageDataModule, Particles, RotatedShifted, ctf
from eqvae.data.optics import wavelength
from eqvae.domains import SquareGrid
from eqvae.symmetry import motion
from eqvae.symmetry.motions import apply

DEFOCUS = (1.0, 2.0)
MOVED = motion(0.7, (2.3, -1.6), dtype=torch.float64)
STILL = motion(dtype=torch.float64)


def draw(source, g=STILL, size=64, row=0):
    return source.render(torch.tensor([row]), g, size)


def signal(source, images):
    """The mean over the source's images is 0."""
    return (images - 0.5) / source._greys[2]


def relative(a, b):
    return float((a - b).norm() / b.norm())


def ring_spectrum(source, row):
    """Each Gaussian alone through the optics, as an integral over rings of frequency."""
    omega = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    optics = torch.ones_like(omega)
    if source.defocus is not None:
        optics = ctf(omega, source._factors()[1][row].double())
    return omega, optics


@pytest.mark.parametrize("size", [64, 65, 80])
@pytest.mark.parametrize("defocus", [None, DEFOCUS, (4.0, 4.0)], ids=["perfect", "1-2", "4"])
def test_rendering_is_the_analytic_scene(size, defocus):
    """Radial integrals, blob by blob: no Fourier transform on a grid and no separability."""
    source, row = Particles(5, defocus=defocus), 3
    moved = motion(0.7, (-size / 3, -1.6), dtype=torch.float64)  # partly outside
    image = draw(source, moved, size, row)[0, 0]
    omega, optics = ring_spectrum(source, row)
    centres, widths, masses = source._molecule
    centres = apply(moved, centres[source.load().labels[row]][None])[0]
    for i, j in ((size // 2, size // 2), (20, 40), (35, 10), (5, 50), (size // 2, size - 1)):
        point = torch.tensor([j - (size - 1) / 2, (size - 1) / 2 - i], dtype=torch.float64)
        distance = (centres - point).norm(dim=1)
        rings = torch.from_numpy(j0((omega * distance[:, None]).numpy()))
        blobs = omega * optics * rings * (-((omega * widths[:, None]) ** 2) / 2).exp()
        value = (masses * torch.trapezoid(blobs, omega)).sum() / (2 * math.pi)
        expected = 0.5 + source._greys[2] * (value - source._greys[0])
        # what the narrowest Gaussians have beyond the Nyquist frequency
        assert abs(image[i, j] - expected) < 2e-4


@pytest.mark.parametrize("defocus", [None, DEFOCUS], ids=["perfect", "optics"])
@pytest.mark.parametrize("size", [64, 65])
def test_grid_motions_permute_the_pixels(size, defocus):
    source = Particles(1, defocus=defocus)
    turned = draw(source, motion(math.pi / 2, dtype=torch.float64), size)
    assert torch.allclose(turned, draw(source, size=size).rot90(1, dims=(-2, -1)), atol=1e-9)
    assert relative(turned, draw(source, size=size)) > 0.02, "control: the quarter turn shows"
    mirrored = motion(0.0, (3.0, -2.0), 1.0, dtype=torch.float64)
    inside = SquareGrid(size).act(mirrored, draw(source, size=size))[..., 5:-5, 5:-5]
    assert torch.allclose(draw(source, mirrored, size)[..., 5:-5, 5:-5], inside, atol=1e-9)


def test_any_motion_agrees_with_resampling():
    """Band-limited: Fourier interpolation of the image is the particle moved."""
    source = Particles(1)
    background = draw(source)[0, 0, 0, 0]
    still, moved = draw(source) - background, draw(source, MOVED) - background
    assert relative(SquareGrid(64).act(MOVED, still, "fourier"), moved) < 0.01
    opposite = motion(-0.7, (2.3, -1.6), dtype=torch.float64)
    assert relative(SquareGrid(64).act(opposite, still, "fourier"), moved) > 0.3


def nearest(a, others):
    """Relative distance of image a from the nearest of others, each shifted at best."""
    overlap = torch.fft.ifft2(torch.fft.fft2(others) * torch.fft.fft2(a).conj()).real
    squared = a.square().sum() + others.square().sum(dim=(1, 2)) - 2 * overlap.amax(dim=(1, 2))
    return float(squared.min().clamp_min(0).sqrt() / a.norm())


@pytest.mark.parametrize("reflection", [0.0, 1.0])
def test_no_motion_brings_one_conformation_to_another_or_to_itself(reflection):
    source = Particles(40)
    labels = source.load().labels.tolist()
    angles = torch.arange(72, dtype=torch.float64) * (2 * math.pi / 72)
    turns = motion(angles, reflection=reflection, dtype=torch.float64)
    for a in range(4):
        row = labels.index(a)
        still = draw(source, motion(0.02, dtype=torch.float64), row=row)[0, 0]
        still = still - still[0, 0]
        for b in range(4):
            turned = source.render(torch.full((72,), labels.index(b)), turns, 64)[:, 0]
            turned = turned - turned[:, :1, :1]
            if a == b and not reflection:
                assert nearest(still, turned) < 0.1, "control: itself, nearly"
                assert nearest(still, turned[6:-6]) > 0.3, "no other turn"
            else:
                assert nearest(still, turned) > 0.25


def test_labels_count_views_within_conformations():
    views = ((0.0, 0.0), (0.5, 1.2))
    source = Particles(60, conformations=3, views=views)
    labels = source.load().labels.tolist()
    assert set(labels) == set(range(6))
    single = Particles(1, conformations=1, views=views[1:])
    label_1 = draw(source, row=labels.index(1))
    assert torch.allclose(signal(source, label_1), signal(single, draw(single)), atol=1e-9)
    assert relative(draw(source, row=labels.index(0)), label_1) > 0.02
    assert source.load().symmetry_orders == (1,) * 6


def test_a_view_looks_along_its_line_of_sight():
    """Opposite lines of sight show mirror images; which mirror, the azimuth says."""
    source = Particles(30, conformations=1, views=((0.3, 0.8), (0.3 + math.pi, math.pi - 0.8)))
    labels = source.load().labels.tolist()
    front, back = (draw(source, row=labels.index(label)) for label in (0, 1))
    mirror = motion(math.pi, reflection=1.0, dtype=torch.float64)
    mirrors = [SquareGrid(64).act(mirror, front), SquareGrid(64).act(motion(reflection=1.0), front)]
    assert min(relative(m, back) for m in mirrors) < 1e-6 < 0.02 < relative(front, back)


@pytest.mark.parametrize("conformations", [1, 4])
def test_the_molecule_is_centred_and_as_large_as_its_radius(conformations):
    centres, widths, masses = Particles(1, conformations=conformations, radius=22.0)._molecule
    assert torch.allclose(masses @ centres, torch.zeros(2).double(), atol=1e-9)
    reach = (centres.norm(dim=-1) + 2 * widths).max()
    assert 0.9 * 22 < reach <= 22
    assert widths.min() >= 1.2
    assert Particles(1, radius=5.0, size=16)._molecule[1].min() >= 1.2, "band-limited when small"


def test_ctf_is_the_closed_form():
    """At 300 kV lambda = 0.0196875 A (tables); zeros where the phase is a multiple of pi."""
    assert wavelength(300.0) == pytest.approx(0.0196875, rel=1e-4)
    assert wavelength(200.0) == pytest.approx(0.0250793, rel=1e-4)
    omega = torch.linspace(0, math.pi, 500, dtype=torch.float64)
    k = omega.numpy() / (2 * math.pi * 3.0)
    chi = np.pi * 0.0196875 * k**2 * (1.5e4 - 0.5 * 0.0196875**2 * k**2 * 2.7e7)
    mindell = -np.sqrt(1 - 0.01) * np.sin(chi) - 0.1 * np.cos(chi)  # the form of CTFFIND3
    expected = torch.from_numpy(mindell * np.exp(-80 * k**2 / 4))
    assert torch.allclose(ctf(omega, 1.5, 3.0, 300.0, 2.7, 0.1, 80.0), expected, atol=3e-3)
    assert float(ctf(omega[:1], 1.5)) == pytest.approx(-0.1)


def test_transfer_is_what_was_done_to_the_images():
    """An independent blur of the perfect images with the table, in numpy, padded otherwise."""
    perfect, source = Particles(6), Particles(6, defocus=DEFOCUS)
    transfer = source.load().transfer
    assert transfer.dtype == torch.float32 and transfer.shape[1] >= 64
    assert perfect.load().transfer is None
    rows, pad = torch.arange(6), 180
    g = MOVED.expand(6, -1)
    clean = signal(perfect, perfect.render(rows, g, pad)) + perfect._greys[0]
    frequency = 2 * np.pi * np.hypot(np.fft.fftfreq(pad)[:, None], np.fft.fftfreq(pad))
    at = np.linspace(0, np.pi, transfer.shape[1])
    expected = [
        np.fft.ifft2(np.fft.fft2(image) * np.interp(frequency, at, table)).real[58:-58, 58:-58]
        for image, table in zip(clean[:, 0].numpy(), transfer.double().numpy(), strict=True)
    ]
    seen = signal(source, source.render(rows, g, 64)) + source._greys[0]
    expected = torch.from_numpy(np.stack(expected))[:, None]
    assert relative(seen, expected) < 0.005  # of linear interpolation in the table
    assert relative(seen[[1, 2, 3, 4, 5, 0]], expected) > 0.05, "control: another image's optics"


@pytest.mark.parametrize("defocus", [(0.5, 0.5), (1.0, 2.0), (2.0, 5.5)])
def test_transfer_is_sampled_finely_enough(defocus):
    table = Particles(20, defocus=defocus).load().transfer.double()
    between = (table[:, 1:] + table[:, :-1]) / 2
    omega = torch.linspace(0, math.pi, table.shape[1], dtype=torch.float64)
    defoci = Particles(20, defocus=defocus)._factors()[1].double()
    exact = ctf((omega[1:] + omega[:-1]) / 2, defoci[:, None])
    assert (between - exact).abs().max() < 0.01
    assert defoci.min() >= defocus[0] and defoci.max() <= defocus[1]


@pytest.mark.parametrize("defocus", [None, DEFOCUS], ids=["perfect", "optics"])
@pytest.mark.parametrize("snr", [0.1, 1.0])
def test_noise_has_the_ratio_that_was_asked_for(snr, defocus):
    options = {"num_images": 200, "size": 48, "radius": 16.0, "defocus": defocus}
    clean = Particles(**options).load().images.double() - 0.5
    noisy = Particles(**options, snr=snr).load().images.double() - 0.5
    gain = (clean * noisy).sum() / clean.square().sum()
    variance = (gain * clean).flatten(1).var(dim=1, correction=0).mean()
    # 460,800 pixels: the noise's variance is known to 0.2 %, the gain to 1 % at snr 0.1
    assert variance / (noisy - gain * clean).var() == pytest.approx(snr, rel=0.03)


@pytest.mark.parametrize("defocus", [None, DEFOCUS], ids=["perfect", "optics"])
@pytest.mark.parametrize("snr", [None, 1.0, 0.1, 0.01])
def test_grey_values_are_centred_and_hardly_clipped(snr, defocus):
    source = Particles(300, size=48, radius=16.0, snr=snr, defocus=defocus)
    images = source.load().usable().images
    assert images.dtype == torch.float32
    assert float(images.mean()) == pytest.approx(0.5, abs=2e-3)
    assert ((images == 0) | (images == 1)).float().mean() < (1e-3 if snr else 1e-6)
    assert (images - 0.5).abs().max() > 0.4, "the range is used"


def test_draws_are_fixed_by_the_seed():
    options = {"num_images": 30, "size": 40, "radius": 15.0, "snr": 0.5, "defocus": DEFOCUS}
    a, b, c = (Particles(**options, seed=seed).load() for seed in (0, 0, 1))
    assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    assert not torch.equal(a.labels, c.labels) and not torch.equal(a.transfer, c.transfer)
    part = Particles(**options).render(torch.tensor([7, 5]), motion().expand(2, -1), 40)
    assert torch.allclose(part, a.images[[7, 5]], atol=1e-5), "the same whatever it is drawn with"


def test_batches_hold_pose_and_optics():
    posing = RotatedShifted(None, 2.0, 4.0)
    source = Particles(40, size=32, radius=14.0, defocus=[0.5, 1.0])
    module = ImageDataModule(source, posing, batch_size=8)
    module.setup()
    batch = next(iter(module.train_dataloader()))
    assert batch.image.shape == (8, 1, 32, 32)
    expected = source.render(batch.index, batch.pose, 32)
    assert torch.allclose(batch.image, expected, atol=1e-5)
    assert torch.equal(batch.transfer, source.load().transfer[batch.index])
    assert (batch.pixel_size == 3.0).all(), "Angstrom"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 0}, "num_images must be at least 1; got 0"),
        ({"conformations": 0}, "conformations must be at least 1; got 0"),
        ({"views": ()}, "views must be at least one pair .azimuth, inclination. in radians; got"),
        ({"views": ((0.0,),)}, "views must be at least one pair"),
        ({"radius": 33.0}, "radius must be .* size / 2 = 32; got 33.0. Lower it or raise size"),
        ({"snr": 0.0}, "snr must be a positive ratio of variances; got 0.0. For no noise use null"),
        ({"pixel_size": 0.0}, "pixel_size must be positive; got 0.0"),
        ({"voltage": -1.0}, "voltage must be positive; got -1.0"),
        ({"cs": -2.7}, "cs must not be negative; got -2.7"),
        ({"b_factor": -1.0}, "b_factor must not be negative; got -1.0. For none use 0"),
        ({"amplitude_contrast": 1.0}, r"amplitude_contrast must be in \[0, 1\); got 1.0"),
        ({"defocus": (2.0, 1.0)}, "defocus must be .smallest, largest. in micrometres .*got .2.0,"),
        ({"defocus": (0.0, 1.0)}, "0 < smallest .*For perfect optics use null"),
        ({"defocus": (1.0, 8.0)}, "blur by no more than size=64 pixels; .* blurs by 88. Lower"),
        ({"defocus": (1.0, 1.0), "pixel_size": 1.0}, "at 1.0 Angstrom/pixel blurs by 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Particles(**options)
