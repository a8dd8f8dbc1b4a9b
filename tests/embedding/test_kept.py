"""An embedding that was stopped or killed goes on, and ends in the same bytes."""

import pytest
import torch

from eqvae.config import build, compose
from eqvae.data import ImageDataModule, ImageSet, Upright
from eqvae.embedding import write_embedding
from eqvae.embedding.dataset import InOrder
from eqvae.embedding.files import PART
from tests.embedding.test_table import SIZE, TINY

KEY = "weights and images"


class Stopped(InOrder):
    """Ends in Ctrl-C after some batches."""

    def after(self, done):
        return Stopped(self._data, self._split, self.size, done)

    def __iter__(self):
        for i, batch in enumerate(super().__iter__()):
            if i == 3:
                raise KeyboardInterrupt
            yield batch


@pytest.fixture(scope="module")
def subject():
    config = compose(["model=harmonic", *TINY["harmonic"]], image_shape=(1, SIZE, SIZE))
    torch.manual_seed(0)
    model = build(config["model"], path="model").eval()

    class Source:
        def load(self):
            return ImageSet(torch.rand(43, 1, SIZE, SIZE), labels=torch.arange(43) % 3)

    data = ImageDataModule(Source(), Upright())
    data.setup()
    return model, data


def embedded(subject, folder, order=InOrder, key=KEY):
    model, data = subject
    batches = order(data, "all", 6)
    names = [f"{i}.png" for i in range(len(data.images))]
    path = write_embedding(model, batches, folder, clusters=2, batch=6, names=names, key=key)
    return path.read_bytes(), (folder / "embedding.csv").read_bytes()


@pytest.fixture(scope="module")
def whole(subject, tmp_path_factory):
    return embedded(subject, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("cut", [0, 1, 500, 2500])
def test_it_goes_on_behind_the_rows_that_are_whole(subject, whole, tmp_path, cut):
    """Stopped twice, and the second time cut off in the middle of writing."""
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            embedded(subject, tmp_path, Stopped)
    kept = (tmp_path / PART).read_bytes()
    (tmp_path / PART).write_bytes(kept[: len(kept) - cut])
    seen = []

    class Watched(InOrder):
        def after(self, done):
            seen.append(done)
            return super().after(done)

    assert embedded(subject, tmp_path, Watched) == whole
    assert seen and seen[0] % 6 == 0 and 6 <= seen[0] <= 30 and (cut > 1 or seen[0] == 30)
    assert not list(tmp_path.glob("*.part*"))


def test_one_that_ended_while_it_took_up_rows_goes_on(subject, whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        embedded(subject, tmp_path, Stopped)
    (tmp_path / PART).rename(tmp_path / f"{PART}.before")
    (tmp_path / PART).write_bytes(b"half a copy")
    assert embedded(subject, tmp_path) == whole


@pytest.mark.parametrize("key", ["other", None])
def test_rows_of_other_images_or_weights_are_not_taken(subject, whole, tmp_path, key):
    with pytest.raises(KeyboardInterrupt):
        embedded(subject, tmp_path, Stopped)

    class Watched(InOrder):
        def after(self, done):
            raise AssertionError(done)

    assert embedded(subject, tmp_path, Watched, key) == whole
    assert not list(tmp_path.glob("*.part*"))
