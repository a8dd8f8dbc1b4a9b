"""Stand-in for py3nj: escnn needs it for SO(3) only and falls back when the import fails."""

raise ImportError(
    "py3nj is a stub here (eqvae uses escnn's 2-D groups only); "
    "install the real py3nj, which needs a Fortran compiler, to work with SO(3)."
)
