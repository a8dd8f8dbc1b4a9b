"""Grey values mean the same however they are stored; what is chosen once is kept."""

import numpy as np
import pytest

from eqvae.data import Grey
from eqvae.data.formats import Stored
from eqvae.data.grey import is_dark_on_bright, ring
from eqvae.data.sources import stored

RANDOM = np.random.default_rng(0)


def bumps(n: int = 40, size: int = 21) -> np.ndarray:
    """Bright objects on black, (N, 1, H, H) in [0, 1]."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    wide = RANDOM.uniform(2, 4, (n, 1, 1))
    return np.exp(-(x**2 + (1.3 * y) ** 2) / (2 * wide**2))[:, None]


def brightness(values, grey):
    """As sources read it, all images at once."""
    images, settings, said = stored.brightness(Stored.array(values), grey)
    return images[:], settings, said


BUMPS = bumps()
STORED = {
    "uint8": (255 * BUMPS).round().astype("u1"),
    "10 bits": (1023 * BUMPS).round().astype("u2"),
    "12 bits": (4095 * BUMPS).round().astype("u2"),
    "14 bits, big-endian": (16383 * BUMPS).round().astype(">u2"),
    "uint16": (65535 * BUMPS).round().astype("u2"),
    "int32": (4095 * BUMPS).round().astype("i4"),
    "float": BUMPS,
    "half": BUMPS.astype("f2"),
    "float beyond 1 by rounding": BUMPS * (1 + 3e-7),
    "dark on white": 255 - (255 * BUMPS).round().astype("u1"),
    "dark on white, 12 bits": 4095 - (4095 * BUMPS).round().astype("u2"),
    "dark on white, float": 1 - BUMPS,
}
AFFINE = {
    "floats up to 255": 255 * BUMPS,
    "z-scored": (BUMPS - BUMPS.mean()) / BUMPS.std(),
    "negative": 3 * BUMPS - 40,
    "int16": (20000 * BUMPS - 10000).astype("i2"),
    "dark, z-scored": -(BUMPS - BUMPS.mean()) / BUMPS.std(),
}


@pytest.mark.parametrize("kind", STORED)
def test_the_same_images_are_read_alike_however_they_are_stored(kind):
    y, _, _ = brightness(STORED[kind], Grey())
    assert np.abs(y.numpy() - BUMPS).max() < 0.003


@pytest.mark.parametrize("kind", AFFINE)
def test_other_ranges_become_the_unit_interval(kind):
    """Up to the share of the brightest and darkest that percentiles leave out."""
    y, settings, said = brightness(AFFINE[kind], Grey())
    slope = np.corrcoef(y.numpy().ravel(), BUMPS.ravel())[0, 1]
    assert slope > 0.999 and y.min() < 1e-6
    assert said and "grey values" in said[0]


def test_what_is_nearly_black_is_stretched():
    faint = (300 * BUMPS).astype("u2")
    faint[0, 0, 0, 0] = 60000  # one hot pixel
    y, _, _ = brightness(faint, Grey())
    assert y.max() == 1 and np.quantile(y.numpy(), 0.99) > 0.5


def test_percentiles_are_those_of_all_columns(monkeypatch):
    """More pixels than are looked at, in rows that a step through them would hit at one place only."""
    monkeypatch.setattr("eqvae.data.grey._SAMPLE", 16 * 400)
    images = np.zeros((400, 1, 16, 16), np.float32)
    images[..., 5:9] = np.arange(1, 401, dtype=np.float32)[:, None, None, None]
    chosen = Grey(invert=False).settled(images)
    assert chosen.low == 0 and chosen.high > 380


@pytest.mark.parametrize("mode", ["auto", "dtype", "range", "percentile", "zscore", "background"])
def test_what_is_chosen_once_reads_other_images_alike(mode):
    chosen = Grey(mode).settled(STORED["12 bits"])
    assert chosen.settled(STORED["12 bits"][:3]) == chosen
    whole = chosen.read(STORED["12 bits"])
    assert np.array_equal(whole[:5], chosen.read(STORED["12 bits"][:5]))
    assert 0 <= whole.min() < whole.max() <= 1
    assert not chosen.invert
    y, settings, _ = brightness(STORED["12 bits"], chosen)
    again = {k: v for k, v in settings["grey"].items() if k != "_target_"}
    assert Grey(**again) == chosen


def test_background_and_zscore_forget_gain_and_offset_of_each_image():
    gain, offset = RANDOM.uniform(1, 9, (40, 1, 1, 1)), RANDOM.normal(0, 5, (40, 1, 1, 1))
    noisy = BUMPS + 0.05 * RANDOM.normal(size=BUMPS.shape)
    for mode, right in (("zscore", True), ("background", True), ("percentile", False)):
        plain, moved = (
            Grey(mode, invert=False).settled(x).read(x) for x in (noisy, gain * noisy + offset)
        )
        assert (np.abs(plain - moved).max() < 1e-3) == right


def test_dark_objects_are_told_by_what_lies_around_them():
    noise = 0.3 * RANDOM.normal(size=(400, 1, 21, 21))
    faint = 0.5 + 0.1 * bumps(400) + noise  # signal below the noise
    assert not is_dark_on_bright(faint) and is_dark_on_bright(1 - faint)
    assert is_dark_on_bright(1 - BUMPS) and not is_dark_on_bright(BUMPS)
    assert not is_dark_on_bright(0.6 + noise)  # nothing to see
    assert not is_dark_on_bright(1 - BUMPS[:4])  # too few to say
    assert not is_dark_on_bright(RANDOM.random((40, 1, 9, 9)) > 0.3)


def test_rings_lie_outside_the_disc():
    inside = ~ring(9, 9).reshape(9, 9)
    assert inside[4, 0] and inside[4, 4] and not inside[0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalise": "max"}, "normalise must be one of auto, dtype, .*; got 'max'"),
        ({"invert": "yes"}, "invert must be true, false or auto; got 'yes'"),
        ({"low": float("nan")}, "low must be a finite number, or null to find it; got nan"),
        ({"high": "big"}, "high must be a finite number, or null to find it; got 'big'"),
        ({"low": 2.0, "high": 1.0}, "low must be below high; got 2.0 and 1.0"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Grey(**options)


def test_numbers_without_order_and_unsettled_choices_are_refused():
    with pytest.raises(ValueError, match="must be whole numbers or floats; got complex"):
        Grey().settled(BUMPS * 1j)
    with pytest.raises(ValueError, match="Call settled first"):
        Grey().read(BUMPS)


def test_what_lies_outside_given_numbers_is_said():
    _, _, said = brightness(STORED["12 bits"], Grey("dtype", low=0, high=1000, invert=False))
    assert "lie outside 0 to 1000 and are cut off" in said[-1]
