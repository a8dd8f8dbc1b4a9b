"""Disentanglement: scores of irrep blocks and, marked legacy, of single columns; D_LSBD for SE(2)."""
