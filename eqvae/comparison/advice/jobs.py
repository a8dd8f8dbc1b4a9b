"""What the chooser trains: the pilots of every arm that has one, all of one size."""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from eqvae.comparison.arms import pilots
from eqvae.comparison.cell import cell_config
from eqvae.comparison.design import Cell, Design
from eqvae.comparison.plan import Plan
from eqvae.comparison.sizes import with_values
from eqvae.config import build

FEWEST, LARGEST = 20, 128  # images to judge by, pixels
_QUARTER = ("plain", "hard")  # tried with a quarter of the images, too


def pilot_jobs(
    atlas: Mapping[str, Any],
    overrides: Sequence[str],
    scenario: str = "none",
    *,
    images: int = 1000,
    repeats: int = 2,
    seed: int = 0,
) -> list[tuple[str, dict[str, Any]]]:
    """Arm and configuration of every pilot; the data are read once here, so that mistakes show now.

    Args:
        atlas: arguments of `Design` that make the pilots comparable.
        overrides: that name the data.
        scenario: choice in configs/scenario, or "none" for the data as they are.
        images: to train on, at most.
        repeats: trainings of each arm, with other weights and noise on the same images.
        seed: of weights, noise and the split.

    Raises:
        ValueError: if the data have too few images or too many pixels.
    """
    design = Design(**{**atlas, "overrides": [*atlas["overrides"], *overrides]})
    found = _training_images(cell_config(Cell("plain", scenario, 1, seed=seed), design.overrides))
    images = min(images, found)
    wanted = [(arm, images) for arm in pilots()]
    if images >= 8:
        wanted += [(arm, images // 4) for arm in _QUARTER]
    jobs = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(design, folder)
        for arm, count in wanted:
            cell = Cell(arm, scenario, count, seed=seed, lr=pilots()[arm])
            made = cell_config(cell, design.settings(arm), plan.widths(cell))
            jobs += [(arm, with_values(made, {"seed": seed + repeat})) for repeat in range(repeats)]
    return jobs


def _training_images(config: Mapping[str, Any]) -> int:
    """How many images there are to train on, if they are enough and small enough."""
    data = build({**config["data"], "limit": None}, path="data")
    data.setup()
    if len(data.test) < FEWEST:
        raise ValueError(
            f"data must leave at least {FEWEST} images in the test split, which the pilots are judged on; "
            f"it has {len(data.test)}. Give more images, or raise data.split's last share."
        )
    size = data.image_shape[-1]
    if size > LARGEST:
        raise ValueError(
            f"images must be at most {LARGEST} pixels wide for pilots of this size; got {size}. Crop or "
            "shrink them first."
        )
    return len(data.train)
