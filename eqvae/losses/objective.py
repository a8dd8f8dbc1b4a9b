"""What is minimised: loss = -log p(x|z) + beta KL + sum_i weight_i penalty_i, named terms with schedules."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.losses.contest import COSINES, gradient_cosines
from eqvae.losses.elbo import batch_means
from eqvae.losses.residual import check_priced
from eqvae.losses.schedules import Constant
from eqvae.losses.term import PenaltyTerm
from eqvae.models.model import Model

Schedule = Callable[[int], float]


class Penalty(nn.Module):
    """A penalty with its weight and schedule.

    Args:
        term: what is penalised, `term(model, batch, elbo) -> scalar`.
        weight: factor in nats for each unit of the term.
        schedule: step -> factor on the weight.

    Raises:
        ValueError: if the weight is negative.
    """

    def __init__(self, term: PenaltyTerm, weight: float, schedule: Schedule = Constant()):
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
        cosine_every: training steps from one look at `eqvae.losses.contest.gradient_cosines` to the next, for
            penalties that name a symmetry; 0 for none. A look takes a backward pass more for the task and for
            each penalty.

    Raises:
        ValueError: if beta or cosine_every is negative.
    """

    def __init__(
        self,
        beta: float = 1.0,
        beta_schedule: Schedule = Constant(),
        penalties: Mapping[str, Penalty] | None = None,
        cosine_every: int = 100,
    ):
        super().__init__()
        if beta < 0:
            raise ValueError(f"beta must be >= 0; got {beta}.")
        if not isinstance(cosine_every, int) or cosine_every < 0:
            raise ValueError(
                "cosine_every must be a whole number of steps, or 0 for no look at the gradients; got "
                f"{cosine_every!r}."
            )
        self.beta = beta
        self.beta_schedule = beta_schedule
        self.penalties = nn.ModuleDict(penalties or {})
        self.cosine_every = cosine_every

    def check(self, model: Model) -> None:
        """Refuse, before training, a model that a penalty can't judge or whose soft layers have no price.

        Raises:
            ValueError: in one sentence.
        """
        terms = [penalty.term for penalty in self.penalties.values()]
        for name, term in zip(self.penalties, terms, strict=True):
            try:
                term.check(model)
            except ValueError as error:
                raise ValueError(f"objective.penalties.{name}: {error}") from error
        check_priced(model, terms)

    def forward(self, model: Model, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Score a batch.

        Args:
            model: the model.
            batch: images and what is known about them.
            step: training step, for the schedules.

        Returns:
            The loss in nats (scalar), and the terms by name: those of `batch_means`, "loss", and
            "penalty/<name>" before weighting, and "dial/<key>" of what terms have to say beside it;
            "dial/grad_cosine/<name>" in training, at some steps.
        """
        elbo = model.score(batch)
        terms = batch_means(elbo, model.likelihood.constant(batch.image))
        task = loss = -terms["log_likelihood"] + self.beta * self.beta_schedule(step) * terms["kl"]
        for name, penalty in self.penalties.items():
            value = penalty.term(model, batch, elbo)
            loss = loss + penalty.weight * penalty.schedule(step) * value
            terms[f"penalty/{name}"] = value
            terms |= {f"dial/{key}": dial for key, dial in penalty.term.dials(model).items()}
        if self._looks(step):
            asked = {
                n: terms[f"penalty/{n}"] for n, p in self.penalties.items() if p.term.symmetric
            }
            cosines = gradient_cosines(task, asked, model.parameters())
            terms |= {f"dial/{COSINES}/{name}": cosine for name, cosine in cosines.items()}
        return loss, {"loss": loss, **terms}

    def _looks(self, step: int) -> bool:
        """Whether the gradients are compared at this step."""
        due = self.cosine_every > 0 and step % self.cosine_every == 0
        named = any(penalty.term.symmetric for penalty in self.penalties.values())
        return due and named and self.training and torch.is_grad_enabled()
