"""The chooser: which way to put the symmetry in suits these data, by small trainings and a test of the data.

Three kinds of held_out, all on held-out images:

- pilots: every arm is trained for a short while at equal size; the best has the highest ELBO. How sure that
  is comes from a bootstrap over held-out images and repeated trainings.
- support: a model that knows no symmetry scores images before and after they are moved. Where the data's
  distribution has the symmetry, it can't tell them apart:

      loss = E log p(h x) - E log p(g x),    g a large motion, h a small one, by as many interpolations

- dial: how far the layers of the relaxed pilot left the equivariant ones, which data pay for.

The pilots decide; the others say why. `validate` asks of a finished comparison how often a choice by two
seeds' pilots is right on the other seeds' cells.
"""

import itertools
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.comparison.summary import RELAXED, Row
from eqvae.domains.grid import border, disc_mask
from eqvae.domains.square import act_on_image
from eqvae.losses import dials
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import motion
from eqvae.training.divergence import Diverged
from eqvae.training.run import prepare, train

FORMS = {  # arm of the pilots: what it means for the user
    "plain": "build no symmetry in",
    "augment": "augment the data",
    "soft_sum": "ask for the symmetry softly, by penalties",
    "relaxed_bias": "build the symmetry in, with biases that may break it",
    "canonicalised": "build the symmetry in hard, by a canonical pose",
    "hard": "build the symmetry in hard, by equivariant layers",
}
_BATCH = 250
_DRAWS = 4  # of the latent for each image


@dataclass(frozen=True)
class Pilot:
    """One small training of an arm.

    Attributes:
        arm: choice in configs/arm.
        images: it was trained on.
        elbo: of each held-out image, nats, (N,); None if the training diverged.
        dial: mean residual of its soft layers; None without any.
        seconds: of processor time.
    """

    arm: str
    images: int
    elbo: np.ndarray | None
    dial: float | None
    seconds: float


@dataclass(frozen=True)
class Support:
    """How much a symmetry-blind model minds that held-out images are moved.

    Attributes:
        symmetry: "rotation", "shift" or "mirror".
        loss: nats for each image by which the motion lowers the ELBO, above a motion too small to matter.
        error: its standard error over images.
    """

    symmetry: str
    loss: float
    error: float

    @property
    def holds(self) -> bool:
        """Whether the loss can't be told from 0 at two standard errors."""
        return self.loss < 2 * self.error


@dataclass(frozen=True)
class Advice:
    """The recommended arm and how all of them did.

    Attributes:
        arm: with the highest mean ELBO.
        elbo: by arm the mean ELBO of held-out images over repeats, nats, best first.
        behind: by arm nats behind the best.
        error: by arm the bootstrap's standard error of that.
        chance: by arm the share of bootstrap samples in which it is the best.
        diverged: arms of which every pilot diverged.
    """

    arm: str
    elbo: dict[str, float]
    behind: dict[str, float]
    error: dict[str, float]
    chance: dict[str, float]
    diverged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Validation:
    """How good choices by pilots are on cells that the chooser did not see.

    Attributes:
        share: of choices within the tolerance of the best arm's ELBO.
        always: the same by arm, had it been chosen everywhere: the floor that a chooser must beat.
        choices: number of pairs of a set of pilot seeds and an unseen cell.
        regret: by (level, images) the mean relative loss of ELBO.
        chosen: by (level, images) how often each arm was chosen.
    """

    share: float
    always: dict[str, float]
    choices: int
    regret: dict[tuple[str, int], float]
    chosen: dict[tuple[str, int], dict[str, int]]

    @property
    def constant(self) -> str:
        """The arm that is right most often, whatever the data."""
        return max(self.always, key=self.always.get)


def run_pilot(
    arm: str, config: Mapping[str, Any], seed: int = 0
) -> tuple[Pilot, VAE | None, Tensor]:
    """Train an arm and score the test images, which chose nothing in its training.

    Args:
        arm: its name.
        config: of the run, see `eqvae.comparison.cell.cell_config`.
        seed: of the latents drawn.

    Returns:
        The pilot, the trained model (None if it diverged), the test images (N, C, H, H).
    """
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(dict(config), Path(folder) / "run")
        x, images = run.datamodule.test.images, len(run.datamodule.train)
        try:
            train(run)
        except Diverged:
            return Pilot(arm, images, None, None, time.process_time() - begin), None, x
        vae = run.module.vae.eval()
    residuals = [v for name, v in dials(vae).items() if name.endswith("residual")]
    dial = float(np.mean(residuals)) if residuals else None
    scores = elbos(vae, x, seed).numpy()
    if not np.isfinite(scores).all():
        return Pilot(arm, images, None, None, time.process_time() - begin), None, x
    return Pilot(arm, images, scores, dial, time.process_time() - begin), vae, x


