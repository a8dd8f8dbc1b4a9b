"""A page that shows all images of a data set as a model sees them, offline, in any browser."""

from eqvae.explore.page.basis import Basis, check_map, principal
from eqvae.explore.page.elsewhere import Subsets
from eqvae.explore.page.make import Page, check_folder, write_page
from eqvae.explore.page.runtime import runtime_files

__all__ = [
    "Basis",
    "Page",
    "Subsets",
    "check_folder",
    "check_map",
    "principal",
    "runtime_files",
    "write_page",
]
