"""Commands that look at pictures say in one sentence that a model of structures has none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eqvae.models.model import Model

STATES = "scripts/states.py says content, pose and state of each structure, and draws new ones."


def check_images(model: "Model", command: str, instead: str) -> None:
    """Refuse models of structures where pixels are needed.

    Args:
        model: that a command is asked to work on.
        command: its name.
        instead: what gives the same for structures.

    Raises:
        ValueError: if the model lives on points.
    """
    from eqvae.three.points import Points

    if isinstance(model.domain, Points):
        raise ValueError(
            f"{command} is for models of images, and this one is of structures of {model.domain.num_atoms} "
            f"atoms. {instead}"
        )
