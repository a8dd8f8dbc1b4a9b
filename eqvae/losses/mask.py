"""What it costs not to know which pixels are the object: -log p(m | z) of the masks that the data have."""

from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.losses.term import PenaltyTerm, check_gaussian
from eqvae.models.model import Model
from eqvae.models.vae import LatentELBO


class MaskPenalty(PenaltyTerm):
    """-log p(m|z) in nats, z ~ q(z|x), averaged over the batch; at weight 1 the loss is -ELBO of (x, m).

    Images without a mask are judged by the image alone when a model is validated or tested; to train, the
    data must have masks.
    """

    def check(self, model: Model) -> None:
        check_gaussian(self, model)
        if model.mask is None:
            raise ValueError(
                "MaskPenalty needs a model that decodes a mask; this one has none. Choose mask=harmonic, "
                "steerable or plain, which brings both."
            )

    def forward(self, model: Model, batch: Batch, elbo: LatentELBO) -> Tensor:
        if batch.mask is not None:
            # masks that were moved by interpolation reach beyond [0, 1]
            return -model.mask.log_prob(batch.mask.clamp(0, 1), elbo.z).mean()
        if self.training:
            raise ValueError(
                "mask needs masks of the images to learn from, and the data have none. Set data.source.mask "
                "of data=npz, use data=cells, or leave mask out"
            )
        return batch.image.new_zeros(())
