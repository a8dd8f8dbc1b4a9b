"""Stand-in for lie_learn: escnn imports this function for SO(3); the 2-D groups never call it."""


def wigner_D_matrix(*args, **kwargs):
    raise NotImplementedError(
        "lie_learn is a stub here (eqvae uses escnn's 2-D groups only); "
        "install the real lie_learn with numpy < 2 to work with SO(3)."
    )
