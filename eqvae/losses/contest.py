"""Whether a penalty and the task pull at the weights in the same direction, across, or against each other.

    cos = <grad L_task, grad L_eq> / (|grad L_task| |grad L_eq|)

over the parameters that both reach. About 0: they mind their own business. Near -1: whatever the penalty
gains, the task loses. That alone does not tell a wrong penalty from a right one: in trainings of 400 steps
right and wrong ones were at -0.50 and -0.58, deviations 0.24 and 0.22. What tells them apart is how it ends
(`Contest`): a right penalty gets its way, a wrong one costs the task and still does not.

What such a fight costs can be told in closed form. Let the target of the task be c, the same for all g x, and
let the penalty say that f moves by a representation rho without an invariant vector, so that the mean of rho
over the group is 0. With the two losses

    L_task = E |f(x) - c|^2,    L_eq = E_g |f(g x) - rho(g) f(x)|^2,

and by convexity and symmetry in x, the best f has one value a on the whole orbit, for which the cross term of
L_eq vanishes: L_eq = |a|^2 + |a|^2 - 2 a . E_g[rho(g)] a = 2 |a|^2. Then L_task + lambda L_eq = |a - c|^2 +
2 lambda |a|^2 is least at a = c / (1 + 2 lambda), where

    L_task = (2 lambda / (1 + 2 lambda))^2 |c|^2.

Both gradients lie along c there and point in opposite directions: cos = -1. Under the right representation,
the trivial one, L_eq is 0 at the task's own optimum, and nothing is lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

COSINES = "grad_cosine"  # name of the logged values
# Of chance: where they cost something, wrong penalties left the encoder at 0.65 to 0.74, right ones at 0.12
# to 0.58.
UNMET = 0.6


def task_error_of_wrong_penalty(weight: float, target: float = 1.0) -> float:
    """L_task at the optimum of L_task + weight L_eq, where L_eq names a representation without invariants.

    Args:
        weight: lambda.
        target: |c|^2.
    """
    return (2 * weight / (1 + 2 * weight)) ** 2 * target


def cosines_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """By penalty the cosine over the later half of a run, from the metrics of that run."""
    first = f"train/{COSINES}/"
    return {n.removeprefix(first): value for n, value in metrics.items() if n.startswith(first)}


@dataclass(frozen=True)
class Contest:
    """How a training with a penalty ended, beside the same without.

    Attributes:
        lost: what it costs the task, nats an image.
        half: half-width of the interval of `lost`.
        missed: error of the encoder under the motions that it should obey, 0 exact, 1 chance.
        cosine: of its gradient and the task's over the later half of training; None where nobody looked.
    """

    lost: float
    half: float
    missed: float
    cosine: float | None = None

    @property
    def fights(self) -> bool:
        """Whether the penalty costs something that can be told from nothing, and does not get its way."""
        return self.lost > self.half and self.missed > UNMET


def fights(found: Mapping[str, Contest]) -> list[str]:
    """A sentence for each that fights; names begin the sentences."""
    return [
        f"{name} fights the task: it costs {end.lost:.0f} \u00b1 {end.half:.0f} nats, and the latent still "
        f"misses the motions of its images by {end.missed:.2f} of chance{_pulling(end.cosine)}; the data may "
        "not have this symmetry, the representation is wrong, or the training too short."
        for name, end in found.items()
        if end.fights
    ]


def _pulling(cosine: float | None) -> str:
    return "" if cosine is None else f" (gradients at cosine {cosine:.2f})"


def gradient_cosines(
    task: Tensor, penalties: Mapping[str, Tensor], parameters: Iterable[nn.Parameter]
) -> dict[str, Tensor]:
    """The cosine of the task's gradient and that of each penalty, in [-1, 1]; the graph is kept.

    Args:
        task: scalar.
        penalties: scalars by name.
        parameters: what is trained; those that a penalty does not reach are left out of its cosine.

    Returns:
        By the name of the penalty; 0 where one of the two pulls at nothing.
    """
    trained = [p for p in parameters if p.requires_grad]
    if not trained or not task.requires_grad:
        return {}
    of_task = torch.autograd.grad(task, trained, retain_graph=True, allow_unused=True)
    found = {}
    for name, penalty in penalties.items():
        if penalty.requires_grad:
            own = torch.autograd.grad(penalty, trained, retain_graph=True, allow_unused=True)
            found[name] = _cosine(of_task, own)
    return found


def _cosine(first: Iterable[Tensor | None], second: Iterable[Tensor | None]) -> Tensor:
    pairs = [
        (a.double(), b.double())
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    if not pairs:
        return torch.zeros(())
    product, a2, b2 = (
        torch.stack([(u * v).sum() for u, v in some]).sum()
        for some in (pairs, [(a, a) for a, _ in pairs], [(b, b) for _, b in pairs])
    )
    size = (a2 * b2).sqrt()
    return torch.where(size > 0, product / size.clamp_min(1e-300), 0.0).float()
