"""The page: one folder with index.html, its data, thumbnails, the decoder and what runs it.

index.html            opens by a double click
page/                 scripts and style
data/                 about.js, table.js, downloads and the decoder
thumbnails/           sheets of images as they are, and upright
runtime/              onnxruntime-web
table/                the table of the images, for `eqvae subset`
"""

import html
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqvae.data.batch import Batch
from eqvae.domains import HexagonalGrid
from eqvae.embedding.latents import upright_latents
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import Origin
from eqvae.explore.page.basis import Basis, mapped, principal
from eqvae.explore.page.columns import packed
from eqvae.explore.page.decoder import decoder_graph
from eqvae.explore.page.elsewhere import Subsets, write_elsewhere
from eqvae.explore.page.lines import Lines, files_of
from eqvae.explore.page.script import numbers, received, zipped
from eqvae.explore.page.sheets import SIDE, write_sheets
from eqvae.files import written_folder
from eqvae.models.model import Model

WEB = Path(__file__).with_name("web")
_INDEX, _ABOUT = "index.html", Path("data") / "about.js"
_SEVERAL = 16  # latents that the graph is checked with


@dataclass(frozen=True)
class Page:
    """What was written.

    Attributes:
        index: the file to open.
        live: whether the page decodes.
        said: what was left out, and why, a sentence each.
    """

    index: Path
    live: bool
    said: list[str]


def check_folder(folder: Path) -> None:
    """Refuse to replace what is no such page.

    Raises:
        ValueError: if the folder is a file, or holds anything and no page.
    """
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not ((folder / _INDEX).is_file() and (folder / _ABOUT).is_file()):
        raise ValueError(
            f"out must be a new folder or an earlier page, which is replaced; {folder} holds other things. "
            "Name another folder."
        )


def write_page(
    model: Model,
    images: Iterable[Batch],
    embedding: Embedding,
    origin: Origin,
    folder: str | Path,
    *,
    title: str = "images",
    kind: str = "pca",
    runtime: dict[str, bytes] | str = "",
    subsets: Subsets | None = None,
    seed: int = 0,
) -> Page:
    """Write a page of images and what a model says of them.

    Args:
        model: in eval mode, on the CPU.
        images: those that were embedded, in the same order.
        embedding: of them, in memory.
        origin: where they came from, for the files that the page writes.
        folder: to be made, or an earlier page, which is replaced.
        title: of the page.
        kind: of the map, "pca" or "umap".
        runtime: the files of onnxruntime-web, see `runtime_files`; or a sentence that says why there are
            none, and the page does not decode.
        subsets: what writes the formats that a page can't; None for nothing.
        seed: of umap.

    Raises:
        ValueError: if the folder holds other things, a choice is unknown, or images have hexagonal pixels.
    """
    if isinstance(model.domain, HexagonalGrid):
        raise ValueError(
            "domain of the model must be square for a page, whose browser draws square pixels; got a "
            "HexagonalGrid. Use scripts/evaluate.py and scripts/embed.py, which draw them."
        )
    folder = Path(folder)
    check_folder(folder)
    with written_folder(folder) as part:
        for name in ("data", "thumbnails", "runtime"):
            (part / name).mkdir()
        basis = principal(embedding.content)
        live, said = _live(model, embedding, part, runtime)
        files, left_out = files_of(embedding, origin)
        size = write_sheets(images, embedding.pose, model.domain, part / "thumbnails")
        flat = mapped(embedding.content, basis, kind, seed)
        about = {
            "title": title,
            "count": len(embedding),
            "sheet": {"side": SIDE, "size": size},
            "map": {"kind": kind, "xy": numbers(flat.astype(np.float32))},
            "files": [{"name": f.name, "file": f.file} for f in files],
            "latent": _latent(model, basis, embedding) if live else None,
            "said": said,
            "elsewhere": subsets and write_elsewhere(embedding, origin, subsets, part, folder),
        }
        _write_data(part / "data", about, packed(embedding), files)
        _write_web(part, title)
    return Page(folder / _INDEX, live, said + left_out)


def _live(
    model: Model, embedding: Embedding, part: Path, runtime: dict[str, bytes] | str
) -> tuple[bool, list[str]]:
    """Write what decodes in the page; whether it does, and why not."""
    if isinstance(runtime, str):
        return False, [f"no live decoding: {runtime}"]
    try:
        content = torch.from_numpy(embedding.content[:_SEVERAL])
        graph = decoder_graph(model, upright_latents(model.representation, content))
    except (ImportError, ValueError) as error:
        return False, [f"no live decoding: {error}"]
    _script(part / "data" / "decoder.js", "decoder", zipped(graph))
    for name, file in zip(runtime, ("loader", "wasm"), strict=True):
        _script(part / "runtime" / f"{file}.js", file, zipped(runtime[name]))
    return True, []


def _latent(model: Model, basis: Basis, embedding: Embedding) -> dict[str, Any]:
    """How the page makes an upright latent of content, and which motions it offers."""
    latent, count = model.representation, embedding.content.shape[1]
    base = upright_latents(latent, torch.zeros(1, count))[0]
    probe = upright_latents(latent, torch.ones(1, count))[0] - base
    parts = latent.slices
    return {
        "base": base.tolist(),
        "columns": probe.nonzero()[:, 0].tolist(),
        "image": list(model.image_shape),
        "turns": parts.moving.stop > parts.moving.start,
        "mirrors": bool(model.symmetry.reflections),
        "shifts": bool(latent.position),
        "reach": model.image_shape[-1] / 4,
        "mean": basis.mean.tolist(),
        "directions": basis.directions.tolist(),
        "sd": basis.sd.tolist(),
        "share": basis.share.tolist(),
    }


def _write_data(
    folder: Path, about: dict[str, Any], columns: list[dict[str, Any]], files: Sequence[Lines]
) -> None:
    _script(folder / "about.js", "about", about)
    _script(folder / "table.js", "table", columns)
    for file in files:
        rows = numbers(np.array(file.rows, dtype=np.int32))
        _script(folder / f"{file.name}.js", file.name, {"text": zipped(file.text), "rows": rows})


def _script(path: Path, name: str, value: Any) -> None:
    path.write_text(received(name, value), encoding="utf-8")


def _write_web(part: Path, title: str) -> None:
    """Scripts, style and the page itself."""
    shutil.copytree(WEB, part / "page", ignore=shutil.ignore_patterns(_INDEX, "__pycache__"))
    text = (WEB / _INDEX).read_text(encoding="utf-8")
    (part / _INDEX).write_text(text.replace("@title@", html.escape(title)), encoding="utf-8")
