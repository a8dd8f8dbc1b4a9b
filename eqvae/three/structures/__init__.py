"""Structures from files, and back: atoms with names, in one or many conformations."""

from eqvae.three.structures.structures import Structures

__all__ = ["Structures"]
