"""Sentences on penalties that the data fight against."""

from collections.abc import Sequence
from statistics import fmean

from eqvae.comparison.arms import of_kind
from eqvae.comparison.summary import Row, difference
from eqvae.comparison.summary.rows import field_of, is_finished, value
from eqvae.losses.contest import Contest, fights

_SETTING = ("scenario", "images", "match")


def contests(rows: Sequence[Row]) -> list[str]:
    """Where a penalty costs nats against the plain network of the same seeds, and does not get its way."""
    rows = [r for r in rows if is_finished(r) and r.get("block") != "tuning"]
    plain: dict[tuple, dict[int, float | None]] = {}
    soft: dict[tuple, dict[int, Row]] = {}
    for row in rows:
        setting, seed = tuple(field_of(row, name) for name in _SETTING), row["seed"]
        if row["arm"] == "plain":
            plain.setdefault(setting, {})[seed] = value(row, "elbo")
        elif row["arm"] in of_kind("soft"):
            soft.setdefault((row["arm"], field_of(row, "weight"), *setting), {})[seed] = row
    ends = {
        _name(arm, weight, setting): _end(cells, plain.get(tuple(setting), {}))
        for (arm, weight, *setting), cells in soft.items()
    }
    return fights({name: end for name, end in ends.items() if end is not None})


def _name(arm: str, weight: float, setting: Sequence) -> str:
    scenario, images, match = setting
    return f"At {scenario} with {images:,} images and equal {match}, {arm} at weight {weight:g}"


def _end(cells: dict[int, Row], plain: dict[int, float | None]) -> Contest | None:
    """None where seeds are too few for an interval, or nobody measured the encoder."""
    own = {seed: value(row, "elbo") for seed, row in cells.items()}
    lost = difference(plain, own, "plain", "soft", "elbo")
    missed, cosines = (
        [v for v in (value(row, column) for row in cells.values()) if v is not None]
        for column in ("encoder_error", "grad_cosine")
    )
    if lost is None or lost.half is None or not missed:
        return None
    return Contest(lost.mean, lost.half, fmean(missed), fmean(cosines) if cosines else None)
