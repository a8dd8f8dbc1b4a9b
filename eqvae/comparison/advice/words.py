"""The recommendation in plain lines."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from eqvae.comparison.advice.choice import Advice
from eqvae.comparison.advice.pilots import Pilot
from eqvae.comparison.advice.support import Support
from eqvae.comparison.arms import arms, of_kind
from eqvae.losses.contest import Contest, fights


def told(advice: Advice, support: Sequence[Support], pilots: Sequence[Pilot]) -> list[str]:
    """The recommendation and its reasons in plain lines."""
    best, known = advice.arm, arms()
    lines = [
        f"Recommended: {known[best].label if best in known else best} (arm={best}), the best in "
        f"{100 * advice.chance[best]:.0f} % of bootstrap samples.",
        "",
        f"{'arm':<15}{'held-out ELBO':>14}{'behind the best':>22}{'best in':>10}",
    ]
    for arm, elbo in advice.elbo.items():
        behind = f"{advice.behind[arm]:.1f} +- {advice.error[arm]:.1f} nats" if arm != best else "-"
        lines.append(f"{arm:<15}{elbo:>14.1f}{behind:>22}{100 * advice.chance[arm]:>8.0f} %")
    lines += [f"{arm:<15}{'diverged':>14}" for arm in advice.diverged]
    lines.append("")
    for s in support:
        costs = "no loss that can be told from 0" if s.holds else "each image loses"
        lines.append(
            f"{s.symmetry} of held-out images: {costs}, {s.loss:.1f} +- {s.error:.1f} nats."
        )
    for images in sorted({pilot.images for pilot in pilots}):
        hard, plain = (_mean(pilots, arm, images) for arm in ("hard", "plain"))
        if hard is not None and plain is not None:
            lines.append(f"hard over plain at {images:,} images: {hard - plain:+.1f} nats.")
    opened = [p.dial for p in pilots if p.arm in of_kind("relaxed") and p.dial is not None]
    if opened:
        lines.append(
            f"dial: the layers of the relaxed pilot left the equivariant ones by {np.mean(opened):.2f} of "
            "their size (0: not at all)."
        )
    lines += _fights(pilots)
    lines.append(
        "Small models, short trainings: trust the order; the numbers are not your model's."
    )
    return lines


def _fights(pilots: Iterable[Pilot]) -> list[str]:
    """A line for each soft pilot whose penalties cost nats and do not get their way; 2 standard errors."""
    pilots = [pilot for pilot in pilots if pilot.elbo is not None]
    plain = {pilot.images: pilot.elbo for pilot in pilots if pilot.arm == "plain"}
    found = {}
    for pilot in pilots:
        if pilot.arm in of_kind("soft") and pilot.images in plain and pilot.missed is not None:
            lost = plain[pilot.images] - pilot.elbo
            half = 2 * float(lost.std(ddof=1)) / math.sqrt(len(lost))
            cosines = list(pilot.cosines.values())
            cosine = float(np.mean(cosines)) if cosines else None
            end = Contest(float(lost.mean()), half, pilot.missed, cosine)
            found[f"{pilot.arm} at {pilot.images:,} images"] = end
    return fights(found)


def _mean(pilots: Iterable[Pilot], arm: str, images: int) -> float | None:
    found = [
        p.elbo.mean() for p in pilots if (p.arm, p.images) == (arm, images) and p.elbo is not None
    ]
    return float(np.mean(found)) if found else None
