"""What every penalty is: a term beside the ELBO, which says before training which models it can judge."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.models.model import ELBO, Model
from eqvae.models.vae import VAE


class PenaltyTerm(nn.Module, ABC):
    """A scalar >= 0, averaged over the batch.

    Attributes:
        symmetric: whether it asks the model for a symmetry, which the data may not have.
    """

    symmetric = False

    def check(self, model: Model) -> None:
        """Refuse a model that the term can't judge, in one sentence, before training starts.

        Raises:
            ValueError: if it can't.
        """

    @abstractmethod
    def forward(self, model: Model, batch: Batch, elbo: ELBO) -> Tensor:
        """The penalty.

        Args:
            model: what is trained.
            batch: images and what is known about them.
            elbo: what `model.score(batch)` gave.
        """

    def dials(self, model: Model) -> dict[str, Tensor]:
        """More to log, by name; nothing here."""
        return {}


def check_gaussian(term: PenaltyTerm, model: Model) -> None:
    """Refuse models whose posterior is no Gaussian on the whole latent.

    Raises:
        ValueError: if the model is none of `VAE`.
    """
    if not isinstance(model, VAE):
        raise ValueError(
            f"{type(term).__name__} needs a model with a Gaussian posterior on the whole latent, such as "
            f"model=plain; {type(model).__name__} searches its pose and is equivariant by construction, "
            "so there is nothing to pull at. Leave the penalty out."
        )
