"""A lens for any function: does it commute with a group, and which representation does it carry?"""

from eqvae.lens.identified import Identified
from eqvae.lens.identify import identify

__all__ = ["Identified", "identify"]
