"""Faults of the machine are one sentence, wherever in a chain of errors they lie."""

import errno
import os
import re

import pytest
import torch

from eqvae.cli.console import one_sentence_errors
from eqvae.cli.faults import fault_of
from eqvae.files import written


def chained(first, second):
    try:
        try:
            raise first
        except type(first):
            raise second from None if second is first else first
    except type(second) as error:
        return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.ckpt"), "no space .* write a.ckpt"),
        (OSError(errno.EFBIG, "File too large"), "no space is left"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "no space is left"),
        (PermissionError(errno.EACCES, "Permission denied", "b"), "not allow to use b"),
        (OSError(errno.EROFS, "Read-only file system", "b"), "not allow to use b"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no memory is left"),
        (MemoryError(), "no memory is left"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "no memory is left"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "no memory"),
        (RuntimeError("can't start new thread"), "no memory is left"),
        (RuntimeError("DataLoader worker (pid 5) is killed by signal: Killed."), "loader process"),
    ],
)
def test_a_fault_is_told_however_deep_it_lies(error, said, capsys):
    for wrapped in (error, chained(error, RuntimeError("unexpected pos 64 vs 0"))):
        assert re.search(said, fault_of(wrapped))
        with pytest.raises(SystemExit) as stop, one_sentence_errors():
            raise wrapped
        assert stop.value.code == 1
        told = capsys.readouterr().err
        assert re.fullmatch(rf"error: .*{said}.*\.\n", told), told


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), KeyError("a"), ZeroDivisionError()]
)
def test_other_errors_are_no_faults_of_the_machine(error):
    assert fault_of(error) is None
    with pytest.raises(type(error)), one_sentence_errors():
        raise error


def test_memory_that_is_not_there_is_asked_of_torch(capsys):
    with pytest.raises(SystemExit), one_sentence_errors():
        torch.empty(10**15)
    assert "no memory is left" in capsys.readouterr().err


def test_a_sentence_of_ours_is_not_replaced_by_its_cause(capsys):
    with pytest.raises(SystemExit) as stop, one_sentence_errors():
        raise chained(
            PermissionError(errno.EACCES, "Permission denied"), OSError("run_dir=a is bad.")
        )
    assert stop.value.code == 2 and capsys.readouterr().err == "error: run_dir=a is bad.\n"


def test_an_error_of_writing_names_the_file_that_was_meant(tmp_path):
    with pytest.raises(OSError) as raised, written(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.filename == str(tmp_path / "a.json")
