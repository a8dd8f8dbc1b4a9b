"""Groups of space, harmonics, products, and how fast Wigner matrices are made, as rows of numbers.

python benchmarks/three_parts/groups.py
"""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from eqvae.claims.claim import HOLDS, all_claims
from eqvae.symmetry import SpaceMotions, SpaceRotations
from eqvae.symmetry.space import rotation_part
from eqvae.symmetry.wigner import wigners

_EXACT, _FASTER = 1e-10, 10
_ROWS = ("33", "34", "36", "36/motions", "37", "38", "38/products", "44")
_DEGREES, _BATCHES = (8, 11), (1, 1000)


def measure(seeds: int = 3) -> dict[str, Any]:
    """Every row with value, target, seeds and seconds; those that need e3nn only where it is installed."""
    begin = time.perf_counter()
    laws = [_laws(SpaceMotions(parity), seeds) for parity in (False, True)]
    rows = [_row("laws of SE(3) and E(3), largest error", max(laws), _EXACT, seeds, begin)]
    claims = all_claims()
    for id in _ROWS:
        if claims[id].missing:
            continue
        begin = time.perf_counter()
        found = [claims[id].measure(seed) for seed in range(seeds)]
        row = _row(claims[id].title, max(one.value for one in found), _EXACT, seeds, begin)
        row |= {"claim": id, "control": min(one.control for one in found)}
        row["verdicts"] = [claims[id].verdict(one) for one in found]
        row["met"] = row["met"] and set(row["verdicts"]) == {HOLDS}
        rows.append(row | {"others": dict(found[0].others)})
    return {"rows": rows, "wigner": [] if claims["44"].missing else _wigner()}


def _row(what: str, value: float, target: float, seeds: int, begin: float) -> dict[str, Any]:
    return {
        "what": what,
        "value": value,
        "target": target,
        "met": value <= target,
        "seeds": seeds,
        "seconds": round(time.perf_counter() - begin, 2),
    }


def _laws(group: SpaceMotions, seeds: int) -> float:
    """Associativity of the action, inverses, and log after exp, in units of the points."""
    worst = 0.0
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        g, h = group.sample(200, shift=4.0, generator=generator).double().chunk(2)
        p = torch.randn(100, 7, 3, generator=generator, dtype=torch.float64)
        u = torch.randn(100, 6, generator=generator, dtype=torch.float64)
        u[:, :3] *= 0.999 * math.pi / u[:, :3].norm(dim=1).clamp(min=math.pi)[:, None]
        errors = (
            group.act(group.compose(g, h), p) - group.act(g, group.act(h, p)),
            group.act(group.compose(g, group.inverse(g)), p) - p,
            group.log(group.exp(u)) - u,
        )
        worst = max([worst, *(error.abs().max().item() for error in errors)])
    return worst


def _wigner() -> list[dict[str, Any]]:
    """Microseconds for all D_l up to a degree, ours and e3nn's, one thread each."""
    from e3nn import o3

    found = []
    for batch in _BATCHES:
        g = SpaceRotations().sample(batch, generator=torch.Generator().manual_seed(0)).double()
        angles = o3.matrix_to_angles(rotation_part(g))
        for degree in _DEGREES:
            degrees = range(degree + 1)
            ours = _seconds(lambda q=g[:, 1:], d=degrees: wigners(d, q))
            theirs = _seconds(lambda a=angles, d=degrees: [o3.wigner_D(ell, *a) for ell in d])
            found.append(
                {
                    "degrees": f"0 to {degree}",
                    "batch": batch,
                    "ours_us": 1e6 * ours / batch,
                    "e3nn_us": 1e6 * theirs / batch,
                    "times_faster": theirs / ours,
                    "target": _FASTER,
                    "met": theirs >= _FASTER * ours,
                }
            )
    return found


def _seconds(f: Callable[[], object], least: float = 0.5) -> float:
    """The least time of the calls within half a second, at least three."""
    f()
    best, calls, begin = math.inf, 0, time.perf_counter()
    while calls < 3 or time.perf_counter() - begin < least:
        start = time.perf_counter()
        f()
        best, calls = min(best, time.perf_counter() - start), calls + 1
    return best


def main() -> None:
    torch.set_num_threads(1)
    print(json.dumps(measure(), indent=1))


if __name__ == "__main__":
    main()
