"""Detectors with hexagonal pixels: layouts found from centres, sensors, and what is no lattice."""

import math

import numpy as np
import pytest
import torch

from eqvae.config import build, compose
from eqvae.data import Detector, HexagonalSensor, ImageDataModule, Sprites, SquareSensor, Upright
from eqvae.data.layout import HexagonalLayout
from eqvae.domains import HexagonalGrid, SquareGrid


def camera(steps: int = 8, spacing: float = 0.05, degrees: float = 17.0, seed: int = 0):
    """Axial numbers and centres of a hexagonal camera, in an order of no meaning."""
    grid = HexagonalGrid(2 * steps + 1, spacing=1.0)
    points = grid.points(dtype=torch.float64)[grid.hexagon() > 0].numpy()
    points = np.random.default_rng(seed).permutation(points)
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    return points, spacing * points @ turn.T + (3.0, -40.0)


@pytest.mark.parametrize("degrees", [0.0, 17.0, 29.9, -25.0])
def test_a_layout_is_found_whatever_its_unit_orientation_and_origin(degrees):
    """With 3 % of jitter and pixels missing; brightness that is x stays x, turned to level rows."""
    points, centres = camera(20, degrees=degrees)
    rng = np.random.default_rng(1)
    kept = rng.permutation(len(points))[:-25]
    noise = 0.03 * 0.05 * np.clip(rng.standard_normal(centres.shape), -2, 2)
    layout = HexagonalLayout.of((centres + noise)[kept])
    assert layout.spacing == pytest.approx(0.05, rel=1e-3)
    assert math.degrees(layout.orientation) == pytest.approx(degrees, abs=0.1)
    assert layout.origin == pytest.approx((3.0, -40.0), abs=0.003) and layout.off < 0.1
    assert 15 <= layout.missing <= 25 and layout.domain.size == 41
    grid = layout.domain
    assert grid.spacing * math.sqrt(3) / 2 == pytest.approx(1)
    values = layout.stored(np.stack([points[kept, 0], points[kept, 1]]))[:, 0]
    seen = torch.zeros(grid.shape, dtype=torch.bool)
    seen[20 - layout.axial[:, 1], 20 + layout.axial[:, 0]] = True
    expected = grid.points(dtype=torch.float64)[seen] / grid.spacing
    np.testing.assert_allclose(values[:, seen.numpy()].T, expected, atol=1e-9)


def test_what_is_no_hexagonal_lattice_is_refused():
    square = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1).reshape(-1, 2)
    scattered = np.random.default_rng(0).random((50, 2))
    _, centres = camera()
    off = centres.copy()
    off[17] += 0.015
    stretched = centres * (1.0, 1.3)
    for wrong in (square, scattered, off, stretched):
        with pytest.raises(ValueError, match="centres of pixels form no hexagonal lattice: pixel"):
            HexagonalLayout.of(wrong)
    with pytest.raises(ValueError, match="pixel 17 lies"):
        HexagonalLayout.of(off)
    with pytest.raises(ValueError, match="must be finite"):
        HexagonalLayout.of(np.where(centres > 3, np.nan, centres))
    with pytest.raises(ValueError, match="at least 7; got shape \\(3, 2\\)"):
        HexagonalLayout.of(centres[:3])
    with pytest.raises(ValueError, match="two of them are in one place"):
        HexagonalLayout.of(np.concatenate([centres, centres[:1] + 1e-4]))
    with pytest.raises(ValueError, match="most of them are in one place"):
        HexagonalLayout.of(np.ones((9, 2)))