@torch.no_grad()
def elbos(vae: VAE, x: Tensor, seed: int = 0) -> Tensor:
    """ELBO of each image, nats, (N,), mean over draws; the same noise for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = [torch.stack([vae(some).elbo for _ in range(_DRAWS)]) for some in x.split(_BATCH)]
    return torch.cat(parts, dim=1).mean(dim=0)


def supports(vae: VAE, x: Tensor, seed: int = 0, shift: float = 2.0) -> list[Support]:
    """How well the distribution of images (N, C, H, H) bears rotations, shifts and mirrors.

    Args:
        vae: trained without any symmetry.
        x: held-out images.
        seed: of the motions and latents.
        shift: radius of the shifts, pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    n, size = len(x), x.shape[-1]
    turn = (torch.rand(n, generator=generator) * 2 - 1) * np.pi
    radius = torch.rand(n, generator=generator).sqrt()
    toward = torch.rand(n, generator=generator) * 2 * np.pi
    step = torch.stack([toward.cos(), toward.sin()], dim=1) * radius[:, None]
    ground = border(x).median(dim=-1).values[..., None, None]  # what comes in from outside
    still = torch.zeros(n)

    def score(*motions: Tensor, inside: Tensor | float = 1.0) -> np.ndarray:
        """ELBO of the images after some motions, one after the other, each by interpolation."""
        found = []
        for rows in torch.arange(n).split(_BATCH):
            moved = (x[rows] - ground[rows]) * inside
            for g in motions:
                moved = act_on_image(g[rows], moved)
            found.append(elbos(vae, moved + ground[rows], seed))
        return torch.cat(found).numpy()

    disc, little = disc_mask(size).to(x), np.deg2rad(5.0) / np.pi
    away, back = motion(turn), motion((little - 1) * turn)
    off, home = motion(still, shift * step), motion(still, (0.5 - shift) * step)
    pairs = {  # moved, not moved but by a little, by as many interpolations
        "rotation": (
            score(away, motion(little * turn), inside=disc),
            score(away, back, inside=disc),
        ),
        "shift": (score(off, motion(still, 0.5 * step)), score(off, home)),
        "mirror": (score(motion(still, reflection=1.0)), score()),
    }
    return [
        Support(name, float(np.mean(b - a)), float(np.std(b - a, ddof=1) / np.sqrt(n)))
        for name, (a, b) in pairs.items()
    ]


def recommend(pilots: Iterable[Pilot], seed: int = 0, samples: int = 2000) -> Advice:
    """The arm with the best held-out ELBO, and how sure that is.

    Args:
        pilots: one or more of each arm, all on the same held-out images.
        seed: of the bootstrap, which draws images and, for each arm, as many of its trainings as there are.
        samples: of the bootstrap.

    Raises:
        ValueError: if every pilot diverged.
    """
    scores: dict[str, list[np.ndarray]] = defaultdict(list)
    arms = []
    for pilot in pilots:
        arms.append(pilot.arm)
        if pilot.elbo is not None:
            scores[pilot.arm].append(pilot.elbo)
    if not scores:
        raise ValueError("every pilot diverged; check that the images are in [0, 1].")
    means = {arm: float(np.mean(found)) for arm, found in scores.items()}
    ranked = sorted(means, key=means.get, reverse=True)
    rng = np.random.default_rng(seed)
    n = len(scores[ranked[0]][0])
    weights = rng.multinomial(n, np.full(n, 1 / n), size=samples) / n  # (samples, N)
    drawn = np.stack([_drawn(scores[arm], weights, rng) for arm in ranked])  # (arms, samples)
    best = np.bincount(drawn.argmax(axis=0), minlength=len(ranked)) / samples
    return Advice(
        arm=ranked[0],
        elbo={arm: means[arm] for arm in ranked},
        behind={arm: means[ranked[0]] - means[arm] for arm in ranked},
        error={arm: float(np.std(drawn[0] - drawn[i])) for i, arm in enumerate(ranked)},
        chance=dict(zip(ranked, map(float, best), strict=True)),
        diverged=tuple(sorted(set(arms) - set(scores))),
    )


