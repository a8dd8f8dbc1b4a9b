"""Figures as PNG, for files and for pages: each is drawn once, however often it is asked for."""

import io
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from eqvae.files import write_whole

_DRAWN: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()


def png(figure: Any) -> bytes:
    """The PNG of a matplotlib figure or a PIL image.

    A figure that is changed after it was drawn keeps its first PNG.
    """
    if not hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.save(buffer, format="PNG")
        return buffer.getvalue()
    if figure not in _DRAWN:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        _DRAWN[figure] = buffer.getvalue()
    return _DRAWN[figure]


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a matplotlib figure or a PIL image as PNG."""
    write_whole(path, png(figure))
