"""Class averages: sharp where the poses are right, and the Fourier ring correlation that says so."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from eqvae.data import Sprites
from eqvae.domains import SquareGrid
from eqvae.embedding import Embedding, class_averages, write_averages
from eqvae.embedding.resolution import fourier_ring_correlation, mean_frc, resolution
from eqvae.embedding.sheet import averages_sheet, frc_figure
from eqvae.embedding.table import RowStream
from eqvae.embedding.upright import signs_undone
from eqvae.symmetry import PlaneMotions, angle_of, reflection_of, shift_of, with_angle
from tests.toys import toy_vae

SIZE = 41
N = 60


def embedding(g: torch.Tensor, cluster: np.ndarray | None = None) -> Embedding:
    """A table of known poses, in clusters."""
    n = len(g)
    columns = {"index": np.arange(n), "angle_degrees": np.rad2deg(angle_of(g).numpy()) % 360}
    columns |= {"content_0": np.linspace(-1, 1, n), "content_1": np.zeros(n)}
    columns |= dict(zip(("x_pixels", "y_pixels"), shift_of(g).numpy().T, strict=True))
    columns |= {
        "reflected": reflection_of(g).numpy() > 0.5,
        "log_likelihood": np.arange(n, dtype=float),
    }
    return Embedding(
        pa.table(columns | {"cluster": np.zeros(n, int) if cluster is None else cluster})
    )


@pytest.fixture(scope="module")
def sprite() -> torch.Tensor:
    """One upright object, (1, 1, H, H)."""
    x = Sprites(num_images=1, size=SIZE, radius=(10.0, 10.0), seed=1).load().images
    return x


@pytest.fixture(scope="module")
def posed(sprite) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy copies of it and their motions, mirrors among them."""
    generator = torch.Generator().manual_seed(0)
    g = PlaneMotions.o2().sample(N, shift=3.0, generator=generator).double()
    x = SquareGrid(SIZE).act(g, sprite.expand(N, -1, -1, -1), "fourier")
    return x + 0.1 * torch.randn(x.shape, generator=generator), g


def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.fixture(scope="module")
def averages(posed):
    x, g = posed
    return class_averages(toy_vae(SIZE).eval(), x, embedding(g), batch=25)


def test_the_aligned_average_is_the_upright_object_and_the_raw_one_is_not(averages, sprite):
    assert averages.count.tolist() == [N]
    # bicubic interpolation blurs the edges a little
    assert similarity(averages.aligned[0], sprite) > 0.97
    assert similarity(averages.raw[0], sprite) < 0.85
    assert averages.scores["aligned_frc"][0] > 0.9
    assert averages.scores["raw_frc"][0] < averages.scores["aligned_frc"][0] - 0.2


def test_wrong_poses_give_a_blur(posed, sprite):
    x, g = posed
    wrong = with_angle(g, angle_of(g).roll(1))
    blurred = class_averages(toy_vae(SIZE).eval(), x, embedding(wrong))
    assert similarity(blurred.aligned[0], sprite) < 0.85
    assert blurred.scores["aligned_frc"][0] < 0.8


def test_batches_and_threads_of_the_table_do_not_matter(averages, posed):
    x, g = posed
    again = class_averages(toy_vae(SIZE).eval(), list(x.split(7)), embedding(g), batch=4)
    torch.testing.assert_close(again.aligned, averages.aligned)
    np.testing.assert_allclose(again.aligned_frc, averages.aligned_frc, atol=1e-5)
    assert again.unusual[0].index == averages.unusual[0].index


