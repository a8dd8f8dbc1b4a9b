"""Continuing in the middle of an epoch, batch by batch as if nothing had happened."""

import pytorch_lightning as pl


def skip_batches_done(trainer: pl.Trainer) -> None:
    """After a checkpoint was restored, bring the training batches to where it was written.

    Lightning 2.6 makes the first iterator before it tells the sampler which epoch it is, and starts an
    unfinished epoch from its first batch again. Samplers whose order is a function of (seed, epoch)
    need neither: set the epoch, start over and pass by the batches that are done. Uses Lightning's
    private `_data_fetcher`; can go when its loaders resume by themselves.
    """
    loop = trainer.fit_loop
    if not loop.restarting and not loop.is_resuming:
        return
    for loader in loop._combined_loader.flattened:
        set_epoch = getattr(loader.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(trainer.current_epoch)
    progress = loop.epoch_loop.batch_progress.current
    if progress.ready == 0:
        return
