"""Pictures: their layout, their pixels and their files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPosterior, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.drawing import (
    orbit_frames,
    orbit_picture,
    reconstruction_picture,
    sample_picture,
    save_gif,
)
from eqvae.models.vae import VAE
from eqvae.symmetry import Representation

LATENT = Representation(multiplicities=(2, 1))


class Still(nn.Module):
    """Encodes everything at the origin, or decodes everything to one grey image."""

    def __init__(self, channels: int | None = None):
        super().__init__()
        self.representation = LATENT
        self.channels, self.domain = channels, SquareGrid(20)

    def forward(self, x: Tensor) -> Tensor | GaussianPosterior:
        if self.channels is None:
            nothing = torch.zeros(len(x), LATENT.dim)
            return GaussianPosterior(LATENT, nothing, torch.zeros(len(x), LATENT.num_copies))
        return torch.full((len(x), self.channels, 20, 20), 0.5)


def still(channels: int) -> VAE:
    return VAE(Still(), Still(channels), GaussianPrior(LATENT), GaussianLikelihood())


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_picture_is_drawn_for_any_number_of_channels(channels: int) -> None:
    vae, x = still(channels), Batch(torch.rand(4, channels, 20, 20))
    for picture in (
        reconstruction_picture(vae, x),
        sample_picture(vae, rows=2, columns=3),
        orbit_picture(vae, x[:1], columns=3),
        *orbit_frames(vae, x[:2], frames=2),
    ):
        assert picture.mode == "RGB"
        assert min(picture.size) > 100


def test_pixels_are_shown_as_they_are() -> None:
    x = torch.zeros(1, 3, 20, 20)
    x[:, 0, :10] = 1.0  # the upper half is red
    picture = np.asarray(reconstruction_picture(still(3), Batch(x))).astype(int)
    red = (picture == [255, 0, 0]).all(axis=-1)
    grey = (abs(picture - 128) <= 1).all(axis=-1)
    black = (picture == [0, 0, 0]).all(axis=-1)
    side = 20 * 7  # tiles of about 140 pixels
    assert red.sum() == side * side / 2
    assert grey.sum() >= side * side  # the reconstruction
    assert black.sum() >= side * side / 2
    assert np.argwhere(red)[:, 0].max() < np.argwhere(black)[:, 0].max()


def test_pictures_leave_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    sample_picture(still(1))
    x = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    orbit_picture(still(1), Batch(x))
    assert torch.equal(before, torch.get_rng_state())


def test_a_gif_has_all_frames_and_no_end(tmp_path: Path) -> None:
    x = Batch(torch.rand(2, 1, 20, 20))
    save_gif(orbit_frames(still(1), x, frames=5), tmp_path / "orbit.gif")
    with Image.open(tmp_path / "orbit.gif") as gif:
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0


def test_the_optics_of_the_images_reach_the_model(monkeypatch) -> None:
    model, seen = still(1), []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch: seen.append(batch.transfer) or encode(batch))
    batch = Batch(torch.rand(2, 1, 20, 20), transfer=torch.rand(2, 5))
    reconstruction_picture(model, batch)
    orbit_picture(model, batch[:1], columns=2)
    orbit_frames(model, batch, frames=1)
    assert len(seen) == 7  # one of the reconstructions, two of each orbit
    assert all(
        any(torch.equal(row, known) for known in batch.transfer) for rows in seen for row in rows
    )
