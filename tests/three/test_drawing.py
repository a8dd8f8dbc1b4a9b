"""Pictures of structures."""

import re

import pytest
import torch
from matplotlib.figure import Figure

from eqvae.three.drawing import bonds_of, draw_structure, extent, save_page, turning_frames

WATER = torch.tensor(
    [[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]], dtype=torch.float64
)
OHH = ("O", "H", "H")


def chain(n: int) -> torch.Tensor:
    t = torch.arange(n, dtype=torch.float64)
    return torch.stack([2.3 * (1.7 * t).cos(), 2.3 * (1.7 * t).sin(), 1.5 * t], dim=1)


def test_bonds_are_those_of_chemistry():
    assert bonds_of(WATER, OHH).tolist() == [[0, 1], [0, 2]]


def test_alpha_carbons_are_bound_along_the_chain_and_not_across_a_gap():
    at = chain(8)
    at[4:] += 20
    pairs = bonds_of(at, ["C"] * 8).tolist()
    assert pairs == [[i, i + 1] for i in range(7) if i != 3]


def test_what_is_near_is_drawn_last():
    axis = Figure().add_subplot()
    at = torch.tensor([[0.0, 0, 5], [1, 0, 0], [2, 0, -5]])
    draw_structure(axis, at, ("O", "N", "C"))
    drawn = axis.collections[-1].get_offsets()[:, 0].tolist()
    assert drawn == [1.0, 0.0, -1.0]  # from far to near, the centroid in the middle


def test_everything_stays_inside_however_it_turns():
    at = chain(30)
    frames = turning_frames({"a": at, "b": at + 3}, ["C"] * 30, frames=3, axis=(1, 2, 3))
    assert len(frames) == 3 and len({f.size for f in frames}) == 1
    first, second = (f.convert("L").point(lambda v: 255 * (v < 250)) for f in frames[:2])
    assert first.tobytes() != second.tobytes()
    for frame in (first, second):  # a margin of white on all sides
        left, _, right, bottom = frame.getbbox()
        assert left > 0 and right < frame.width and bottom < frame.height
    assert (at - at.mean(0)).norm(dim=1).max() < extent(at)


def test_the_page_holds_every_conformation_and_its_library(tmp_path):
    pytest.importorskip("plotly", reason="the extra turning is not installed")
    path = torch.stack([WATER, 1.1 * WATER, 1.2 * WATER])
    save_page(tmp_path / "page.html", {"path": path, "still": WATER}, OHH, title="water")
    text = (tmp_path / "page.html").read_text()
    assert "conformation " in text and not re.search(r"<script[^>]*src=", text)
    with pytest.raises(ValueError, match="one number of conformations.*3 of a, 2 of b"):
        save_page(tmp_path / "page.html", {"a": path, "b": path[:2]}, OHH)


def test_elements_of_another_length_are_refused():
    with pytest.raises(ValueError, match="elements must name each of the 3 atoms; got 2"):
        draw_structure(Figure().add_subplot(), WATER, OHH[:2])


def test_bonds_that_are_given_are_drawn(monkeypatch):
    """A chain whose atoms come near each other by chance is not bound there, if its trace is given."""
    drawn = []
    monkeypatch.setattr(
        "eqvae.three.drawing.turning.draw_structure",
        lambda *_, bonds, **__: drawn.append(bonds.tolist()),
    )
    turning_frames({"water": WATER}, OHH, frames=1)
    turning_frames({"water": WATER}, OHH, frames=1, bonds=torch.tensor([[1, 2]]))
    assert drawn == [bonds_of(WATER, OHH).tolist(), [[1, 2]]]
