"""Whether images fit into memory, asked before they are made: later the system may just end the process."""

from pathlib import Path

from eqvae.data.pixels import GIB

_MOST = 0.9  # of what is free
_CGROUP = Path("/sys/fs/cgroup")  # the limit of a container or job


def check_room(needed: int, what: str) -> None:
    """Refuse what needs more memory than there is.

    Args:
        needed: bytes.
        what: needs them, such as "the posed images".

    Raises:
        ValueError: if it does not fit; where a system does not say what is free, nothing is refused.
    """
    free = free_memory()
    if free is not None and needed > _MOST * free:
        raise ValueError(
            f"{what} need about {needed / GIB:.1f} GiB, and this machine has {free / GIB:.1f} GiB free. Keep "
            "them in files that are read batch by batch (data=stack, star, cs, an npz not packed), take "
            "fewer with data.limit or data.source.num_images, or make them smaller with data.pose.size or "
            "data.canvas.size."
        )


def free_memory() -> int | None:
    """Bytes that a process may still take, within its container too; None where nothing says so."""
    found = [_available(), _left_in_container()]
    return min((free for free in found if free is not None), default=None)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    values = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    words = values.get("MemAvailable", "").split()
    return 1024 * int(words[0]) if words else None


def _left_in_container() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        held = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return int(limit) - held if limit.isdigit() else None
