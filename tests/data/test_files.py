"""Which files of a folder are taken: every one, or it is said why not."""

import os

import numpy as np
import pytest
from PIL import Image

from eqvae.data import Folder
from eqvae.data.sources.stored import numbered

RANDOM = np.random.default_rng(0)


def picture(path, seed=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = RANDOM if seed is None else np.random.default_rng(seed)
    Image.fromarray(draw.integers(0, 255, (9, 9)).astype("u1")).save(path)


def said(found):
    return "\n".join(found.said)


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (".ipynb_checkpoints/a.png", "left out 1 hidden folders: .ipynb_checkpoints"),
        ("ant/.cache/a.png", "left out 1 hidden folders: ant/.cache"),
        ("__MACOSX/a.png", "left out 1 hidden folders: __MACOSX"),
        ("ant/0_mask.png", "left out 1 masks beside their images: ant/0_mask.png"),
        ("ant/notes.txt", "1 file(s) are no images by their names"),
    ],
)
def test_what_is_left_out_is_said(tmp_path, extra, line):
    for name in ("ant/0.png", "bee/1.png"):
        picture(tmp_path / name)
    path = tmp_path / extra
    if path.suffix == ".png":
        picture(path)
    else:
        path.write_text("")
    found = Folder(str(tmp_path)).load()
    assert found.names == ("ant/0.png", "bee/1.png")
    assert found.class_names == ("ant", "bee") and line in said(found)


def test_a_file_that_only_sounds_like_a_mask_is_an_image(tmp_path):
    for name in ("gas_mask.png", "b.png"):
        picture(tmp_path / name)
    assert len(Folder(str(tmp_path)).load()) == 2


def test_links_are_followed_once_and_dangling_ones_named(tmp_path):
    data, far = tmp_path / "data", tmp_path / "far"
    for name in ("ant/0.png", "ant/1.png"):
        picture(data / name)
    picture(far / "2.png")
    (data / "bee").symlink_to(far, target_is_directory=True)
    (data / "ant" / "3.png").symlink_to(far / "2.png")
    (data / "ant" / "round").symlink_to(data, target_is_directory=True)
    (data / "ant" / "gone.png").symlink_to(far / "nothing.png")
    found = Folder(str(data)).load()
    assert found.names == ("ant/0.png", "ant/1.png", "ant/3.png", "bee/2.png")
    assert "left out 1 links to nothing: ant/gone.png" in said(found)
    assert "1 files equal another byte by byte" in said(found)  # the link and what it leads to


def test_train_and_test_folders_are_parts_not_classes(tmp_path):
    for part in ("train", "test"):
        for kind in ("ant", "bee"):
            for i in range(2):
                picture(tmp_path / part / kind / f"{i}.png")
    found = Folder(str(tmp_path)).load()
    assert found.class_names == ("ant", "bee")
    assert [n for n, t in zip(found.names, found.is_test, strict=True) if t] == [
        f"test/{kind}/{i}.png" for kind in ("ant", "bee") for i in range(2)
    ]
    assert "parts of the data, not classes" in said(found)


def test_a_class_that_is_called_train_stays_a_class(tmp_path):
    for kind in ("train", "tram"):
        picture(tmp_path / kind / "0.png")
    found = Folder(str(tmp_path)).load()
    assert found.class_names == ("train", "tram") and found.is_test is None


def test_equal_files_never_come_into_two_splits(tmp_path):
    for i in range(10):
        picture(tmp_path / f"{i}.png", seed=i // 2)
    found = Folder(str(tmp_path)).load()
    assert found.groups.tolist() == [i - i % 2 for i in range(10)]
    assert "5 files equal another byte by byte" in said(found)


def test_classes_keep_their_numbers_in_other_folders(tmp_path):
    for kind in ("ant", "bee", "wasp"):
        picture(tmp_path / "old" / kind / "0.png")
    for kind in ("wasp", "zebra", "ant"):
        picture(tmp_path / "new" / kind / "0.png")
    old = Folder(str(tmp_path / "old")).load()
    new = Folder(str(tmp_path / "new"), classes=old.settings["classes"]).load()
    assert dict(zip(new.names, new.labels.tolist(), strict=True)) == {
        "ant/0.png": 0,
        "wasp/0.png": 2,
        "zebra/0.png": 3,
    }
    assert new.class_names == ("ant", "bee", "wasp", "zebra")
    assert "classes that the run did not know: zebra" in said(new)


def test_numbers_of_classes():
    labels, names, lines = numbered(["b", None, "a"], None)
    assert labels.tolist() == [1, -1, 0] and names == ("a", "b") and not lines


def test_settings_name_the_file_wherever_they_are_read(tmp_path, monkeypatch):
    picture(tmp_path / "images" / "0.png")
    picture(tmp_path / "images" / "1.png")
    monkeypatch.chdir(tmp_path)
    found = Folder("images").load()
    assert found.settings["path"] == os.path.realpath(tmp_path / "images")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder("~/images").load().names == found.names


def test_rows_count_what_was_left_out(tmp_path):
    for i in range(4):
        picture(tmp_path / f"{i}.png")
    Image.fromarray(np.zeros((9, 9), "u1")).save(tmp_path / "1.png")
    with pytest.warns(UserWarning, match="left out 1 of 4"):
        found = Folder(str(tmp_path), skip_unreadable=True).load()
    assert found.rows.tolist() == [0, 2, 3]
