"""A checkpoint that a stranger may have written is measured before anything is made of it.

torch.load with weights_only runs no code, but believes the sizes that a file declares, and so does the
constructor of a model. Here the archive's members are no larger than the file, its pickled part names
nothing but tensors and ordered dicts, tensors are no larger than what they are stored in, and whatever is
built of them keeps within a budget of memory.
"""

import pickletools
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqvae.stored import nodes

BUDGET = 512 << 20  # bytes that reading or building may take beyond a few times the file
LARGEST_COUNT = 1_000_000  # of a whole number in the description of a model: widths, sizes, angles
_MOST_VALUES = 300_000  # of a checkpoint
_MOST_OPERATIONS = 20_000_000  # of its pickled part
_STORAGES = tuple(
    f"torch {kind}Storage"
    for kind in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
)
_NAMES = (
    *(
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
    ),
    *("torch Size", "torch device", "builtins set"),
    *_STORAGES,
)


def check_archive(path: Path) -> None:
    """Refuse a file that is no archive of torch's, declares more than it holds, or names more than tensors.

    Raises:
        ValueError: if so.
    """
    damaged = f"{path} can't be read as a checkpoint: it is damaged or cut short."
    held = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            if declared > held or packed:
                raise ValueError(
                    f"{path} is refused: it declares {declared:,} bytes and holds {held:,}, or packs them, "
                    "which no checkpoint does."
                )
            pickled = [m for m in members if m.filename.endswith("/data.pkl")]
            if len(pickled) != 1:
                raise ValueError(damaged)
            _check_names(archive.read(pickled[0]), path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        raise ValueError(damaged) from error


def _check_names(pickled: bytes, path: Path) -> None:
    """Of a pickle only the names are read, not what they stand for."""
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(pickled)):
            named = operation.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4")
            if named or (operation.name == "GLOBAL" and argument not in _NAMES):
                raise ValueError(
                    f"{path} is refused: it holds more than tensors and plain values, "
                    "which could run code when loaded."
                )
            if count > _MOST_OPERATIONS:
                raise ValueError(f"{path} is refused: it holds more values than any checkpoint.")
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(
            f"{path} can't be read as a checkpoint: it is damaged or cut short."
        ) from error


def check_tensors(content: Any, path: Path) -> None:
    """Refuse tensors that are larger than what they are stored in, or of other kinds than plain numbers.

    Raises:
        ValueError: if there is one, or more values than any checkpoint has.
    """
    most = 2 * path.stat().st_size + (1 << 20)
    declared = 0
    for count, (key, value, depth) in enumerate(nodes(content)):
        if count > _MOST_VALUES or depth > 100:
            raise ValueError(f"{path} is refused: it holds more values than any checkpoint.")
        if not isinstance(value, Tensor):
            continue
        plain = value.layout is torch.strided and not value.is_meta and not value.is_quantized
        declared += value.numel() * value.element_size() if plain else 0
        if not plain or declared > most:
            raise ValueError(
                f"{path} is refused: its tensor {key} is larger than the file, or no plain array."
            )


def check_counts(description: Any, path: Path) -> None:
    """Refuse a description of a model with numbers that no model has.

    Raises:
        ValueError: with the key.
    """
    for key, value, _ in nodes(description, "model"):
        large = isinstance(value, int) and abs(value) > LARGEST_COUNT
        if large and key.rpartition(".")[2] != "seed":
            raise ValueError(
                f"{path} is refused: {key}={value} is more than {LARGEST_COUNT:,}, which no model has."
            )


@contextmanager
def within_budget(path: Path) -> Iterator[None]:
    """Let what happens inside take no more memory than a few times a file and `BUDGET`.

    On Linux the address space of this process is limited meanwhile.

    Raises:
        ValueError: if it would take more.
    """
    budget = BUDGET + 8 * path.stat().st_size
    try:
        with _limited(budget):
            yield
    except (MemoryError, RuntimeError) as error:
        told = str(error)
        if isinstance(error, MemoryError) or "alloc" in told or "out of memory" in told:
            raise ValueError(
                f"{path} is refused: what it describes takes more than {budget >> 20:,} MiB of memory."
            ) from error
        raise


@contextmanager
def no_more_weights_than(stored: dict[str, Tensor], path: Path) -> Iterator[None]:
    """Let a model be built that has about the weights of `stored`, and stop as soon as it has far more.

    Raises:
        ValueError: if it has.
    """
    left = [10_000_000 + 4 * sum(t.numel() for t in stored.values()), 1000 + 10 * len(stored)]

    def count(module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        if value is not None:
            left[0] -= value.numel()
            left[1] -= 1
        if min(left) < 0:
            raise ValueError(f"{path} is refused: its model has far more weights than are stored.")

    registered = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        registered.remove()


@contextmanager
def _limited(more: int) -> Iterator[None]:
    """At most `more` bytes of addresses beyond those of now, where the system can tell and limit them."""
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + more
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
