"""A lens for any function: does it commute with a group, and which representation does it carry?"""

from eqvae.lens.audit import FunctionAudit, audit
from eqvae.lens.identified import Identified
from eqvae.lens.identify import identify
from eqvae.lens.maps import (
    RecoveredMap,
    equivariant_basis,
    multiplicities,
    num_equivariant_maps,
    recover_equivariant_map,
)

__all__ = [
    "FunctionAudit",
    "Identified",
    "RecoveredMap",
    "audit",
    "equivariant_basis",
    "identify",
    "multiplicities",
    "num_equivariant_maps",
    "recover_equivariant_map",
]
