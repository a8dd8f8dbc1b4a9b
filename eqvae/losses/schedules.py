"""How the weight of a term changes with the training step: step -> factor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same factor throughout."""

    value: float = 1.0

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class WarmUp:
    """Linear from `start` to 1 over the first `steps` steps, then 1.

    Raises:
        ValueError: if steps < 1.
    """

    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps of a warm-up must be >= 1; got {self.steps}.")

    def __call__(self, step: int) -> float:
        return self.start + (1 - self.start) * min(step / self.steps, 1.0)


@dataclass(frozen=True)
class Cyclic:
    """Warm-up repeated: linear from 0 to 1 over the first half of every period, then 1.

    Fu et al., Cyclical annealing schedule (2019), https://arxiv.org/abs/1903.10145, with R = 0.5.

    Raises:
        ValueError: if period < 2.
    """

    period: int

    def __post_init__(self) -> None:
        if self.period < 2:
            raise ValueError(f"period of a cyclic schedule must be >= 2 steps; got {self.period}.")

    def __call__(self, step: int) -> float:
        return min(2 * (step % self.period) / self.period, 1.0)
