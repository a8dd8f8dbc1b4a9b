"""Walks through the latent of a model of structures: along an orbit of rotations, and along content.

    orbit      D(rho(g) E(x)) beside D(E(g x)): the law says that they are equal
    traversal  D(z) with one coordinate of content (0e, 0o) at several values: the shape changes, the pose
               stays

All of it is seen upright: the structure's longest axis is vertical.
"""

import math
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.models.model import Model
from eqvae.symmetry.space import SpaceRotations, rotation_part
from eqvae.symmetry.space_motions import space_motion
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.drawing.panels import panels
from eqvae.three.drawing.skeleton import Skeleton
from eqvae.three.drawing.turning import turning_frames
from eqvae.three.vae.alignment import rmsd
from eqvae.three.vae.overlay import MADE, TRUE, upright_view

_ENDS = (-2.0, 2.0)  # of a walk, in standard deviations of the prior, which is N(0, 1)
_FAR = "−2 to 2"
_LEAST = 0.05  # of the longest walk: shorter ones show nothing
_LINES, _FEWEST = 40_000, 8  # bonds drawn in all frames together, about 3 s; frames at least


@dataclass(frozen=True)
class Walk:
    """Structures along one coordinate of content.

    Attributes:
        name: of the coordinate: its irrep and which copy, from 0.
        structures: (V, N, 3), Angstrom.
    """

    name: str
    structures: Tensor

    @property
    def length(self) -> float:
        """RMSD of its ends, Angstrom."""
        return float(rmsd(self.structures[0], self.structures[-1]))


def content_columns(latent: SpaceRepresentation) -> dict[str, int]:
    """Where each coordinate of content stands in a latent, 0e and 0o, by its name."""
    return {
        f"{block.name} {copy}": block.start + copy
        for block in latent.blocks
        if block.frequency == 0
        for copy in range(block.copies)
    }


@torch.no_grad()
def content_walks(model: Model, z: Tensor, values: Tensor) -> list[Walk]:
    """A latent (1, D) with each coordinate of content at these values, the longest walk first."""
    walks = []
    for name, column in content_columns(model.representation).items():
        along = z.repeat(len(values), 1)
        along[:, column] = values.to(z)
        walks.append(Walk(name, model.decode(along)[:, 0].cpu()))
    return sorted(walks, key=lambda walk: -walk.length)


@torch.no_grad()
def orbit_figure(
    model: Model, batch: Batch, skeleton: Skeleton | None = None, columns: int = 6
) -> Figure:
    """One structure turned about its vertical axis: encoded as it is then, and its latent turned instead.

    Args:
        model: whose latent moves.
        batch: one structure.
        skeleton: what is drawn of it; None for a chain.
        columns: number of angles.
    """
    x = batch.image[:, 0]
    view = upright_view(x[0])
    angles = 2 * math.pi / columns * torch.arange(columns, dtype=torch.float64)
    turn = SpaceRotations().exp(angles[:, None] * view[1].double().cpu()).to(x)
    centre = x[0].mean(dim=0)
    g = space_motion(turn, centre - rotation_part(turn) @ centre)
    many = batch[torch.zeros(columns, dtype=torch.int64)]
    moved = many.act(g, model.domain)
    encoded = model.reconstruct(moved, model.encode(moved))[:, 0]
    acted = model.reconstruct(many, model.encode(many).act(g))[:, 0]
    apart = float(rmsd(encoded, acted).mean())
    true = torch.cat([moved.image[:, 0]] * 2) @ view.mT
    made = torch.cat([encoded, acted]) @ view.mT
    return panels(
        [(true.cpu(), TRUE), (made.cpu(), MADE)],
        [f"{math.degrees(angle):.0f}°" for angle in angles] + [""] * columns,
        skeleton=skeleton,
        rows=("encode, decode it", "turn the latent"),
        heading=f"One structure turned (grey) and decoded (red): rows differ by {apart:.2g} Å",
    )


@torch.no_grad()
def traversal_figure(
    model: Model, batch: Batch, skeleton: Skeleton | None = None, most: int = 3, columns: int = 5
) -> Figure:
    """One structure along the coordinates of content that change it most, the reconstruction in grey.

    Args:
        model: whose latent is walked through.
        batch: one structure.
        skeleton: what is drawn of it; None for a chain.
        most: number of coordinates, at most; there is at least one.
        columns: number of values.
    """
    z = model.encode(batch).mode
    values = torch.linspace(*_ENDS, columns)
    walks = content_walks(model, z, values)[:most]
    walks = [walk for walk in walks if walk.length >= _LEAST * walks[0].length]
    start = model.decode(z)[0].cpu()
    view = upright_view(start[0])
    along = torch.cat([walk.structures for walk in walks])
    titles = [f"{float(value):.2g}".replace("-", "−") for value in values]
    return panels(
        [(start.expand_as(along) @ view.mT, TRUE), (along @ view.mT, MADE)],
        titles + [""] * (len(along) - columns),
        skeleton=skeleton,
        rows=[f"{walk.name}: {walk.length:.2g} Å" for walk in walks],
        heading=f"One coordinate of content at a time, from {_FAR} (prior: N(0, 1)), and RMSD of its ends",
    )


@torch.no_grad()
def turning(model: Model, batch: Batch, skeleton: Skeleton, frames: int = 36) -> list[Image.Image]:
    """One structure, its reconstruction, and the longest walk through its content if it has any, all turning.

    Args:
        model: that makes them.
        batch: one structure.
        skeleton: what is drawn of it.
        frames: of the full turn, in which the walk goes there and back; fewer of what has thousands of bonds.
    """
    frames = min(frames, max(_FEWEST, _LINES // max(1, len(skeleton.bonds))))
    q = model.encode(batch)
    real, made = batch.image[:, 0].cpu(), model.reconstruct(batch, q)[:, 0].cpu()
    values = torch.linspace(*_ENDS, frames // 2)
    view = upright_view(real[0])
    shown = {"structure": real[0], f"reconstruction, RMSD {float(rmsd(real, made)):.2f} Å": made[0]}
    for walk in content_walks(model, q.mode, values)[:1]:
        shown[f"{walk.name} from {_FAR}"] = walk.structures
    shown = {title: skeleton(x) @ view.mT for title, x in shown.items()}
    return turning_frames(shown, skeleton.elements, frames=frames, bonds=skeleton.bonds)
