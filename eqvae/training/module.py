"""The one LightningModule: objective of the batch down, terms into the log.

Randomness is a function of (seed, stage, step), set anew for every batch. So a run that was
interrupted anywhere continues with the very numbers it would have drawn, and validation compares
epochs on equal noise.
"""

import zlib
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from eqvae.data.batch import Batch
from eqvae.losses import Objective
from eqvae.models.model import Model
from eqvae.training.batches import skip_batches_done
from eqvae.training.checkpoint import DESCRIPTION, describe, load_weights, weights

SUMS = "epoch_sums"  # in a checkpoint: of the terms, over the batches of the epoch so far


class TrainingModule(pl.LightningModule):
    """Trains any model by any objective; hard, soft and plain differ in those parts only.

    Args:
        vae: the model.
        objective: `objective(model, batch, step) -> (loss, terms)`, nats, mean over the batch.
        optimizer: parameters -> optimizer.
        scheduler: (optimizer, num_steps) -> scheduler, stepped every batch; None keeps the rate. num_steps
            is inf where training has no end.
        model_config: the plain configuration that `vae` was built from; without it the checkpoints
            resume but `load_vae` can't rebuild the model.
        seed: of all noise drawn during training and testing.

    Raises:
        ValueError: if the objective can't judge the model, see `Objective.check`.
    """

    def __init__(
        self,
        vae: Model,
        objective: Objective,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
        model_config: dict[str, Any] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        objective.check(vae)
        self.vae = vae
        self.objective = objective
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.model_config = model_config
        self.seed = seed
        self._sums: dict[
            str, Tensor
        ] = {}  # of the epoch's terms, each with its number of images, (2,)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.make_optimizer([p for p in self.parameters() if p.requires_grad])
        if self.make_scheduler is None:
            return {"optimizer": optimizer}
        num_steps = self.trainer.estimated_stepping_batches
        scheduler = self.make_scheduler(optimizer, num_steps=num_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._step(batch, "train", self.global_step)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, "val", batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, "test", batch_idx)

    def _step(self, batch: Batch, stage: str, step: int) -> Tensor:
        rank = (
            f"/{self.global_rank}" if self.global_rank else ""
        )  # each process draws its own noise
        torch.manual_seed(zlib.crc32(f"{self.seed}/{stage}/{step}{rank}".encode()))
        loss, terms = self.objective(self.vae, batch, self.global_step)
        logged = {f"{stage}/{name}": value for name, value in {"loss": loss, **terms}.items()}
        if stage == "train":
            self._log_epoch(logged, len(batch))
        else:
            self.log_dict(
                logged, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True
            )
        return loss

    def _log_epoch(self, terms: dict[str, Tensor], count: int) -> None:
        """Means over the epoch, logged once at its end, before its checkpoint: Lightning takes a millisecond
        for each term and step, and logs them behind the checkpoint, so that a run that is killed between the
        two would lack them. A term that some steps lack is a mean over the others.
        """
        weight = torch.tensor(float(count), device=self.device)
        for name, value in terms.items():
            own = torch.stack([weight * value.detach().to(weight), weight])
            self._sums[name] = self._sums.get(name, 0.0) + own
        trainer = self.trainer
        if trainer.is_last_batch or trainer.global_step + 1 == trainer.max_steps:
            sums = self._over_processes()
            means = {name: total / images for name, (total, images) in sums.items()}
            self.log_dict(means, on_step=False, on_epoch=True, batch_size=1, logger=False)
            row = {name: float(value) for name, value in means.items()}
            for logger in trainer.loggers:
                logger.log_metrics({"epoch": self.current_epoch, **row}, step=self.global_step)
            self._sums = {}

    def _over_processes(self) -> dict[str, Tensor]:
        """The sums of all processes together."""
        if self.trainer.world_size == 1:
            return dict(self._sums)
        sums = torch.stack([value.float() for value in self._sums.values()])
        return dict(
            zip(self._sums, self.trainer.strategy.reduce(sums, reduce_op="sum"), strict=True)
        )

    def _stored_sums(self) -> dict[str, Any] | None:
        """The sums of each process, (processes, terms, 2): rank 0 alone writes the checkpoint."""
        if not self._sums:
            return None
        values = torch.stack([value.float() for value in self._sums.values()])
        rows = self.all_gather(values).reshape(self.trainer.world_size, -1, 2)
        return {"names": list(self._sums), "values": rows.cpu()}

    def _sums_of(self, stored: dict[str, Any] | None) -> dict[str, Tensor]:
        """This process's share of stored sums; of another number of processes the first takes all."""
        if not stored:
            return {}
        names, rows, rank = stored["names"], stored["values"].to(self.device), self.global_rank
        if rows.dim() == 2:  # of before, when every step had every term
            images = rows[:, names.index("images"), None].expand_as(rows)
            rows = torch.stack([rows, images], dim=2)
        if len(rows) != self.trainer.world_size:
            rows = rows.sum(0, keepdim=True)
        known = dict(zip(names, rows[rank], strict=True)) if rank < len(rows) else {}
        return {name: row for name, row in known.items() if name != "images"}

    def on_train_start(self) -> None:
        skip_batches_done(self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = weights(self)
        checkpoint[SUMS] = self._stored_sums()
        if self.model_config is not None:
            checkpoint[DESCRIPTION] = describe(self.model_config)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        load_weights(self, checkpoint["state_dict"])
        self._sums = self._sums_of(checkpoint.get(SUMS))
        checkpoint["state_dict"] = (
            self.state_dict()
        )  # Lightning loads once more, in the present mode
