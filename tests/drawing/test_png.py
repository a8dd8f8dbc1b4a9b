"""PNG of figures: drawn once, the same for files and pages."""

import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from eqvae.drawing.png import png, save_figure


def test_a_figure_is_drawn_once(monkeypatch, tmp_path):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    first = png(figure)
    assert Image.open(io.BytesIO(first)).size == (220, 110)
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    assert png(figure) == first
    save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes() == first
    plt.close(figure)


def test_an_image_keeps_its_pixels(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    save_figure(Image.fromarray(pixels), tmp_path / "image.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "image.png")), pixels)
