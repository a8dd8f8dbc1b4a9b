"""Random changes of whole files, and what reading them may end in: a value, or a sentence."""

import random
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from eqvae.config import build
from eqvae.data.sources import Folder, Npz
from eqvae.registry import part
from eqvae.stored import nodes
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import stored_config
from tests.strangers import TARGETS, TEXTS
from tests.values import POOL, put

_PIECES = (
    *(
        b"!!python/object/apply:os.system [x]",
        b"${oc.env:HOME}",
        b"&a",
        b"*a",
        b"{",
        b"]",
        b"\x00",
        b"\xff",
    ),
    *(
        b"cos\nsystem\n(S'x'\ntR.",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"PK\x03\x04",
        b"\x89PNG\r\n\x1a\n",
        b"? ",
    ),
    *(b"_target_: os.system", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"9" * 400, b"\n  - " * 30),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file with up to eight changes: bytes flipped, cut out, doubled or put in."""
    out = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(out) + 1)
        length = min(draw.choice((1, 1, 2, 4, 16, 256)), len(out) - at)
        kind = draw.randrange(4)
        if kind == 0 and length:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length] * draw.randint(1, 4)
        else:
            out[at:at] = draw.choice(_PIECES)
    return bytes(out[: draw.randrange(len(out) + 1)]) if draw.random() < 0.1 else bytes(out)


def mutated_config(config: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A configuration with up to four values in other places."""
    changed = deepcopy(config)
    for _ in range(draw.randint(1, 4)):
        keys = [key for key, _, depth in nodes(changed) if depth]
        call = {"_target_": draw.choice(TARGETS), "command": "touch outside", "config": {"x": 1}}
        texts = [t for t in TEXTS.values() if isinstance(t, str) and len(t) < 200]
        value = draw.choice((draw.choice(POOL), call, [call], {"x": call}, draw.choice(texts)))
        try:
            put(changed, draw.choice(keys), value)
        except (TypeError, KeyError, IndexError, ValueError):
            continue
    return changed


def read_config(folder: Path) -> str:
    """Read a run's configuration and make of it what evaluating does."""
    config = stored_config(folder)
    for _, value, _ in nodes(config):
        if isinstance(value, dict) and "_target_" in value:
            part(value["_target_"])
    build(config["data"], path="data")
    return "read"


def read_checkpoint(path: Path) -> str:
    load_vae(path)
    return "read"


def read_images(path: Path) -> str:
    source = Folder(str(path.parent)) if path.suffix != ".npz" else Npz(str(path))
    source.load()
    return "read"


def outcome(read: Callable[[Path], str], path: Path) -> str:
    """The word read, or the sentence of a refusal.

    Raises:
        Exception: any other that reading ends in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read(path)
        except (ValueError, FileNotFoundError) as error:
            said = str(error)
            if not 0 < len(said) < 2000:
                raise AssertionError(f"no sentence: {said[:300]!r}") from error
            return said


def dumped(config: dict[str, Any]) -> bytes:
    return yaml.safe_dump(config, allow_unicode=True).encode("utf-8", "replace")
