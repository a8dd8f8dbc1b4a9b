"""A page in which structures are turned with the mouse; it needs no network, the drawing library is inside.

It is written by plotly, the extra `turning`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqvae.files import write_whole
from eqvae.three.drawing.flat import COLOURS, OTHER, RADII, bonds_of, extent

_LINE = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#4a5568")


def save_page(
    path: str | Path,
    structures: Mapping[str, Tensor],
    elements: Sequence[str],
    *,
    title: str = "",
    bonds: Tensor | None = None,
) -> None:
    """Write structures into one scene, each with its own colour and a switch in the legend.

    Args:
        path: of the HTML file.
        structures: by name; (N, 3), or (F, N, 3), whose conformations a slider goes through.
        elements: symbols of the atoms, the same for all.
        title: of the page.
        bonds: pairs of atoms (M, 2) of every structure; None for those of `bonds_of` in each.

    Raises:
        ModuleNotFoundError: without plotly, with what to install.
        ValueError: if the paths have different numbers of conformations.
    """
    try:
        from plotly import graph_objects as go
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'a page of structures needs plotly; install it with pip install "eqvae[turning]".'
        ) from error
    paths = {n: (p if p.dim() == 3 else p[None]).detach().double() for n, p in structures.items()}
    lengths = {len(p) for p in paths.values()} - {1}
    if len(lengths) > 1:
        raise ValueError(
            f"structures must have one number of conformations, or one conformation; got "
            f"{', '.join(f'{len(p)} of {n}' for n, p in paths.items())}."
        )
    count = max(lengths, default=1)
    pairs = {n: bonds_of(p[0], elements) if bonds is None else bonds for n, p in paths.items()}

    def traces(i: int) -> list[Any]:
        return [
            trace
            for k, (name, p) in enumerate(paths.items())
            for trace in _traces(
                go, name, p[min(i, len(p) - 1)], elements, pairs[name], _LINE[k % len(_LINE)]
            )
        ]

    reach = max(extent(p) for p in paths.values())
    figure = go.Figure(traces(0), layout=_layout(title, reach))
    if count > 1:
        figure.frames = [go.Frame(data=traces(i), name=str(i)) for i in range(count)]
        steps = [
            {"label": str(i), "method": "animate", "args": [[str(i)], {"mode": "immediate"}]}
            for i in range(count)
        ]
        figure.update_layout(
            sliders=[
                {"steps": steps, "currentvalue": {"prefix": "conformation "}, "pad": {"b": 30}}
            ]
        )
    write_whole(path, figure.to_html(include_plotlyjs=True, full_html=True, auto_play=False))


def _layout(title: str, reach: float) -> dict[str, Any]:
    axis = {"range": [-reach, reach], "visible": False}
    scene = {"xaxis": axis, "yaxis": axis, "zaxis": axis, "aspectmode": "cube"}
    return {"title": title, "scene": scene, "margin": {"l": 0, "r": 0, "b": 40, "t": 40}}


def _traces(
    go: Any, name: str, positions: Tensor, elements: Sequence[str], bonds: Tensor, colour: str
) -> list[Any]:
    at = positions - positions.mean(0)
    gap = torch.full((len(bonds), 1, 3), torch.nan, dtype=at.dtype)
    x, y, z = torch.cat([at[bonds], gap], dim=1).reshape(-1, 3).T.tolist()
    line = go.Scatter3d(
        x=x, y=y, z=z, mode="lines", name=name, legendgroup=name, line={"color": colour, "width": 4}
    )
    if len(at) > 60:  # of a chain the trace alone is clearer
        return [line]
    x, y, z = at.T.tolist()
    marker = {
        "color": [COLOURS.get(e.capitalize(), OTHER) for e in elements],
        "size": [9 * RADII.get(e.capitalize(), 0.8) + 3 for e in elements],
    }
    atoms = go.Scatter3d(
        x=x,
        y=y,
        z=z,
        mode="markers",
        marker=marker,
        text=list(elements),
        legendgroup=name,
        showlegend=False,
    )
    return [line, atoms]
