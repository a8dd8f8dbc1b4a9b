"""Images that do not fit into memory are refused before they are made."""

import numpy as np
import pytest

from eqvae.data import ImageDataModule, Npz, Sprites, Upright, room


def test_what_is_free_is_told_and_no_more_than_the_machine_has():
    free = room.free_memory()
    assert free is None or 2**26 < free < 2**46


@pytest.mark.parametrize("limit", ["max", "1000000000"])
def test_the_limit_of_a_container_counts(limit, tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text("600000000\n")
    monkeypatch.setattr(room, "_CGROUP", tmp_path)
    free = room.free_memory()
    assert (free == 400_000_000) == (limit != "max")


def test_images_that_do_not_fit_are_one_sentence(monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 2**20)
    data = ImageDataModule(Sprites(600, size=28), Upright())
    with pytest.raises(
        ValueError, match=r"480 posed images need about 0.0 GiB, .* has 0.0 GiB free"
    ):
        data.setup()
    monkeypatch.setattr(room, "free_memory", lambda: None)  # a system that does not say it
    data.setup()


def test_a_packed_archive_is_asked_about_before_it_is_unpacked(tmp_path, monkeypatch):
    for name, save in (("packed", np.savez_compressed), ("flat", np.savez)):
        save(tmp_path / name, images=np.random.default_rng(0).integers(0, 255, (99, 9, 9), "u1"))
    monkeypatch.setattr(room, "free_memory", lambda: 5000)
    with pytest.raises(ValueError, match="unpacked numbers of 'images' need about"):
        Npz(str(tmp_path / "packed.npz")).load()
    assert len(Npz(str(tmp_path / "flat.npz")).load()) == 99
