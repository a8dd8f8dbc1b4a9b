"""A trained model taken elsewhere: plain graphs that need neither eqvae nor escnn."""

from eqvae.export.artefact import Exported, export_model
from eqvae.export.check import DifferenceError
from eqvae.export.functions import Function, functions_of

__all__ = ["DifferenceError", "Exported", "Function", "export_model", "functions_of"]