def validate(
    rows: Iterable[Row],
    arms: Sequence[str] = tuple(FORMS),
    tolerance: float = 0.01,
    repeats: int = 2,
) -> Validation | None:
    """Choose by the validation ELBO of a few seeds, judge on the test ELBO of every other seed.

    At a level and a number of images, the best arm is the one with the highest mean test ELBO over the
    unseen seeds, whether or not the chooser knows it. A choice counts if on that seed its ELBO is at most
    `tolerance` times the best arm's below it.

    Args:
        rows: of a comparison.
        arms: that the chooser tries.
        tolerance: relative.
        repeats: seeds to choose by, as of `scripts/advise.py`: every set of so many is a choice.

    Returns:
        None where no level has two arms with more seeds than that.
    """
    table: dict[tuple[str, int], dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        ours = row["match"] == "parameters" and row["weight"] == 1 and row["block"] != "tuning"
        if ours and row["status"] == "finished":
            table[row["level"], row["images"]][row["arm"]][row["seed"]] = row
    regret, chosen, kept = {}, {}, []
    constant: dict[str, list[float]] = {arm: [] for arm in arms}
    for place, found in table.items():
        losses: list[float] = []
        picks: dict[str, int] = defaultdict(int)
        seeds = sorted(set().union(*found.values()))
        for pilots in itertools.combinations(seeds, repeats):
            scores = {
                arm: np.mean([found[arm][s]["val_elbo"] for s in pilots])
                for arm in found
                if arm in arms and set(pilots) <= set(found[arm])
            }
            unseen = [s for s in seeds if s not in pilots]
            if len(scores) < 2 or not unseen:
                continue
            pick = max(scores, key=scores.get)
            picks[pick] += 1
            tests = {arm: [by[s]["elbo"] for s in unseen if s in by] for arm, by in found.items()}
            best = max((arm for arm in found if tests[arm]), key=lambda arm: np.mean(tests[arm]))
            judges = [s for s in unseen if s in found[best]]
            losses += [_loss(found, pick, best, s) for s in judges]
            for arm in arms:
                constant[arm] += [_loss(found, arm, best, s) for s in judges]
        if losses:
            regret[place], chosen[place] = float(np.mean(losses)), dict(picks)
            kept += losses
    if not kept:
        return None

    always = {arm: _share(losses, tolerance) for arm, losses in constant.items()}
    return Validation(_share(kept, tolerance), always, len(kept), regret, chosen)


def _loss(found: Mapping[str, Mapping[int, Row]], arm: str, best: str, seed: int) -> float:
    """How far an arm's test ELBO lies below the best arm's, relative to it; infinite where it diverged."""
    row, top = found.get(arm, {}).get(seed), found[best][seed]["elbo"]
    return math.inf if row is None else (top - row["elbo"]) / abs(top)


def _share(losses: Sequence[float], tolerance: float) -> float:
    return float(np.mean(np.asarray(losses) <= tolerance))


def told(advice: Advice, support: Sequence[Support], pilots: Sequence[Pilot]) -> list[str]:
    """The recommendation and its reasons in plain lines."""
    best = advice.arm
    lines = [
        f"Recommended: {FORMS.get(best, best)} (arm={best}), the best in "
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
    opened = [p.dial for p in pilots if p.arm in RELAXED and p.dial is not None]
    if opened:
        lines.append(
            f"dial: the layers of the relaxed pilot left the equivariant ones by {np.mean(opened):.2f} of "
            "their size (0: not at all)."
        )
    lines.append(
        "Small models, short trainings: the order is held_out, the numbers are not your model's."
    )
    return lines


def _mean(pilots: Iterable[Pilot], arm: str, images: int) -> float | None:
    found = [
        p.elbo.mean() for p in pilots if (p.arm, p.images) == (arm, images) and p.elbo is not None
    ]
    return float(np.mean(found)) if found else None


def _drawn(
    trainings: Sequence[np.ndarray], weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Bootstrap means over images and trainings, (samples,), without the bias of few trainings."""
    means = np.stack([weights @ scores for scores in trainings], axis=1)  # (samples, R)
    count = means.shape[1]
    centre = means.mean(axis=1)
    if count == 1:
        return centre
    picks = rng.integers(count, size=means.shape)
    deviation = np.take_along_axis(means, picks, axis=1).mean(axis=1) - centre
    return centre + deviation * np.sqrt(count / (count - 1))
