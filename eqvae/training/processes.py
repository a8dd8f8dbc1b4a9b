"""When the host may wait for the device, and for other processes."""

import pytorch_lightning as pl

_EVERY = 50  # batches


def may_wait(trainer: pl.Trainer) -> bool:
    """Whether a number may be read from the device now, which waits for all that it still has to do.

    On a CPU always; on accelerators at every 50th training batch and at the last one of an epoch, before its
    checkpoint.
    """
    if trainer.strategy.root_device.type == "cpu" or trainer.is_last_batch:
        return True
    return trainer.fit_loop.epoch_loop.batch_idx % _EVERY == _EVERY - 1


def any_of_them(trainer: pl.Trainer, true: bool) -> bool:
    """Whether something is true in any of the processes; all of them must ask."""
    return trainer.strategy.reduce_boolean_decision(true, all=False)
