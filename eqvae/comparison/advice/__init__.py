"""The chooser: which way to put the symmetry in suits these data, by small trainings and a test of the data.

Three signs, all from held-out images:

- pilots: every arm is trained for a short while at equal size; the best has the highest ELBO. How sure that
  is comes from a bootstrap over held-out images and repeated trainings.
- support: how much a model that knows no symmetry minds that the images are moved.
- dial: how far the layers of the relaxed pilot left the equivariant ones, which data pay for.

The pilots decide; the others say why. `validate` asks of a finished comparison how often a choice by two
seeds' pilots is right on the other seeds' cells.
"""

from eqvae.comparison.advice.choice import Advice, recommend
from eqvae.comparison.advice.pilots import Pilot, elbos, run_pilot
from eqvae.comparison.advice.support import Support, supports
from eqvae.comparison.advice.validation import Validation, validate
from eqvae.comparison.advice.words import told

__all__ = [
    "Advice",
    "Pilot",
    "Support",
    "Validation",
    "elbos",
    "recommend",
    "run_pilot",
    "supports",
    "told",
    "validate",
]
