"""Atoms that can't be told apart: in which orders a molecule is the same molecule.

An order is a list of atom numbers; orders form a group, which is found from a few of them. Benzene's carbons
and hydrogens, numbered around the ring, need a turn by one place and a reversal: 12 orders.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_MOST = 1000


def all_orders(some: Sequence[Sequence[int]], num_atoms: int) -> Tensor:
    """Every order that the given ones lead to, the natural one first, (P, N) int64.

    Raises:
        ValueError: if one is no permutation of the atoms, or there are more than 1000.
    """
    given = [tuple(int(i) for i in order) for order in some]
    for order in given:
        if sorted(order) != list(range(num_atoms)):
            raise ValueError(
                f"equivalent must be lists that hold each of the atoms 0 to {num_atoms - 1} once; got one of "
                f"{len(order)} numbers, {list(order)[:12]}."
            )
    found = {tuple(range(num_atoms)): None}
    new = list(found)
    while new:
        longer = [tuple(a[i] for i in b) for a in new for b in given]
        new = [order for order in dict.fromkeys(longer) if order not in found]
        found |= dict.fromkeys(new)
        if len(found) > _MOST:
            raise ValueError(
                f"equivalent must lead to at most {_MOST} orders of the atoms; these lead to more. Leave out "
                "those of atoms that are told apart by their neighbours."
            )
    return torch.tensor(list(found))


def check_elements(orders: Tensor, elements: Sequence[str]) -> None:
    """Refuse orders (P, N) that put an atom in the place of another element; () knows no elements.

    Raises:
        ValueError: if one does.
    """
    for order in orders.tolist() if elements else ():
        for place, atom in enumerate(order):
            if elements[place] != elements[atom]:
                raise ValueError(
                    f"equivalent must exchange atoms of one element; got an order with atom {atom}, "
                    f"{elements[atom]}, in the place of atom {place}, {elements[place]}. Count them from 0."
                )
