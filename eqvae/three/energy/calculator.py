"""A force field as a calculator of ase, for what ase does with one: dynamics, relaxation, vibrations.

It needs ase, the extra `molecules`, once it is called.
"""

from typing import Any, ClassVar

import torch

from eqvae.three.energy.forces import ForceField


def calculator(model: ForceField) -> Any:
    """An ase Calculator of energies and forces, eV and eV/Angstrom.

    Atoms that it is asked about are those of the model, in their order, and not periodic. A model with direct
    forces has no energy: asking for it raises ase's PropertyNotImplementedError.

    Args:
        model: a fitted one.

    Raises:
        ImportError: if ase is not installed.
    """
    try:
        from ase.calculators.calculator import (
            Calculator,
            PropertyNotImplementedError,
            all_changes,
        )
    except ImportError as error:
        raise ImportError(
            f'a calculator needs ase ({error}): pip install "eqvae[molecules]".'
        ) from error

    class ForceFieldCalculator(Calculator):
        implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

        def calculate(
            self,
            atoms: Any = None,
            properties: list[str] | None = None,
            system_changes: list[str] = all_changes,
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            self.results = predicted(model, self.atoms)
            if properties and "energy" in properties and "energy" not in self.results:
                raise PropertyNotImplementedError(
                    "energy: forces of this model are direct, it has none."
                )

    return ForceFieldCalculator()


def predicted(model: ForceField, atoms: Any) -> dict[str, Any]:
    """Forces, and the energy if there is one, of ase's Atoms.

    Raises:
        ValueError: if they are other atoms than the model's, or periodic.
    """
    symbols = tuple(atoms.get_chemical_symbols())
    if symbols != model.elements:
        raise ValueError(
            f"atoms must be those of the model, {' '.join(model.elements)}; got "
            f"{' '.join(symbols)}. Give them in this order, or fit a model to them."
        )
    if atoms.pbc.any():
        raise ValueError("atoms must not be periodic: the model sees one molecule. Set pbc=False.")
    found = model.predict(torch.from_numpy(atoms.get_positions())[None])
    results = {"forces": found.forces[0].numpy()}
    return results if found.energies is None else results | {"energy": float(found.energies[0])}
