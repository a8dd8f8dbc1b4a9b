"""The gate under atheris, which looks for texts that reach new lines of stored.py and registry.py.

    pip install atheris
    python benchmarks/gate_atheris.py --seconds 300

Every text is read as a run's config.yaml; anything but a plain configuration or a ValueError is a finding.
Writes the key `gate.atheris` of benchmarks/results/trust.json; what is there of others stays. Not for CI:
atheris has no wheels for every system.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _seeds(Path(folder))
        command = [
            sys.executable,
            __file__,
            "harness",
            folder,
            f"-max_total_time={options.seconds}",
        ]
        command += ["-max_len=20000", "-timeout=10", "-rss_limit_mb=4096", "-verbosity=1"]
        done = subprocess.run(command, text=True, errors="replace", capture_output=True, cwd=folder)
    runs = re.findall(r"Done (\d+) runs", done.stderr) or re.findall(r"^#(\d+)", done.stderr, re.M)
    crashed = done.returncode != 0
    found = {
        "runs": int(runs[-1]) if runs else 0,
        "seconds": options.seconds,
        "findings": int(crashed),
        "last": done.stderr[-800:] if crashed else "",
    }
    path = options.results / "trust.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known.setdefault("gate", {})["atheris"] = found
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    print(json.dumps(found, indent=2))


def _seeds(folder: Path) -> None:
    from eqvae.config import compose
    from tests.mutations import dumped
    from tests.strangers import TEXTS

    texts = [t if isinstance(t, bytes) else t.encode() for t in TEXTS.values()]
    whole = compose(["model=plain"], image_shape=(1, 28, 28))
    for number, text in enumerate([dumped(whole), *(t for t in texts if len(t) < 3000)]):
        (folder / f"seed_{number}").write_bytes(text)


def harness() -> None:
    import atheris

    with atheris.instrument_imports(include=["eqvae.stored", "eqvae.registry"]):
        from eqvae.registry import stored_configuration
    place = Path(tempfile.mkdtemp()) / "config.yaml"

    def read(content: bytes) -> None:
        place.write_bytes(content)
        try:
            stored_configuration(place)
        except ValueError:
            pass

    read((Path(sys.argv[2]) / "seed_0").read_bytes())  # Lightning takes seconds to import
    atheris.Setup([sys.argv[0], *sys.argv[2:]], read)
    atheris.Fuzz()


if __name__ == "__main__":
    harness() if sys.argv[1:2] == ["harness"] else main()
