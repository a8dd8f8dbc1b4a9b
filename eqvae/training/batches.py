"""Continuing in the middle of an epoch, batch by batch as if nothing had happened."""

import pytorch_lightning as pl


def skip_batches_done(trainer: pl.Trainer) -> None:
    """After a checkpoint was restored, bring the training batches to where it was written.

    Lightning 2.6 makes the first iterator before it tells the sampler which epoch it is, and begins
    an unfinished epoch from its first batch again. With samplers whose order is a function of
    (seed, epoch) the cure is: set the epoch, iterate anew, pass by the batches that are done. Uses
    Lightning's private loaders; can go when they resume by themselves.
    """
    loop = trainer.fit_loop
    if not loop.is_resuming:
        return
    for loader in loop._combined_loader.flattened:
        set_epoch = getattr(loader.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(loop.epoch_progress.current.processed)
    iter(loop._data_fetcher)
    progress = loop.epoch_loop.batch_progress
    if loop.restarting and not progress.is_last_batch:
        for _ in range(progress.current.processed):
            next(loop._data_fetcher.iterator)
