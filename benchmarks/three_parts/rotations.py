"""Search over rotations in numbers: exactness, speed, 50 real folds, symmetric molecules.

python benchmarks/three_parts/rotations.py
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eqvae.claims.claim import all_claims
from eqvae.symmetry import SpaceRotations
from eqvae.symmetry.space_motions import pose_distance
from eqvae.three.lift import Lift, centroid, reach
from eqvae.three.search import RotationGrid, RotationSearch, on_grid, pairs, rotated
from eqvae.three.structures import read
from eqvae.three.structures.archive import mdanalysis_tests

_SO3 = SpaceRotations()
_BACKBONE = ("N", "CA", "C", "O")
_FEWEST = 100  # atoms: one file of the archive holds a fragment alone
_MOLECULES = {"C6H6": 12, "CH4": 12, "NH3": 3, "H2O": 2, "C2H6": 6}


def measure(seeds: Sequence[int] = (0, 1, 2), folder: str | None = None) -> dict[str, Any]:
    """Rows with value, target, seeds and seconds."""
    rows = [_exact(seeds), _speed(), _symmetric()]
    begin = time.perf_counter()
    folds = _folds(folder)
    reading = time.perf_counter() - begin
    rows += _aligned(folds, seeds, 8, 6, False) + _aligned(folds, seeds, 8, 6, True)
    rows += _aligned(folds, seeds, 12, 10, True)
    for id in ("43", "45"):
        row, begin = all_claims()[id], time.perf_counter()
        verdicts = [row.verdict(row.measure(seed)) for seed in seeds]
        rows.append({"what": f"claim {id}", "value": verdicts, "seeds": list(seeds)})
        rows[-1]["seconds"] = time.perf_counter() - begin
    return {"rows": rows, "folds": len(folds), "seconds_to_read": reading}


def _row(
    what: str, value: float, target: float, met: bool, begin: float, **others: Any
) -> dict[str, Any]:
    seconds = round(time.perf_counter() - begin, 2)
    return {"what": what, "value": value, "target": target, "met": met, "seconds": seconds} | others


def _exact(seeds: Sequence[int]) -> dict[str, Any]:
    begin, worst = time.perf_counter(), 0.0
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(2, 200, 3, generator=generator, dtype=torch.float64)
        a, b = Lift.covering(reach(x))(x).split(1)
        grid = RotationGrid.of(8)
        values = on_grid(pairs(a, b), grid).flatten()
        index = torch.randint(len(grid), (500,), generator=generator)
        turned = rotated(b.expand(500, -1, -1, -1), grid.elements(index))
        explicit = (a * turned).sum((1, 2, 3))
        worst = max(worst, ((values[index] - explicit).abs().max() / explicit.abs().max()).item())
    return _row("FFT against explicit sum", worst, 1e-12, worst <= 1e-12, begin, seeds=list(seeds))


def _speed() -> dict[str, Any]:
    """Time for a pose: of all at once, in batches, and by lifting each again; 700 atoms."""
    begin, grid = time.perf_counter(), RotationGrid.of(8)
    x = torch.randn(16, 700, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lift, turn = Lift.covering(reach(x)), _SO3.sample(1).double()
    f = lift(x)
    again = _seconds(lambda: lift(_SO3.act(turn, x[:1])))
    one = _seconds(lambda: on_grid(pairs(f[:1], f[1:2]), grid)) / len(grid)
    many = _seconds(lambda: on_grid(pairs(f, f.flip(0)), grid)) / len(grid) / len(x)
    single, half = f.float(), f.float().flip(0)
    fast = _seconds(lambda: on_grid(pairs(single, half), grid)) / len(grid) / len(x)
    whole = _seconds(lambda: RotationSearch()(f, f.flip(0))) / len(x)
    return _row(
        "times faster for each pose than lifting it again",
        again / one,
        1e4,
        again >= 1e4 * one,
        begin,
        nanoseconds_a_pose=1e9 * one,
        nanoseconds_in_batches=1e9 * many,
        nanoseconds_in_batches_float32=1e9 * fast,
        milliseconds_to_lift=1e3 * again,
        milliseconds_of_a_search_with_newton=1e3 * whole,
        rotations=len(grid),
    )


def _symmetric() -> dict[str, Any]:
    """Poses as good as the best of molecules with symmetry, against the order of their rotations."""
    from ase.build import molecule

    begin, found = time.perf_counter(), {}
    for name in _MOLECULES:
        atoms = molecule(name)
        x = torch.tensor(atoms.positions)[None]
        x, weights = x - centroid(x), torch.tensor(atoms.numbers)[None, :, None].double()
        lift, turn = Lift.covering(reach(x)), _SO3.sample(1).double()
        poses = RotationSearch(num_poses=20)(lift(_SO3.act(turn, x), weights), lift(x, weights))
        found[name] = poses.num_equal(1e-5).item()
    right = sum(found[name] == order for name, order in _MOLECULES.items())
    n = len(_MOLECULES)
    return _row(
        "molecules with the right number of poses", right, n, right == n, begin, found=found
    )


def _folds(folder: str | None) -> list[Tensor]:
    files = sorted((mdanalysis_tests(folder) / "dssp").glob("*.pdb.gz"))
    folds = []
    for file in files:
        if "failing" in file.name:
            continue
        structure = read(file, hetero=False)
        chosen = torch.tensor([name in _BACKBONE for name in structure.names])
        points = structure.atoms(chosen).positions[0]
        if len(points) >= _FEWEST:
            folds.append(points - points.mean(0))
    return folds


def _aligned(
    folds: Sequence[Tensor], seeds: Sequence[int], lmax: int, shells: int, damaged: bool
) -> list[dict[str, Any]]:
    """Errors in degrees after a random rotation, with half the atoms dropped and 1 A of noise or not."""
    begin, errors = time.perf_counter(), []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for x in folds:
            turn = _SO3.sample(1, generator=generator).double()
            y = _SO3.act(turn, x[None])
            if damaged:
                y = y[:, torch.rand(len(x), generator=generator) < 0.5]
                y = y + torch.randn(y.shape, generator=generator, dtype=y.dtype)
            lift = Lift.covering(reach(x), shells, lmax)
            found = RotationSearch()(lift(y - centroid(y)), lift(x[None]))
            errors.append(pose_distance(found.best, turn).degrees.item())
    errors = torch.tensor(errors, dtype=torch.float64).view(len(seeds), -1)
    setting = {"lmax": lmax, "shells": shells, "seeds": list(seeds)}
    if not damaged:
        right = (errors < 0.1).sum(1).min().item()
        what, n = "folds recovered to 0.1 degrees, least of the seeds", len(folds)
        worst = errors.max().item()
        return [_row(what, right, n, right == n, begin, worst_degrees=worst, **setting)]
    middle, worst = errors.median(1).values.max().item(), errors.max().item()
    what = "half the atoms, 1 A of noise:"
    each = {
        "median_of_seeds": errors.median(1).values.tolist(),
        "max_of_seeds": errors.amax(1).tolist(),
    }
    return [
        _row(f"{what} median, degrees", middle, 1.4, middle <= 1.4, begin, **setting, **each),
        _row(f"{what} largest, degrees", worst, 3.5, worst <= 3.5, begin, **setting),
    ]


def _seconds(f: Callable[[], object], calls: int = 7) -> float:
    """The least of some calls after a first one."""
    f()
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        f()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    torch.set_num_threads(1)
    print(json.dumps(measure(), indent=1))


if __name__ == "__main__":
    main()
