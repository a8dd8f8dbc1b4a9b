"""A model in parts that can be written down as plain graphs.

A part with an `export()` says what it is without the package that it was built with, or without what only
training needs: filters are expanded, mixtures keep what follows from their parameters. Channels come first
in memory: channels last are faster to train, but torch's sums for their group norms are 8e-6 to 7e-5 off in
float32 where 1e-6 is possible.
"""

from copy import deepcopy

import torch

from eqvae.models.model import Model


def plain(model: Model) -> Model:
    """A copy of a model in eval mode whose parts are plain graphs.

    Raises:
        ValueError: if a part can't be one.
    """
    for name, part in model.named_modules():
        if getattr(part, "interpolation", "bicubic") != "bicubic":
            raise ValueError(
                f"model.{name} moves images by interpolation={part.interpolation!r}, which no plain graph "
                "can: train with interpolation=bicubic to export the model."
            )
    copied = deepcopy(model).eval().requires_grad_(False)
    parts = [(name, part) for name, part in copied.named_modules() if hasattr(part, "export")]
    for name, part in parts:
        copied.set_submodule(name, part.export())
    return copied.to(memory_format=torch.contiguous_format)
