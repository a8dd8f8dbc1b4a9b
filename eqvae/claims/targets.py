"""What the rows have to reach, beside what they did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """A number that a row has to stay below, or above.

    Attributes:
        what: it is about.
        row: id of the claim.
        key: of `others`, or "value", "control".
        bound: of the number.
        above: whether it has to be at least `bound`; else at most.
    """

    what: str
    row: str
    key: str
    bound: float
    above: bool = False

    def told(self, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The target with what was found, None where the row was not measured."""
        row = rows.get(self.row)
        found = None if row is None else row.get(self.key, row["others"].get(self.key))
        met = None
        if found is not None:
            met = found >= self.bound if self.above else found <= self.bound
        sign = ">=" if self.above else "<="
        target = f"{self.key} {sign} {self.bound:g}"
        return {"what": self.what, "row": self.row, "target": target, "found": found, "met": met}


_EXACT = 1e-10
SCALE = "scale.json"  # what benchmarks/scale.py found, as if it were a row
TARGETS = (
    Target("pooling in each orientation channel, aligned: exact", "13", "value", _EXACT),
    Target("dropout of whole fields: exact", "15", "value", _EXACT),
    Target("permuted orientation channels: exact", "9", "value", _EXACT),
    Target("C6 on the hexagonal lattice: exact", "30", "value", _EXACT),
    Target("whole steps of a log-polar grid: exact", "19", "value", _EXACT),
    Target("whole steps of scale and angle: exact", "20", "value", _EXACT),
    Target("stride 2 at 0.6 Nyquist, downsampling / bare step", "16", "part_of_raw", 0.35),
    Target("stride 2 at 0.6 Nyquist, downsampling", "16", "value", 0.089),
    Target("C6 / C4, mean error, 0.25 Nyquist", "31", "ratio of means at 0.25 Nyquist", 0.4),
    Target("C6 / C4, mean error, 0.5 Nyquist", "31", "ratio of means at 0.5 Nyquist", 0.4),
    Target("one linear resampling, hexagonal / square", "32", "value", 0.86),
    Target("planted maps named wrongly, of 25", "35", "value", 0.0),
    Target("mask at quarter turns, IoU", "4", "iou_quarter_turns", 0.99, above=True),
    Target("mask at other angles, IoU", "4", "iou_between", 0.95, above=True),
    Target("tug-of-war, measured against the formula, relative", "5", "value", 0.05),
    Target("laws of SE(3) and E(3): exact", "36/motions", "value", _EXACT),
    Target("spherical harmonics to degree 11: exact", "36", "value", _EXACT),
    Target("products of irreps, turned and mirrored: exact", "38/products", "value", _EXACT),
    Target("all rotations by FFT against the explicit sum", "43", "value", 1e-12),
    Target("curl of a gradient: exact", "40", "value", _EXACT),
    Target("SIM(2)-VAE, scales 0.6-1.6, angle, degrees", SCALE, "all/angle_median", 2.0),
    Target("SIM(2)-VAE, scales 0.6-1.6, log-scale, %", SCALE, "all/scale_median", 3.0),
    Target("SIM(2)-VAE, scales 0.6-1.6, position, px", SCALE, "all/shift_median", 0.3),
    Target("SIM(2)-VAE, leak of scale, R^2 from means of content", SCALE, "all/R2_scale", 0.05),
    Target(
        "SIM(2)-VAE, leak of scale, R^2 from draws of content", SCALE, "all/draws_R2_scale", 0.05
    ),
)


def targets(
    rows: Mapping[str, Mapping[str, Any]], scale: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Every target with what was found.

    Args:
        rows: by id.
        scale: results of benchmarks/scale.py, where there are any.
    """
    if scale is not None:
        summary = scale["arms"]["sim2"]["summary"]
        rows = {**rows, SCALE: {"others": {key: known["mean"] for key, known in summary.items()}}}
    return [target.told(rows) for target in TARGETS]
