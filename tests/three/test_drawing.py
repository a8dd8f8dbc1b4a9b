"""Pictures of structures."""

import re

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from eqvae.three.drawing import (
    Skeleton,
    bonds_of,
    draw_structure,
    extent,
    panels,
    save_page,
    turning_frames,
)
from eqvae.three.drawing.panels import bar_length
from eqvae.three.structures import Structures

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


def test_no_backbone_goes_from_one_chain_to_the_next():
    """Two chains, the second begins 3.8 Angstrom behind the end of the first; two sulphurs bind chains."""
    at = torch.cat([chain(6), chain(6) + chain(7)[6] - chain(7)[0]])
    inside = [[i, i + 1] for i in range(11) if i != 5]
    assert bonds_of(at, ["C"] * 12, "A" * 6 + "B" * 6).tolist() == inside
    assert [5, 6] in bonds_of(at, ["C"] * 12).tolist()  # control: letters not known
    at = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [1.5, 2.0, 0], [0.0, 2.0, 0]])
    assert bonds_of(at, "CSSC", "AABB").tolist() == [[0, 1], [1, 2], [2, 3]]
    assert bonds_of(at - torch.tensor([0.0, 0.3, 0]), "CCNC", "AABB").tolist() == [[0, 1], [2, 3]]


def test_a_trace_stays_a_trace_where_it_touches_itself():
    at = chain(12)
    at[11] = at[0] + torch.tensor([1.2, 0, 0])
    at[10] = at[11] + torch.tensor([2.5, 2.5, 0])
    pairs = bonds_of(at, ["C"] * 12).tolist()
    assert [0, 11] not in pairs and len(pairs) >= 10
    assert bonds_of(at, ["C"] * 11 + ["N"]).tolist() == [[0, 11]]  # control: two elements, no trace
    phosphorus = torch.arange(5.0)[:, None] * torch.tensor([6.5, 0, 0])
    assert len(bonds_of(phosphorus, "P" * 5)) == 4 and not len(bonds_of(phosphorus, "C" * 5))


def test_of_large_structures_the_trace_is_drawn():
    """450 atoms: alpha carbons, carbons beside them, and ions of calcium, which are called CA too."""
    trace = chain(150)
    at = torch.cat([trace, trace + torch.tensor([1.5, 0, 0]), 40 + trace])
    elements = ("C",) * 300 + ("Ca",) * 150
    names = ("CA",) * 150 + ("CB",) * 150 + ("CA",) * 150
    whole = Structures(
        at[None], elements, names, ("ALA",) * 300 + ("CA",) * 150, chains=("A",) * 450
    )
    drawn = Skeleton.of(whole)
    assert drawn.atoms.tolist() == list(range(150)) and len(drawn.bonds) == 149
    assert torch.equal(drawn(whole.positions), whole.positions[:, :150])
    few = Skeleton.of(whole.atoms(torch.arange(100)))
    assert len(few.atoms) == 100
    assert len(Skeleton.of(Structures(at[None], elements)).atoms) == 450  # names not known


def test_panels_have_one_scale_and_a_bar_that_tells_it():
    at = torch.stack([chain(8), 1.4 * chain(8), chain(8) + 100])
    moved = at + torch.tensor([0.0, 6.0, 0])
    figure = panels([(at, "0.5"), (moved, "red")], ["a", "b", "c"])
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes}) == 1
    bars = [a for axis in figure.axes for a in axis.artists if isinstance(a, AnchoredSizeBar)]
    assert [bar.txt_label.get_text() for bar in bars] == ["2 Å"]
    (patch,) = bars[0].size_bar.get_children()
    assert patch.get_width() == 2 and bars[0].size_bar.get_transform() is not None
    for axis in figure.axes:  # the layers are not centred one by one
        first, second = (one.get_offsets().mean(axis=0) for one in axis.collections[1::2])
        assert abs(first).max() < 1e-5 and abs(second - [0, 6]).max() < 1e-4
    with pytest.raises(ValueError, match="titles must name every panel of 2 equal rows"):
        panels([(at, "0.5")], ["a", "b", "c"], rows=("up", "down"))


def test_a_heading_is_no_wider_than_the_figure():
    heading = "A heading that is longer than a single panel is wide"
    x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0))
    widths = {}
    for count in (1, 6):
        figure = panels([(x[:count], "red")], [""] * count, heading=heading)
        FigureCanvasAgg(figure).draw()
        (words,) = (t for t in figure.texts if t.get_text())
        assert words.get_window_extent().width < figure.bbox.width
        widths[count] = words.get_text().count("\n")
    assert widths[1] > 0 and widths[6] == 0


@pytest.mark.parametrize("most", [0.09, 0.1, 0.7, 1.0, 4.9, 5.1, 23.0, 499.0])
def test_the_bar_is_a_round_number_and_as_long_as_may_be(most):
    length = bar_length(most)
    assert length <= most < 2.5 * length
    assert f"{length:.0e}"[0] in "125"


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
