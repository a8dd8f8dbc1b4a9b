"""Structures from files, and back: atoms with names, in one or many conformations."""

from eqvae.three.structures.adenylate_kinase import AdenylateKinase
from eqvae.three.structures.archive import mdanalysis_tests
from eqvae.three.structures.molecules import chemical_component, g2_molecules
from eqvae.three.structures.pdb import write_pdb
from eqvae.three.structures.read import read
from eqvae.three.structures.structures import Structures

__all__ = [
    "AdenylateKinase",
    "Structures",
    "chemical_component",
    "g2_molecules",
    "mdanalysis_tests",
    "read",
    "write_pdb",
]
