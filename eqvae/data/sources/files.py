"""Which files of a folder are images, of what class and split: each is taken, or it is said why not.

    folder/a.png             no class
    folder/wasp/a.png        class wasp
    folder/train/wasp/a.png  class wasp, of the train part; folder/test/... is the test split

Links to files and folders are followed. Hidden files and folders, those of archives (__MACOSX) and dangling
links are left out, and so are masks that lie beside their image (a_mask.png beside a.png).
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from eqvae.data.images import listing

_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
MASK_ENDINGS = ("_mask", "_masks", "-mask", "_seg", "_label")


@dataclass
class Found:
    """Files of a folder.

    Attributes:
        files: images, in the order of their names.
        names: their paths within the folder.
        classes: of each, None where there is no subfolder.
        parts: "train", "val" or "test" of each, None where the folders do not say.
        said: lines about what was left out, and how subfolders were understood.
    """

    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    classes: list[str | None] = field(default_factory=list)
    parts: list[str | None] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def find_images(folder: Path, is_image: Callable[[Path], bool]) -> Found:
    """The images below a folder, by the rules above.

    Args:
        folder: where to look.
        is_image: whether the name of a file is that of an image.
    """
    found, left_out = Found(), {}
    every = _walked(folder, left_out)
    names = {name for name, file in every if is_image(file)}
    for name, file in sorted(every):
        if name not in names:
            continue
        if (stem := _masked(name)) and any(n.rsplit(".", 1)[0] == stem for n in names):
            left_out.setdefault("masks beside their images", []).append(name)
            continue
        found.files.append(file)
        found.names.append(name)
    _understand(found)
    for reason, which in left_out.items():
        found.said.append(f"left out {len(which)} {reason}: {listing(which)}")
    others = len(every) - len(names)
    if others:
        found.said.append(f"{others} file(s) are no images by their names")
    return found


def same_content(files: list[Path]) -> list[int]:
    """A number for each file, the same for files that are equal byte by byte."""
    seen: dict[bytes, int] = {}
    numbers = []
    for i, file in enumerate(files):
        digest = hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
        numbers.append(seen.setdefault(digest, i))
    return numbers


def _walked(folder: Path, left_out: dict[str, list[str]]) -> list[tuple[str, Path]]:
    """All files below a folder with their paths within it; links are followed, once each."""
    files, been = [], set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in been:  # a link that leads back
            folders.clear()
            continue
        been.add(real)
        hidden = [f for f in folders if f.startswith(".") or f == "__MACOSX"]
        for name in hidden:
            left_out.setdefault("hidden folders", []).append(_within(folder, where, name))
        folders[:] = sorted(f for f in folders if f not in hidden)
        for name in sorted(names):
            path, shown = Path(where) / name, _within(folder, where, name)
            if name.startswith("."):
                continue
            if path.is_file():
                files.append((shown, path))
            elif path.is_symlink():
                left_out.setdefault("links to nothing", []).append(shown)
    return files


def _within(folder: Path, where: str, name: str) -> str:
    return (Path(where) / name).relative_to(folder).as_posix()


def _masked(name: str) -> str | None:
    """The path of the image that a mask of this name would belong to, without its ending."""
    stem = name.rsplit(".", 1)[0]
    return next((stem.removesuffix(end) for end in MASK_ENDINGS if stem.endswith(end)), None)


def _understand(found: Found) -> None:
    """Classes and parts from the first levels of folders."""
    levels = [name.split("/")[:-1] for name in found.names]
    top = {level[0].lower() for level in levels if level}
    split = len(top) > 1 and top <= set(_PARTS) and all(levels)
    if split:
        found.said.append(
            f"the folders {', '.join(sorted(top))} are parts of the data, not classes; their own test part "
            "stays the test split"
        )
    for level in levels:
        found.parts.append(_PARTS[level[0].lower()] if split else None)
        rest = level[1:] if split else level
        found.classes.append(rest[0] if rest else None)
