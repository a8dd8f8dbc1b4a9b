"""Encoder and decoder as kernels that torch.compile makes of them."""

import pytorch_lightning as pl
from torch import nn


class CompileModel(pl.Callback):
    """Compile the encoder and the decoder of a harmonic or pose model when training starts.

    The first steps take a minute; checkpoints and results are those of a model that is not compiled, up to
    rounding.

    Args:
        backend: of torch.compile; "inductor" needs a C++ compiler on the CPU.
        mode: of torch.compile: "default", "reduce-overhead" (CUDA graphs) or "max-autotune".

    Raises:
        ValueError: if mode is none of these, or at the start of training if the model has layers of escnn,
            which torch.compile can't follow.
    """

    def __init__(self, backend: str = "inductor", mode: str = "default"):
        if mode not in ("default", "reduce-overhead", "max-autotune"):
            raise ValueError(
                f"mode must be default, reduce-overhead or max-autotune; got {mode!r}."
            )
        self.backend, self.mode = backend, mode

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        parts = [
            p for p in (pl_module.vae.encoder, pl_module.vae.decoder) if isinstance(p, nn.Module)
        ]
        if any(type(m).__module__.startswith("escnn") for part in parts for m in part.modules()):
            raise ValueError(
                "callbacks=compiled works with model=harmonic and model=pose; this model has layers of "
                "escnn, which torch.compile can't follow. Use callbacks=default."
            )
        for part in parts:
            part.compile(backend=self.backend, mode=None if self.mode == "default" else self.mode)
