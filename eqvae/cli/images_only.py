"""Commands that look at pictures say in one sentence that a model of structures has none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eqvae.models.model import Model


def check_images(model: "Model", command: str) -> None:
    """Refuse models of structures where pixels are needed.

    Args:
        model: that a command is asked to work on.
        command: its name.

    Raises:
        ValueError: if the model lives on points.
    """
    domain = model.domain
    if domain.signals != "images":
        raise ValueError(
            f"{command} is for models of images, and this one is of {domain.signals} of "
            f"{domain.size_of(model.image_shape)}. scripts/states.py says content, pose and state of each "
            "structure, and draws new ones."
        )
