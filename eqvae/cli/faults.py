"""What happened to the machine, in a sentence: no disk, no memory, no permission, a process that was killed.

Libraries wrap such errors in their own; what lies at the bottom of the chain tells.
"""

import errno
import re
from collections.abc import Iterator

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_MEMORY = re.compile(
    r"out of memory|start new thread|can't allocate memory|cannot allocate memory|bad_alloc", re.I
)
_KILLED = re.compile(r"DataLoader worker .*(killed by signal|exited unexpectedly)", re.S)


def fault_of(error: BaseException) -> str | None:
    """A sentence without its full stop, with the way out; None of an error that is no fault of the machine.

    Args:
        error: with the errors that led to it, as Python chains them.
    """
    for each in _chain(error):
        said = _sentence(each)
        if said is not None:
            return said
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those before it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _sentence(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))
    ):
        return (
            f"no memory is left ({_first_line(error)}): lower data.batch_size or the size of the model, "
            "or end other processes"
        )
    if isinstance(error, RuntimeError) and _KILLED.search(str(error)):
        return (
            "a loader process was killed, by the system if memory ran out: lower data.num_workers"
        )
    if not isinstance(error, OSError):
        return None
    file = f" {error.filename}" if error.filename else ""
    if error.errno in _NO_SPACE:
        return f"no space is left to write{file}: free some, or raise the limit"
    if error.errno in _NOT_ALLOWED:
        return f"the system does not allow to use{file} ({error.strerror}): change its permissions"
    if error.errno == errno.EMFILE:
        return "too many files are open: lower data.num_workers, or raise the limit (ulimit -n)"
    if error.errno == errno.ENOMEM:
        return "no memory is left: end other processes"
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
