"""An environment for the peers that are packages: pyroVED and mahotas, never in eqvae's own.

    python benchmarks/pose_content/peers/environment.py FOLDER            seconds, megabytes
    python benchmarks/pose_content/peers/environment.py FOLDER --full     with a torch of its own

Prints the interpreter, for `python=` of `zernike` and `pyroved_peer`. Without --full it looks up torch and
what else it lacks in the packages of the interpreter that runs this; both get the versions of
constraints.txt.
"""

import argparse
import subprocess
import sysconfig
import venv
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[3] / "constraints.txt"
PACKAGES = (
    "pyroved==0.3.0",
    "pyro-ppl==1.9.2",
    "pyro-api==0.1.2",
    "opt-einsum==3.4.0",
    "mahotas==1.4.19",
)


def make_environment(folder: Path, full: bool = False) -> Path:
    """The interpreter of a new environment in `folder`, or of the one that is there.

    Args:
        folder: of the environment.
        full: install torch and all dependencies, rather than see those of this interpreter.

    Raises:
        subprocess.CalledProcessError: if pip fails; what it said is on the screen.
    """
    folder = folder.resolve()
    python, done = folder / "bin" / "python", folder / "complete"
    if done.is_file():
        return python
    venv.create(folder, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS]
    if full:
        subprocess.run([*pip, "torch", "torchvision"], check=True)
        subprocess.run([*pip, *PACKAGES], check=True)
    else:
        own = sorted((folder / "lib").glob("python*/site-packages"))[0]
        # searched after the environment's own packages
        (own / "reused.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([*pip, "--no-deps", *PACKAGES], check=True)
    subprocess.run([python, "-W", "ignore", "-c", "import mahotas, pyroved"], check=True)
    done.touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="install torch and all dependencies")
    options = parser.parse_args()
    print(make_environment(options.folder, options.full))


if __name__ == "__main__":
    main()