def showers(points: np.ndarray, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(2)
    middle, width = 3 * rng.standard_normal((count, 1, 2)), (1.5, 0.8)
    away = (points - middle) / width
    return np.exp(-0.5 * (away**2).sum(-1)).astype(np.float32) + 0.01 * rng.random((count, 1))


def test_a_detector_is_read_onto_its_lattice_and_onto_square_pixels(tmp_path):
    points, centres = camera()
    values = showers(points).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=values, pixels=centres, kind=np.arange(len(values)) % 2)
    table = "x,y\n" + "\n".join(f"{x},{y}" for x, y in centres)
    (tmp_path / "pixels.csv").write_text(table)
    own = ["data=detector", f"data.source.path={tmp_path}/a.npz", "data.source.label=kind"]
    config = compose([*own, "domain=hexagonal"])["data"]
    table = {**config["source"], "pixels": f"{tmp_path}/pixels.csv"}
    module = build(config, path="data")
    other = build({**config, "source": table}, path="data")
    square = build({k: v for k, v in config.items() if k != "sensor"}, path="data")
    for part in (module, other, square):
        part.setup()
    assert module.domain == HexagonalGrid(17) and square.domain == SquareGrid(17)
    images = module.train.images
    assert images.shape[1:] == (1, 17, 17) and module.images.pixel_size[0] == pytest.approx(
        0.05 * math.sqrt(3) / 2
    )
    assert torch.equal(images, other.train.images)
    inside = module.domain.hexagon() > 0
    order = np.lexsort((points[:, 0].round(6), -points[:, 1].round(6)))
    expected = module.images.images[module.train.indices][:, 0, inside]
    assert torch.equal(images[:, 0, inside], expected)
    raw = torch.from_numpy(values[module.train.indices][:, order])
    correlation = torch.corrcoef(torch.stack([raw.flatten(), expected.flatten()]))[0, 1]
    assert correlation > 0.999
    back = module.domain.to_pixels(images, 17).clamp(0, 1)
    torch.testing.assert_close(square.train.images, back)


def test_errors_of_a_detector_name_the_key(tmp_path):
    points, centres = camera()
    np.savez(tmp_path / "a.npz", images=showers(points)[:, :-1], pixels=centres)
    np.savez(tmp_path / "b.npz", values=showers(points))
    with pytest.raises(ValueError, match=r"image='images' must be numbers of shape \(N, 217\)"):
        Detector(str(tmp_path / "a.npz")).load()
    with pytest.raises(ValueError, match="image='images' is not in.*data.source.image=KEY"):
        Detector(str(tmp_path / "b.npz")).load()
    with pytest.raises(ValueError, match="path of the archive is not set"):
        Detector().load()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Detector(str(tmp_path / "c.npz")).load()
    (tmp_path / "d.npz").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match="cannot be read as an .npz archive"):
        Detector(str(tmp_path / "d.npz")).load()
    with pytest.raises(ValueError, match="tolerance must be between 0 and 0.5"):
        Detector(tolerance=0.5)


def test_sensors_say_where_pictures_live_and_keep_what_they_show():
    """The same objects on both; the lattice sees them where they are, and a mirrored one would not."""
    source = Sprites(num_images=12, size=32, radius=(8.0, 9.0))
    pictures = {}
    for sensor in (SquareSensor(), HexagonalSensor()):
        module = ImageDataModule(source, Upright(), sensor=sensor)
        module.setup()
        pictures[type(sensor).__name__] = module
    square, lattice = pictures["SquareSensor"], pictures["HexagonalSensor"]
    assert (square.domain, lattice.domain) == (SquareGrid(32), HexagonalGrid(33))
    assert lattice.image_shape == (1, 33, 33) and lattice.side == 32
    x, y = square.train.images, lattice.train.images
    assert y.min() >= 0 and y.max() <= 1
    back = lattice.domain.to_pixels(y, 32)
    assert (back - x).norm() < 0.1 * x.norm() < (back - x.flip(-2)).norm()
    assert torch.equal(square.train.poses, lattice.train.poses)


def test_sensors_and_lattices_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="spacing must be positive"):
        HexagonalSensor(0.0)
    with pytest.raises(ValueError, match="spacing must be 1.1547, that of the lattice"):
        HexagonalSensor(1.0).domain(HexagonalGrid(9))
    with pytest.raises(ValueError, match="sensor must be a Sensor; got 3"):
        ImageDataModule(Sprites(num_images=4), Upright(), sensor=3)
