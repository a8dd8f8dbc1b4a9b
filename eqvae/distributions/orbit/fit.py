"""The orbit mixture of latents: how many components is for held-out latents to say."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from eqvae.distributions.orbit.components import Mixture
from eqvae.distributions.orbit.em import BATCH, expectation_maximisation
from eqvae.distributions.orbit.factors import fit_factors
from eqvae.distributions.orbit.frames import align_frames
from eqvae.distributions.orbit.latents import Latents
from eqvae.distributions.orbit.mixture import FINEST, OrbitMixture
from eqvae.symmetry.plane import PlaneMotions
from eqvae.watch import Watch, unwatched

COMPONENTS = (1, 10, 20, 40, 80, 160)  # tried in turn, while held-out latents become likelier
_FEWEST = 20  # latents for each component
_STEPS = 12  # of EM where a step sees all latents
_PASSES = 2.0  # over more latents than a step sees, beyond those steps
_ROUNDS = 2  # of the factors
_PILOT = 10  # components
_CHANCE = 2.0  # standard errors by which latents must be likelier on the orbits of another group
_HELD_OUT = 4000  # latents that are looked at
_CONVERGED = 1e-5  # nats, between a grid of angles and one twice as fine


M, S = TypeVar("M", bound=Mixture), TypeVar("S")
Fit = Callable[[Latents, S, int, int, int], M]  # of latents, symmetry, components, rank and seed


@dataclass(frozen=True)
class OrbitFit:
    """Fits an orbit mixture of so many components, or of as many as make held-out latents likeliest.

    Args:
        components: K; None chooses among `COMPONENTS`.
        rank: of the covariances beyond one variance for each copy.
        seed: of the fit.
        watch: wraps the numbers of components with a progress bar.

    Raises:
        ValueError: if a number is out of its range.
    """

    components: int | None = None
    rank: int = 16
    seed: int = 0
    watch: Watch = unwatched

    def __post_init__(self) -> None:
        if self.components is not None and self.components < 1:
            raise ValueError(
                f"components must be at least 1, or null to let held-out data choose; got {self.components}."
            )
        if self.rank < 0:
            raise ValueError(f"rank must be at least 0; got {self.rank}.")

    def __call__(
        self, latents: Latents, held_out: Latents, symmetries: Sequence[PlaneMotions]
    ) -> OrbitMixture:
        """The mixture.

        Args:
            latents: to fit.
            held_out: to choose by.
            symmetries: whose orbits the latents may lie on: the first, unless held-out latents are likelier
                by more than chance on those of a later one, with mixtures of `_PILOT` components.

        Raises:
            ValueError: if latents are not finite or fewer than the components.
        """
        best = self.choose(fit_components, latents, held_out, symmetries)
        refine_grid(best, held_out, self.seed)
        align_frames(best, latents, self.seed)
        return best

    def choose(self, fit: Fit, latents: Latents, held_out: Latents, symmetries: Sequence[S]) -> M:
        """The mixture with the symmetry and the number of components that held-out latents ask for.

        Args:
            fit: makes one, as `fit_components` does.
            latents, held_out, symmetries: as above.
        """
        check_latents(latents, self.components)
        check_latents(held_out, None)
        symmetry = self._symmetry(fit, latents, held_out, symmetries)
        best, highest = None, -torch.inf
        tried = [self.components] if self.components else _numbers(len(latents))
        for k in self.watch(tried, "fitting the prior"):
            mixture = fit(latents, symmetry, k, self.rank, self.seed)
            score = float(held_out_log_prob(mixture, held_out, self.seed).mean())
            if best is not None and score <= highest:
                break
            best, highest = mixture, score
        return best

    def _symmetry(
        self, fit: Fit, latents: Latents, held_out: Latents, symmetries: Sequence[S]
    ) -> S:
        if len(symmetries) == 1:
            return symmetries[0]
        k, found, likely = min(_PILOT, len(latents)), symmetries[0], None
        for symmetry in symmetries:
            pilot = fit(latents, symmetry, k, 0, self.seed)
            log_p = held_out_log_prob(pilot, held_out, self.seed).double()
            if likely is not None:
                better = log_p - likely
                chance = float(better.std(correction=0)) / math.sqrt(len(better))
                if float(better.mean()) <= _CHANCE * chance:
                    continue
            found, likely = symmetry, log_p
        return found


def fit_components(
    latents: Latents, symmetry: PlaneMotions, components: int, rank: int, seed: int
) -> OrbitMixture:
    """The mixture of K components: EM, and then the factors."""
    generator = torch.Generator().manual_seed(seed)
    rank = min(rank, latents.representation.dim - 1)
    mixture = OrbitMixture(latents.representation, symmetry, components, rank).to(latents.loc)
    steps = _STEPS + int(_PASSES * max(len(latents) - BATCH, 0) / BATCH)
    expectation_maximisation(mixture, latents, steps, generator)
    for _ in range(_ROUNDS):
        fit_factors(mixture, latents, generator)
    return mixture.requires_grad_(False)


@torch.no_grad()
def held_out_log_prob(mixture: Mixture, latents: Latents, seed: int) -> torch.Tensor:
    """log p of a draw of each of at most `_HELD_OUT` latents, nats."""
    generator = torch.Generator().manual_seed(seed)
    return mixture.log_prob(latents.some(_HELD_OUT, generator))


@torch.no_grad()
def refine_grid(mixture: OrbitMixture, latents: Latents, seed: int) -> None:
    """Double the angles until the sum over them is the integral."""
    if mixture.is_trivial or mixture.symmetry.is_finite:
        return
    v = latents.some(200, torch.Generator().manual_seed(seed)).double()
    while mixture.angles < FINEST:
        coarse = mixture.log_prob(v)
        mixture.angles *= 2
        if (mixture.log_prob(v) - coarse).abs().max() < _CONVERGED:
            mixture.angles //= 2
            return


def check_latents(latents: Latents, components: int | None) -> None:
    """Refuse latents that no mixture can be fitted to.

    Raises:
        ValueError: if they are not finite, or fewer than the components.
    """
    wrong = ~(latents.loc.isfinite().all(1) & latents.scale.isfinite().all(1))
    if wrong.any():
        raise ValueError(
            f"latents must be finite; {int(wrong.sum())} of {len(wrong)} are not, the first in row "
            f"{int(wrong.nonzero()[0])}. The model has diverged, or its images hold NaN."
        )
    if components is not None and not 1 <= components <= len(latents):
        raise ValueError(
            f"components must be from 1 to the {len(latents)} latents that they are fitted to; got "
            f"{components}. Ask for fewer, or leave it out."
        )
    if len(latents) < 1:
        raise ValueError("latents must hold at least one image; got none.")


def _numbers(count: int) -> list[int]:
    """Numbers of components worth trying for so many latents."""
    return [k for k in COMPONENTS if k * _FEWEST <= count] or [max(1, count // _FEWEST)]
