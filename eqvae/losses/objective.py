"""What is minimised: loss = -log p(x|z) + beta KL + sum_i weight_i penalty_i, named terms with schedules."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from eqvae.losses.elbo import elbo_terms
from eqvae.losses.schedules import Constant
from eqvae.models.vae import VAE

Schedule = Callable[[int], float]


class Penalty(nn.Module):
    """A penalty with its weight and schedule.

    Args:
        term: what is penalised, `term(vae, x, output) -> scalar`: `EquivariancePenalty` or your own.
        weight: factor in nats for each unit of the term.
        schedule: step -> factor on the weight.

    Raises:
        ValueError: if the weight is negative.
    """

    def __init__(self, term: nn.Module, weight: float, schedule: Schedule = Constant()):
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight of a penalty must be >= 0; got {weight}.")
        self.term = term
        self.weight = weight
        self.schedule = schedule


class Objective(nn.Module):
    """The training loss and everything worth logging about it.

    Args:
        beta: weight of the KL; 1 is the ELBO.
        beta_schedule: step -> factor on beta.
        penalties: named penalties, computed in training and validation alike.

    Raises:
        ValueError: if beta is negative.
    """

    def __init__(
        self,
        beta: float = 1.0,
        beta_schedule: Schedule = Constant(),
        penalties: Mapping[str, Penalty] | None = None,
    ):
        super().__init__()
        if beta < 0:
            raise ValueError(f"beta must be >= 0; got {beta}.")
        self.beta = beta
        self.beta_schedule = beta_schedule
        self.penalties = nn.ModuleDict(penalties or {})

    def forward(
        self, vae: VAE, x: Tensor, step: int, **optics: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Score a batch.

        Args:
            vae: the model.
            x: images, (B, C, H, H).
            step: training step, for the schedules.
            optics: what a model that `uses_optics` takes beside the images.

        Returns:
            The loss in nats (scalar), and the terms by name: those of `elbo_terms`, "loss", and
            "penalty/<name>" before weighting, and "dial/<key>" of terms that have `dials(vae)`.
        """
        output = vae(x, **optics)
        terms = elbo_terms(x, output, vae.likelihood)
        loss = -terms["log_likelihood"] + self.beta * self.beta_schedule(step) * terms["kl"]
        for name, penalty in self.penalties.items():
            value = penalty.term(vae, x, output)
            loss = loss + penalty.weight * penalty.schedule(step) * value
            terms[f"penalty/{name}"] = value
            if hasattr(penalty.term, "dials"):
                terms |= {f"dial/{key}": dial for key, dial in penalty.term.dials(vae).items()}
        return loss, {"loss": loss, **terms}
