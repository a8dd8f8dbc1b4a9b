"""onnxruntime-web, which runs a decoder in a browser: fetched once from npm's registry, checked, and kept.

Two files of the package are used, the smallest build that runs every operator: JavaScript, 73 kB, and
WebAssembly, 14 MB (3.7 MB gzipped).
"""

import base64
import hashlib
import io
import tarfile
import urllib.request
from http.client import HTTPException
from pathlib import Path

from eqvae.files import cache_folder, written
from eqvae.watch import Watch, unwatched

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = {  # name -> SHA-256
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_TIMEOUT = 30  # seconds without an answer
_STEP = 1 << 20


def kept_folder() -> Path:
    """Where the files are kept."""
    return cache_folder() / f"onnxruntime-web-{VERSION}"


def runtime_files(archive: str | Path | None = None, watch: Watch = unwatched) -> dict[str, bytes]:
    """The files by name: kept ones, those of an archive, or fetched ones, in this order.

    Args:
        archive: onnxruntime-web-VERSION.tgz, where it is on the disk already.
        watch: wraps the megabytes of a download with a progress bar.

    Raises:
        OSError: if they can't be had.
        ValueError: if the archive is another one than expected.
    """
    if archive is None:
        kept = _kept()
        if kept is not None:
            return kept
        return _unpacked(_fetched(watch), URL)
    return _unpacked(Path(archive).read_bytes(), str(archive))


def _kept() -> dict[str, bytes] | None:
    folder, found = kept_folder(), {}
    for name, digest in FILES.items():
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        found[name] = data
    return found


def _fetched(watch: Watch) -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=_TIMEOUT) as answer:
            return b"".join(watch(iter(lambda: answer.read(_STEP), b""), "onnxruntime-web"))
    except HTTPException as error:
        raise OSError(f"{URL} broke off: {error}") from error


def _unpacked(archive: bytes, where: str) -> dict[str, bytes]:
    """The files of an archive, which are kept."""
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise ValueError(
            f"runtime must be onnxruntime-web-{VERSION}.tgz as npm's registry has it; {where} is another "
            f"file. Fetch {URL}."
        )
    folder, found = kept_folder(), {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for name in FILES:
            found[name] = tar.extractfile(f"package/dist/{name}").read()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in found.items():
            with written(folder / name) as partial:
                partial.write_bytes(data)
    except OSError:  # it is fetched again the next time
        pass
    return found