def test_the_unusual_are_the_least_likely_and_the_typical_are_the_closest(averages):
    assert averages.unusual[0].index == [0, 1, 2, 3]
    assert set(averages.typical[0].index) == {N // 2 - 2, N // 2 - 1, N // 2, N // 2 + 1}
    assert averages.typical[0].images.shape == (4, 1, SIZE, SIZE)


def test_clusters_are_kept_apart_largest_first(posed):
    x, g = posed
    cluster = np.where(np.arange(N) < N // 3, 4, 9)
    both = class_averages(toy_vae(SIZE).eval(), x, embedding(g, cluster), shown=2)
    assert both.cluster.tolist() == [9, 4] and both.count.tolist() == [40, 20]
    alone = class_averages(toy_vae(SIZE).eval(), x[: N // 3], embedding(g[: N // 3]))
    torch.testing.assert_close(both.aligned[1], alone.aligned[0])
    assert both.unusual[0].index == [20, 21]


def test_a_bright_background_leaves_no_trace_of_the_frame(posed):
    _, g = posed
    flat = torch.full((N, 1, SIZE, SIZE), 0.7)
    found = class_averages(toy_vae(SIZE).eval(), flat, embedding(g))
    torch.testing.assert_close(found.aligned, flat[:1], atol=1e-6, rtol=0)
    assert (found.aligned_frc == 0).all()  # nothing is there to be reproduced


def test_one_image_alone_has_an_average_but_no_frc(posed, tmp_path):
    x, g = posed
    found = class_averages(toy_vae(SIZE).eval(), x[:1], embedding(g[:1]))
    assert np.isnan(found.aligned_frc).all() and found.aligned.isfinite().all()
    write_averages(found, tmp_path)


def test_the_sheet_and_the_arrays_are_written(averages, tmp_path):
    write_averages(averages, tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {"averages.png", "averages.npz", "frc.png"}
    arrays = np.load(tmp_path / "averages.npz")
    np.testing.assert_array_equal(arrays["aligned"], averages.aligned)
    assert averages_sheet(averages).width > 8 * SIZE
    assert "aligned by pose" in str(
        [text.get_text() for text in frc_figure(averages).axes[0].get_legend().get_texts()]
    )


def test_frc_is_1_for_equal_images_and_does_not_see_their_contrast():
    x = torch.rand(3, 32, 32)
    frequency, frc = fourier_ring_correlation(x, 2.5 * x)
    torch.testing.assert_close(frc, torch.ones_like(frc))
    assert frequency[0] == 0 and frequency[-1] == 0.5 and frc.shape == (3, 17)
    torch.testing.assert_close(fourier_ring_correlation(x, -x)[1], -torch.ones_like(frc))


def test_frc_of_independent_noise_is_0_within_what_the_ring_holds():
    a, b = torch.randn(2, 400, 24, 24)
    _, frc = fourier_ring_correlation(a, b)
    axis = np.fft.fftfreq(24) * 24
    ring = np.hypot(axis[:, None], axis).round().astype(int)
    held = np.bincount(ring.ravel())[1:13]  # real numbers in each ring, as images are real
    spread = frc[:, 1:].std(dim=0).numpy()
    np.testing.assert_allclose(spread, 1 / np.sqrt(held), rtol=0.15)  # 400 draws: +- 4 %
    assert frc[:, 1:].mean(dim=0).abs().max() < 4 / math.sqrt(400 * held.min())


def test_frc_of_signal_and_noise_is_the_share_of_the_signal():
    signal = torch.randn(200, 24, 24)
    a, b = (signal + torch.randn(200, 24, 24) for _ in range(2))
    _, frc = fourier_ring_correlation(a, b)
    np.testing.assert_allclose(frc[:, 4:].mean(), 0.5, atol=0.02)


def test_frc_is_the_formula():
    a, b = torch.randn(2, 9, 9, dtype=torch.float64)
    fa, fb = np.fft.fft2(a.numpy()), np.fft.fft2(b.numpy())
    axis = np.fft.fftfreq(9) * 9
    on = np.abs(np.hypot(axis[:, None], axis) - 3) < 0.5
    power = (np.abs(fa[on]) ** 2).sum() * (np.abs(fb[on]) ** 2).sum()
    expected = (fa[on] * fb[on].conj()).real.sum() / np.sqrt(power)
    np.testing.assert_allclose(fourier_ring_correlation(a, b)[1][3], expected)


def test_frc_of_nothing_is_0():
    zero = torch.zeros(16, 16)
    assert (fourier_ring_correlation(zero, zero)[1] == 0).all()


def test_frc_refuses_images_that_differ_in_shape():
    with pytest.raises(ValueError, match="square images of one shape"):
        fourier_ring_correlation(torch.zeros(4, 4), torch.zeros(5, 5))
    with pytest.raises(ValueError, match="square images of one shape"):
        fourier_ring_correlation(torch.zeros(4, 5), torch.zeros(4, 5))


def test_one_number_from_a_curve():
    frequency = np.linspace(0, 0.5, 11)
    falling = 1 - 2 * frequency
    assert mean_frc(frequency, falling) == pytest.approx(1 - 2 * 0.15)
    assert resolution(frequency, falling) == pytest.approx(2 / (1 - 0.143))
    assert resolution(frequency, np.ones(11)) == 2
    assert resolution(frequency, np.zeros(11)) == 20
    assert np.isnan(resolution(frequency, np.full(11, np.nan)))


def test_signs_of_optics_are_undone():
    x = torch.rand(2, 1, 16, 16)
    even = torch.full((2, 5), 0.3)
    torch.testing.assert_close(signs_undone(x, even), x)
    torch.testing.assert_close(signs_undone(x, -even), -x)


def test_rows_come_in_the_numbers_asked_for():
    parts = pa.table({"i": np.arange(10)}).to_batches(3)
    rows = RowStream(iter(parts))
    assert [rows.take(n).column("i").to_pylist() for n in (1, 5, 4)] == [
        [0],
        [1, 2, 3, 4, 5],
        [6, 7, 8, 9],
    ]
    assert not rows.left()


def test_mistakes_are_named(posed):
    x, g = posed
    vae = toy_vae(SIZE).eval()
    with pytest.raises(ValueError, match="more than the embedding has rows"):
        class_averages(vae, x, embedding(g[:50]))
    with pytest.raises(ValueError, match="more rows than there are images"):
        class_averages(vae, x[:50], embedding(g))
    table = embedding(g).table
    empty = table.set_column(
        table.schema.get_field_index("cluster"), "cluster", pa.nulls(N, pa.int64())
    )
    with pytest.raises(ValueError, match="must have clusters"):
        class_averages(vae, x, Embedding(empty))
