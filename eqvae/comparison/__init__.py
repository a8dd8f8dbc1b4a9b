"""The hard/soft atlas: how SE(2) symmetry is put into a VAE, compared at equal parameters, MACs and data."""

__all__: list[str] = []
