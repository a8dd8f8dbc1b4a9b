"""A structure seen from one side: bonds and atoms from far to near, x to the right and y up.

The viewer looks down the z axis. What is near is drawn last, larger and darker than what is far.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from scipy.spatial import KDTree
from torch import Tensor

COLOURS = {"H": "#d9d9d9", "C": "#4a5568", "N": "#2b6cb0", "O": "#c53030", "S": "#d69e2e"}
OTHER = "#6b46c1"
RADII = {"H": 0.31, "C": 0.76, "N": 0.71, "O": 0.66, "F": 0.57, "P": 1.07, "S": 1.05, "Cl": 1.02}
_COMMON = 0.8  # of an element that is not named
_STRETCH = 1.25  # how much longer than its radii a bond may be
# between neighbours along a chain of alpha carbons, Angstrom, where 3.8 is what most have, and of phosphorus
_STEP, _STEP_OF_P = 4.5, 7.5
_FADED = 0.35  # how much of its colour the farthest atom keeps


def bonds_of(
    positions: Tensor, elements: Sequence[str], chains: Sequence[str] | None = None
) -> Tensor:
    """Pairs of atoms (M, 2) that are drawn as bound.

    Two atoms are, if they are no farther apart than 1.25 times the sum of their covalent radii. Where no two
    are, or few in a structure of one element, as among alpha carbons whose chain comes near itself,
    neighbours in the list are instead, up to 4.5 Angstrom, 7.5 between two of phosphorus. Between chains only
    two atoms of sulphur are bound.

    Args:
        positions: (N, 3), Angstrom.
        elements: their symbols.
        chains: the chain of each atom; None where not known.

    References: Cordero et al., Covalent radii revisited (2008), https://doi.org/10.1039/b801115j.
    """
    n = len(positions)
    kinds = [e.capitalize() for e in elements]
    radii = torch.tensor([RADII.get(kind, _COMMON) for kind in kinds], dtype=torch.float64)
    places = positions.detach().double().cpu()
    longest = 2 * _STRETCH * float(radii.max()) if n else 0.0
    near = KDTree(places.numpy()).query_pairs(longest, output_type="ndarray")
    pairs = torch.from_numpy(near[np.lexsort(near.T[::-1])].astype(np.int64))
    length = (places[pairs[:, 0]] - places[pairs[:, 1]]).norm(dim=1)
    pairs = pairs[length < _STRETCH * radii[pairs].sum(dim=1)]
    if not len(pairs) or (len(set(kinds)) == 1 and len(pairs.unique()) < n / 2):
        row = torch.arange(max(0, n - 1))
        pairs = torch.stack([row, row + 1], dim=1)
        step = torch.tensor([_STEP_OF_P if kind == "P" else _STEP for kind in kinds])
        pairs = pairs[(places[1:] - places[:-1]).norm(dim=1) < step[pairs].amin(dim=1)]
    if chains is None:
        return pairs
    letters = {letter: i for i, letter in enumerate(dict.fromkeys(chains))}
    chain = torch.tensor([letters[letter] for letter in chains])[pairs]
    sulphur = torch.tensor([kind == "S" for kind in kinds])[pairs]
    return pairs[(chain[:, 0] == chain[:, 1]) | sulphur.all(dim=1)]


def extent(positions: Tensor) -> float:
    """Half the side of a square that holds structures (..., N, 3) however they turn about their centroid."""
    centred = positions - positions.mean(-2, keepdim=True)
    return 1.02 * centred.norm(dim=-1).max().item() + 0.5


def draw_structure(
    axis: Axes,
    positions: Tensor,
    elements: Sequence[str],
    *,
    bonds: Tensor | None = None,
    colour: str | None = None,
    reach: float | None = None,
    centre: Tensor | None = None,
) -> None:
    """Draw one structure.

    Args:
        axis: where to; loses its frame and ticks.
        positions: (N, 3), Angstrom.
        elements: their symbols, which are told by colour.
        bonds: pairs of atoms (M, 2); None for those of `bonds_of`.
        colour: one for all atoms, in place of the elements'.
        reach: half the side of what is shown, Angstrom; None for `extent`.
        centre: the point in the middle, (3,); None for the centroid.

    Raises:
        ValueError: if positions and elements are not of one length.
    """
    if len(positions) != len(elements):
        raise ValueError(
            f"elements must name each of the {len(positions)} atoms; got {len(elements)}."
        )
    bonds = bonds_of(positions, elements) if bonds is None else bonds
    at = (positions - (positions.mean(0) if centre is None else centre)).detach().double()
    depth = at[:, 2]
    near = (depth - depth.min()) / (depth.max() - depth.min()).clamp_min(1e-9)
    kept = _FADED + (1 - _FADED) * near[:, None]
    plain = torch.tensor([to_rgb(colour or COLOURS.get(e.capitalize(), OTHER)) for e in elements])
    shade = (kept * plain + (1 - kept) * 1.0).clamp(0, 1).numpy()
    xy = at[:, :2].numpy()
    reach = reach or extent(positions)
    if len(bonds):
        axis.add_collection(_lines(xy, shade, near, bonds[depth[bonds].mean(1).argsort()]))
    if len(positions) <= 60:  # of a chain the trace alone is clearer
        order = depth.argsort().tolist()
        sizes = [4000 / reach**2 * RADII.get(elements[i].capitalize(), _COMMON) for i in order]
        axis.scatter(
            xy[order, 0],
            xy[order, 1],
            s=sizes,
            c=shade[order],
            edgecolors="#2d3748",
            linewidths=0.4,
            zorder=2,
        )
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axis.axis("off")


def _lines(xy: np.ndarray, shade: np.ndarray, near: Tensor, bonds: Tensor) -> LineCollection:
    """Bonds in the order in which they are drawn."""
    first, second = bonds.T.tolist()
    return LineCollection(
        list(zip(xy[first], xy[second], strict=True)),
        colors=(shade[first] + shade[second]) / 2,
        linewidths=(1 + 1.5 * near[bonds].mean(1)).tolist(),
        zorder=1,
    )
