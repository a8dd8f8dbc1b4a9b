"""Symmetry by augmentation: the ELBO of moved images, so that the data have every pose."""

from collections.abc import Mapping

from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.losses.objective import Objective, Penalty, Schedule
from eqvae.losses.schedules import Constant
from eqvae.models.model import Model
from eqvae.symmetry.group import Group
from eqvae.symmetry.plane import PlaneMotions


class AugmentedObjective(Objective):
    """The objective of g x with a new g for every image and step; in eval mode that of x.

    Args:
        symmetry: the group to draw from.
        shift: radius of the disc of shifts, pixels.
        interpolation: how images are moved, "bicubic" or "fourier"; the result is kept in the range of the
            domain's signals, [0, 1] of images.
        beta, beta_schedule, penalties, cosine_every: as of `Objective`.
    """

    def __init__(
        self,
        symmetry: Group = PlaneMotions.so2(),
        shift: float = 2.0,
        interpolation: str = "bicubic",
        beta: float = 1.0,
        beta_schedule: Schedule = Constant(),
        penalties: Mapping[str, Penalty] | None = None,
        cosine_every: int = 100,
    ):
        super().__init__(beta, beta_schedule, penalties, cosine_every)
        self.symmetry = symmetry
        self.shift = shift
        self.interpolation = interpolation

    def forward(self, model: Model, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Score a batch, see `Objective`; the optics must be round, as a radial transfer function is."""
        if self.training:
            g = self.symmetry.sample(len(batch), shift=self.shift)
            batch = batch.act(g, model.domain, self.interpolation)
            batch = batch.replace(image=model.domain.valid(batch.image))
        return super().forward(model, batch, step)
