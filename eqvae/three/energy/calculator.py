"""A force field as a calculator of ase, for what ase does with one: dynamics, relaxation, vibrations.

It is the only file here that needs ase, the extra `molecules`.
"""

from typing import Any, ClassVar

import torch

from eqvae.three.energy.forces import ForceField

try:
    from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
except ImportError as error:
    raise ImportError(
        f'a calculator needs ase ({error}): pip install "eqvae[molecules]".'
    ) from error


class ForceFieldCalculator(Calculator):
    """Energies and forces of a force field, eV and eV/Angstrom.

    A model with direct forces has no energy: asking for it raises ase's PropertyNotImplementedError.

    Args:
        model: whose atoms are those that it is asked about, in their order.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, model: ForceField):
        super().__init__()
        self.model = model

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        symbols = tuple(self.atoms.get_chemical_symbols())
        if symbols != self.model.elements:
            raise ValueError(
                f"atoms must be those of the model, {' '.join(self.model.elements)}; got "
                f"{' '.join(symbols)}. Give them in this order, or fit a model to them."
            )
        if self.atoms.pbc.any():
            raise ValueError(
                "atoms must not be periodic: the model sees one molecule. Set pbc=False."
            )
        found = self.model.predict(torch.from_numpy(self.atoms.get_positions())[None])
        self.results = {"forces": found.forces[0].numpy()}
        if found.energies is not None:
            self.results["energy"] = float(found.energies[0])
        elif properties and "energy" in properties:
            raise PropertyNotImplementedError(
                "energy: forces of this model are direct, it has none."
            )
