"""The chooser: finds a planted best arm, says when it can't, and is judged on cells that it did not see."""

import numpy as np
import pytest
import torch

from eqvae.comparison.advice import Pilot, Support, elbos, recommend, supports, told, validate
from eqvae.comparison.arms import pilots
from eqvae.comparison.table import read_table
from eqvae.config import CONFIG_DIR
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.models.model import ELBO
from eqvae.models.vae import VAE
from eqvae.nn import PlainDecoder, PlainEncoder
from eqvae.symmetry import Representation

RNG = np.random.default_rng(0)


def pilot(arm: str, mean: float | None, images: int = 1000, noise: float = 1.0) -> Pilot:
    shared = np.random.default_rng(7).normal(0, 30, 200)  # some images are harder for every arm
    elbo = None if mean is None else mean + shared + RNG.normal(0, noise, 200)
    return Pilot(arm, images, elbo, 0.3 if arm == "relaxed" else None, 1.0)


def test_a_planted_best_arm_is_found_for_sure():
    advice = recommend([pilot("plain", 100.0), pilot("hard", 103.0), pilot("relaxed", 90.0)])
    assert advice.arm == "hard" and list(advice.elbo) == ["hard", "plain", "relaxed"]
    assert advice.chance["hard"] == 1.0 and advice.behind["relaxed"] == pytest.approx(13, abs=0.5)
    # images are paired: 30 nats that they share do not count
    assert advice.error["plain"] == pytest.approx((2 / 200) ** 0.5, rel=0.2)
    assert advice.error["hard"] == 0


def test_equal_arms_are_not_told_apart_and_trainings_that_differ_widen_the_error():
    equal = recommend([pilot("plain", 100.0), pilot("hard", 100.0)])
    assert 0.02 < min(equal.chance.values())
    apart = [
        pilot("plain", 90.0),
        pilot("plain", 110.0),
        pilot("hard", 101.0),
        pilot("hard", 103.0),
    ]
    advice = recommend(apart)
    # the standard error of a mean of two that lie 20 apart is 10
    assert advice.arm == "hard" and advice.error["plain"] == pytest.approx(10, rel=0.1)
    spread = 5 * np.random.default_rng(1).normal(size=16)
    advice = recommend([pilot("plain", 100.0 + s) for s in spread] + [pilot("hard", 120.0)] * 16)
    # more repeats, a surer answer
    assert advice.error["plain"] == pytest.approx(spread.std(ddof=1) / 4, rel=0.2)


def test_diverged_pilots_are_named_and_none_left_is_an_error():
    advice = recommend([pilot("plain", None), pilot("hard", 1.0)])
    assert advice.diverged == ("plain",) and advice.arm == "hard"
    assert any("diverged" in line for line in told(advice, [], [pilot("plain", None)]))
    with pytest.raises(ValueError, match="every pilot diverged"):
        recommend([pilot("plain", None)])


