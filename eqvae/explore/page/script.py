"""Data as script files: a page that is opened from a disk may run scripts beside it, but not read files.

Each file calls `explorer.receive(name, value)`; bytes are base64, large ones gzipped before.
"""

import base64
import gzip
import json
from typing import Any

import numpy as np


def received(name: str, value: Any) -> str:
    """A script that hands over a value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"explorer.receive({json.dumps(name)},{text});\n"


def numbers(array: np.ndarray) -> str:
    """Numbers as base64, little-endian."""
    return base64.b64encode(np.ascontiguousarray(array, array.dtype.newbyteorder("<"))).decode()


def zipped(data: bytes | str) -> str:
    """Bytes, gzipped, as base64; the same for the same bytes."""
    data = data.encode() if isinstance(data, str) else data
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()
