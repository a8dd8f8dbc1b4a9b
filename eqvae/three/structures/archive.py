"""Public test data that is fetched once: the files of the package MDAnalysisTests.

They are trajectories, folds and complexes under a licence of their own, so that they are never copied into
this one; pip fetches the source archive from the index that it is set up for. The archive is checked,
unpacked beside its place and renamed: a process that is killed leaves nothing that looks whole, and of two
that fetch at once either is right.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from eqvae.files import cache_folder, user_path, write_whole

VARIABLE = "EQVAE_MDANALYSIS_TESTS"
_VERSION = "2.11.0"
_CHECKSUM = "5edeb5b01805da728b202103aa8d2b5974a37f1005ab1fe0150ed7d59702d2ea"
_INSIDE = "MDAnalysisTests/data"
_KNOWN_BY = "adk.psf"  # in the folder of the data
_DAY = 86400.0  # seconds after which what is half done was left by a process that was killed


def mdanalysis_tests(folder: str | Path | None = None) -> Path:
    """The folder with the data of MDAnalysisTests 2.11.0, fetched by pip if it is not there (60 MB, once).

    Args:
        folder: where the package lies unpacked: its data, the package, or the folder of its archive; None
            takes the environment variable EQVAE_MDANALYSIS_TESTS, or else the user's cache.

    Raises:
        FileNotFoundError: if the folder holds no such data, or it can't be fetched.
        ValueError: if what was fetched is another file.
    """
    given = folder or os.environ.get(VARIABLE)
    if given:
        for inside in ("", "data", _INSIDE):
            if (user_path(given) / inside / _KNOWN_BY).is_file():
                return user_path(given) / inside
        raise FileNotFoundError(
            f"{'folder' if folder else VARIABLE} must be where MDAnalysisTests {_VERSION} lies unpacked; "
            f"{str(given)!r} has no {_INSIDE}/{_KNOWN_BY}. Leave it out to have it fetched."
        )
    whole = cache_folder() / f"mdanalysistests-{_VERSION}"
    if not (whole / _KNOWN_BY).is_file():
        _fetch(whole)
    return whole


def available(folder: str | Path | None = None) -> bool:
    """Whether the data is there without fetching anything."""
    if folder or os.environ.get(VARIABLE):
        return True  # or a sentence says that it is not
    return (cache_folder() / f"mdanalysistests-{_VERSION}" / _KNOWN_BY).is_file()


def _fetch(whole: Path) -> None:
    whole.parent.mkdir(parents=True, exist_ok=True)
    for left in whole.parent.glob(f".{whole.name}.*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{whole.name}.", suffix=".part", dir=whole.parent))
    try:
        archive = _download(partial)
        _unpack(archive, partial / "unpacked")
        _put(partial / "unpacked" / f"mdanalysistests-{_VERSION}" / _INSIDE, whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put(data: Path, whole: Path) -> None:
    """Give the data its name, unless another process was faster."""
    try:
        data.rename(whole)
    except OSError:
        if not (whole / _KNOWN_BY).is_file():
            shutil.rmtree(whole, ignore_errors=True)  # a folder of something else
            data.rename(whole)


def _download(folder: Path) -> Path:
    """The source archive, checked by pip before it looks inside, and here again."""
    wanted = folder / "wanted.txt"
    write_whole(wanted, f"MDAnalysisTests=={_VERSION} --hash=sha256:{_CHECKSUM}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--no-binary", "MDAnalysisTests", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = sorted(folder.glob("*.tar.gz"))
    if done.returncode != 0 or not found:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), "".join(lines[-1:]))
        raise FileNotFoundError(
            f"MDAnalysisTests {_VERSION} can't be fetched ({reason:.200}). Run this once with a network, or "
            f"unpack its source archive from PyPI and set {VARIABLE} to that folder."
        )
    with found[0].open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != _CHECKSUM:
            raise ValueError(f"{found[0].name} is not the archive that it should be. Try again.")
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    start = f"mdanalysistests-{_VERSION}/{_INSIDE}/"
    with tarfile.open(archive) as packed:
        members = [m for m in packed if m.name.startswith(start) and (m.isfile() or m.isdir())]
        packed.extractall(folder, members=members, filter="data")
