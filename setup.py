"""The metadata are in setup.cfg; this puts configs/ and docs/, which lie at the top level, into the wheel."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithResources(build_py):
    """build_py, then the folders that `eqvae.resources` looks for, as eqvae/_resources."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install finds them in the checkout
            inside = Path(self.build_lib) / "eqvae" / "_resources"
            for folder in ("configs", "docs"):
                copytree(folder, inside / folder, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithResources})
