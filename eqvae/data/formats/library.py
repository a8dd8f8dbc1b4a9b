"""Libraries that read one format each."""

import importlib
from types import ModuleType


def library(name: str, extra: str) -> ModuleType:
    """A library that is an extra of this package.

    Raises:
        ImportError: if it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'this format needs {name.split(".")[0]}: pip install "eqvae[{extra}]".'
        ) from error
