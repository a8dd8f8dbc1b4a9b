"""Whether the values of a configuration fit the constructor that they are for: names, kinds, ranges."""

from eqvae.arguments.kinds import check_kinds
from eqvae.arguments.names import check_names, closest, joined
from eqvae.arguments.ranges import check_ranges

__all__ = ["check_kinds", "check_names", "check_ranges", "closest", "joined"]
