"""The findings of a comparison in plain English, each sentence with its numbers."""

from collections.abc import Iterable

from eqvae.comparison.sentences.budgets import budgets, costs, fairness
from eqvae.comparison.sentences.contests import contests
from eqvae.comparison.sentences.scenarios import by_scenario, in_short, other_aims, surprises
from eqvae.comparison.sentences.sweeps import weights
from eqvae.comparison.sentences.words import sentence
from eqvae.comparison.summary import Row

__all__ = ["sentence", "sentences"]


def sentences(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Sentences by topic; a topic on which the rows are silent is left out."""
    rows = list(rows)
    found = {
        "In short": in_short(rows),
        "Against expectation": surprises(rows),
        "Scenario by scenario": by_scenario(rows),
        "Pose and clusters": other_aims(rows),
        "Training images": budgets(rows),
        "Weights of the soft penalties": weights(rows),
        "Task and symmetry": contests(rows),
        "Cost": costs(rows),
        "Fairness and losses": fairness(rows),
    }
    return {topic: told for topic, told in found.items() if told}
