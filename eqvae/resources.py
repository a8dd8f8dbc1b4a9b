"""Where the configurations and the documentation lie: inside an installed wheel, or beside the package.

They stand at the top level of the repository, so that one finds them, and a wheel carries copies in
`eqvae/_resources` (setup.py). The copies come first, because other packages also leave folders called
docs or configs beside an installed one; a checkout has no copies.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def configs() -> Path:
    """The folder of the YAML files; whether it is there is for `eqvae.config.compose` to say."""
    return _folder("configs")


def docs() -> Path:
    """The folder of the documentation; it may be missing where the package was copied without it."""
    return _folder("docs")


def _folder(name: str) -> Path:
    carried = _PACKAGE / "_resources" / name
    return carried if carried.is_dir() else _PACKAGE.parent / name