class Upright(VAE):
    """Likes what is bright at the top, whatever its latent."""

    def score(self, batch: Batch, *, sample: bool = True, by_block: bool = True) -> ELBO:
        x, zero = batch.image, torch.zeros(len(batch))
        return ELBO(x[..., : x.shape[-1] // 2, :].sum(dim=(1, 2, 3)), {"z": zero}, zero)


def blind(kind: type[VAE] = VAE) -> VAE:
    torch.manual_seed(0)
    latent = Representation((2, 1))
    parts = (part(SquareGrid(33), 1, latent, width=4) for part in (PlainEncoder, PlainDecoder))
    return kind(*parts, GaussianPrior(latent), GaussianLikelihood()).eval()


def asked(images: torch.Tensor) -> dict[str, Support]:
    return {s.symmetry: s for s in supports(blind(Upright), Batch(images))}


def test_support_is_lost_where_the_images_have_a_side_and_kept_where_they_have_none():
    axis = torch.arange(33.0) - 16
    side = torch.exp(-((axis[:, None] + 6) ** 2 + axis[None] ** 2) / 8).expand(60, 1, 33, 33)
    middle = torch.exp(-(axis[None] ** 2 + axis[:, None] ** 2) / 8).expand(60, 1, 33, 33)
    lost = asked(side + 0.01 * torch.rand(60, 1, 33, 33))
    assert not lost["rotation"].holds and not lost["mirror"].holds and lost["mirror"].loss > 5
    kept = asked(middle + 0.01 * torch.rand(60, 1, 33, 33))
    assert kept["mirror"].holds and abs(kept["rotation"].loss) < 0.1 * lost["rotation"].loss
    grey = asked(0.5 + 0.5 * middle)  # a background
    assert abs(grey["rotation"].loss) < 0.1 * lost["rotation"].loss


def test_scores_are_the_same_for_the_same_seed_and_leave_the_random_numbers_alone():
    vae, x = blind(), Batch(torch.rand(5, 1, 33, 33))
    state = torch.get_rng_state()
    assert torch.equal(elbos(vae, x, 1), elbos(vae, x, 1))
    assert not torch.equal(elbos(vae, x, 1), elbos(vae, x, 2))
    assert torch.equal(state, torch.get_rng_state())


def row(arm: str, scenario: str, seed: int, val: float, test: float, **more) -> dict:
    given = {"match": "parameters", "weight": 1.0, "block": "scenarios", "status": "finished"}
    given |= {
        "arm": arm,
        "scenario": scenario,
        "images": 1000,
        "seed": seed,
        "val_elbo": val,
        "elbo": test,
    }
    return given | more


def test_choices_are_judged_on_the_seeds_that_they_did_not_see():
    rows = [row("hard", "se2", s, 101.0, 100.0) for s in range(3)]
    rows += [row("plain", "se2", s, 102.0 if s == 2 else 90.0, 90.0) for s in range(3)]
    found = validate(rows, repeats=1)
    # seed 2 misleads: its choice, plain, loses 10 % on both other seeds
    assert found.choices == 6 and found.share == pytest.approx(4 / 6)
    assert found.regret[("se2", 1000)] == pytest.approx(0.1 * 2 / 6)
    assert found.chosen[("se2", 1000)] == {"hard": 2, "plain": 1}
    pairs = validate(rows)  # with another seed beside it, it misleads no more
    assert pairs.choices == 3 and pairs.share == 1
    assert pairs.constant == "hard" and pairs.always["hard"] == 1
    assert pairs.always["plain"] == pairs.always["augment"] == 0


def test_an_arm_that_the_chooser_does_not_know_still_sets_the_bar_and_tuning_never_counts():
    rows = [row(a, "se2", s, e, e) for a, e in (("hard", 90.0), ("plain", 80.0)) for s in range(3)]
    assert validate(rows).share == 1
    better = [row("projected", "se2", s, 100.0, 100.0) for s in range(3)]
    assert validate(rows + better).share == 0
    assert validate(rows + [{**r, "block": "tuning"} for r in better]).share == 1
    assert validate(rows[:1]) is None and validate([]) is None


def test_the_pilots_have_the_rates_that_the_atlas_tuned():
    rows = read_table(CONFIG_DIR.parent / "benchmarks" / "results" / "atlas_laptop.parquet")
    tuned = {row["arm"]: row["lr"] for row in rows if row["block"] == "scenarios"}
    assert pilots() == {arm: tuned[arm] for arm in pilots()}
    assert {"plain", "hard"} <= set(pilots())


def test_the_results_page_says_how_often_the_chooser_is_right():
    results = CONFIG_DIR.parent / "benchmarks" / "results"
    tables = ("atlas_laptop", "sprites/atlas_sprites", "real/atlas_real")
    found = [validate(read_table(results / f"{table}.parquet")) for table in tables]
    choices = sum(v.choices for v in found)

    def share(shares):
        return 100 * sum(s * v.choices for s, v in zip(shares, found, strict=True)) / choices

    page = CONFIG_DIR.parent / "docs" / "results" / "hard_or_soft.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"in {share([v.share for v in found]):.1f} % of {choices} choices" in text
    assert f"{100 * found[0].share:.1f} % on digits" in text
    for arm in ("relaxed_bias", "hard"):
        always = share([v.always[arm] for v in found])
        assert f"always `{arm}`" in text and f"in {always:.1f} %" in text
