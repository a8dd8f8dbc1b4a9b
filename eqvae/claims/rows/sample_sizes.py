"""Linear maps from few examples: with the symmetry built in, asked for, or left out, all in closed form.

The truth is W = C + eps G, with C circulant, which commutes with every shift of its inputs, and G any matrix
of the same size as C in the mean. From y = W x + noise are fitted

    none   argmin |Y - W X|^2 + lambda |W|^2
    hard   argmin |Y - W X|^2                       over circulant W
    soft   argmin |Y - W X|^2 + lambda |W - P(W)|^2   P(W): the nearest circulant, means of diagonals

with lambda chosen on validation data. An error is E |W x - W' x|^2 / E |W x|^2 on all of space.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from eqvae.claims.claim import Measured, claim

SIZE, NOISE, REPEATS = 12, 0.3, 8
LAMBDAS = np.logspace(-3, 4, 15)
SUBJECT = "Built in, or asked for"


@claim(
    "23",
    subject=SUBJECT,
    title="Fewer examples with a symmetry",
    told="A network that knows the symmetry needs far fewer examples.",
    found="A linear map that commutes with shifts is learned from as many examples as it has inputs, "
    "once among all maps and once among those that commute. The second has one number to find for "
    "every row of the first.",
)
def few_examples(seed: int, counts: tuple[int, ...] = (4, 12, 48, 192)) -> Measured:
    found = {n: errors(0.0, n, seed) for n in counts}

    def draw(axes: Axes) -> None:
        for name in ("none", "hard"):
            axes.loglog(counts, [found[n][name] for n in counts], marker="o", label=name)
        axes.set(xlabel="examples", ylabel="relative squared error")
        axes.legend()

    at = found[SIZE]
    return Measured(
        value=at["hard"],
        bound=0.1,
        control=at["none"],
        holds=at["hard"] < 0.1 and at["hard"] < at["none"] / 10,
        floor=0.0,
        ceiling=1.0,
        unit="relative squared error",
        others={f"{name}_{n}": found[n][name] for n in counts for name in ("none", "hard")},
        draw=draw,
    )


@claim(
    "25",
    subject=SUBJECT,
    title="Nearly a symmetry",
    told="Where a symmetry holds only roughly, asking for it beats both building it in and leaving it "
    "out.",
    found="A map that nearly commutes with shifts is learned in three ways, the strength of the request "
    "being chosen on data kept aside. The number is the error of asking over that of the better "
    "of the other two; where the symmetry is exact there is nothing to win.",
)
def nearly(seed: int, breaking: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)) -> Measured:
    found = {eps: errors(eps, 4 * SIZE, seed) for eps in breaking}
    share = {eps: e["soft"] / min(e["none"], e["hard"]) for eps, e in found.items()}

    def draw(axes: Axes) -> None:
        for name in ("none", "hard", "soft"):
            axes.plot(breaking, [found[eps][name] for eps in breaking], marker="o", label=name)
        axes.set(
            xlabel="how far the symmetry is broken", ylabel="relative squared error", yscale="log"
        )
        axes.legend()

    return Measured(
        value=share[0.3],
        bound=0.9,
        control=share[0.0],
        holds=share[0.3] < 0.9,
        floor=0.0,
        ceiling=1.0,
        unit="error over that of the best other",
        others={f"{name}_{eps:g}": e[name] for eps, e in found.items() for name in e},
        draw=draw,
    )


def errors(eps: float, n: int, seed: int) -> dict[str, float]:
    """Relative squared errors of the three, means over repeats."""
    found = [_errors(eps, n, np.random.default_rng([seed, repeat])) for repeat in range(REPEATS)]
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def _errors(eps: float, n: int, rng: np.random.Generator) -> dict[str, float]:
    first = rng.normal(size=SIZE) / np.sqrt(SIZE)
    shifted = [np.roll(first, k) for k in range(SIZE)]
    truth = np.stack(shifted) + eps * rng.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)

    def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(SIZE, count))
        return x, truth @ x + NOISE * rng.normal(size=(SIZE, count))

    train, kept = examples(n), examples(max(n // 2, 8))
    across = np.eye(SIZE**2) - projection()
    fits = {
        "none": best(lambda weight: ridge(train, weight * np.eye(SIZE**2)), kept),
        "hard": ridge(train, 1e9 * across),
        "soft": best(lambda weight: ridge(train, weight * across), kept),
    }
    size = (truth**2).sum()
    return {name: float(((w - truth) ** 2).sum() / size) for name, w in fits.items()}


def projection() -> np.ndarray:
    """P on matrices written row by row: the mean along each wrapped diagonal, (d^2, d^2)."""
    row, column = np.divmod(np.arange(SIZE**2), SIZE)
    diagonal = (column - row) % SIZE
    return (diagonal[:, None] == diagonal) / SIZE


def ridge(data: tuple[np.ndarray, np.ndarray], price: np.ndarray) -> np.ndarray:
    """argmin |Y - W X|^2 + w^T price w, with w the entries of W row by row."""
    x, y = data
    normal = np.kron(np.eye(SIZE), x @ x.T) + price + 1e-9 * np.eye(SIZE**2)
    return np.linalg.solve(normal, (y @ x.T).ravel()).reshape(SIZE, SIZE)


def best(fit: Callable[[float], np.ndarray], kept: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The fit whose weight does best on the data kept aside."""
    x, y = kept
    return min(map(fit, LAMBDAS), key=lambda w: ((y - w @ x) ** 2).sum())
