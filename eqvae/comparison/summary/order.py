"""The order of arms and scenarios in every table and figure."""

from collections.abc import Iterable, Sequence
from typing import Any

from eqvae.comparison.arms import arms

SCENARIOS = ("se2", "limited", "upright", "broken", "stretched", "lit", "nuclei", "galaxies")


def in_order(names: Iterable[Any], known: Sequence[Any]) -> list[Any]:
    """Unique names in the order of `known`, unknown ones behind in their own order."""
    place = {name: i for i, name in enumerate(known)}
    return sorted(dict.fromkeys(names), key=lambda n: place.get(n, len(place)))


def sort_arms(names: Iterable[str]) -> list[str]:
    """Unique names of arms in the order that their files give, unknown ones behind."""
    return in_order(names, list(arms()))


def sort_scenarios(names: Iterable[str]) -> list[str]:
    """Unique names of scenarios in their usual order, unknown ones behind."""
    return in_order(names, SCENARIOS)
