"""Turn, shift and change an object through several models at once, and compare the two ways to do it.

For a motion g and a change c of the content each model shows two images,

    D(c . E(g x))   encode the moved image          D(g . c . E(x))   move the latent,

and by how much they differ: by nothing but the pixel grid under a hard symmetry.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.explore.traversal import changed, content_directions
from eqvae.models.model import Model
from eqvae.symmetry.motions import identity, motion


@dataclass(frozen=True)
class BothWays:
    """What the models make of one moved image.

    Attributes:
        moved: g x, (C, H, H).
        encoded: by model D(c . E(g x)), (C, H, H).
        acted: by model D(g . c . E(x)), (C, H, H).
    """

    moved: Tensor
    encoded: dict[str, Tensor]
    acted: dict[str, Tensor]

    @property
    def difference_percent(self) -> dict[str, float]:
        """By model |encoded - acted| / |encoded|; 0 is an equivariant model.

        A model that shows the same for every image has 0 too: read it beside `error_percent`.
        """
        return {
            name: 100 * ((image - self.acted[name]).norm() / image.norm().clamp_min(1e-9)).item()
            for name, image in self.encoded.items()
        }

    @property
    def error_percent(self) -> dict[str, float]:
        """By model |acted - moved| / |moved|, the distance from the truth; about 100 for nothing."""
        size = self.moved.norm().clamp_min(1e-9)
        return {
            name: 100 * ((image - self.moved).norm() / size).item()
            for name, image in self.acted.items()
        }


@dataclass(frozen=True)
class TraversalExplorer:
    """Several models before the same images.

    Args:
        models: by name, with one latent representation.
        images: to choose from.

    Raises:
        ValueError: if there is no model, or the models differ in their latents.

    Example:
        explorer = TraversalExplorer({"hard": hard, "plain": plain}, images)
        explorer.both_ways(angle=30.0).difference_percent
        sliders(explorer)  # in a notebook, from eqvae.explore.widget
    """

    models: Mapping[str, Model]
    images: Batch
    directions: list[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        latents = {name: model.representation for name, model in self.models.items()}
        if not latents:
            raise ValueError("models must hold at least one model; got none.")
        first = next(iter(latents.values()))
        for name, latent in latents.items():
            if latent != first:
                raise ValueError(
                    f"models must share one latent to be compared; {name!r} has {latent}, "
                    f"the first has {first}. Train it with the same latent."
                )
        object.__setattr__(self, "directions", content_directions(first))

    @torch.no_grad()
    def both_ways(
        self,
        index: int = 0,
        angle: float = 0.0,
        x: float = 0.0,
        y: float = 0.0,
        content: Mapping[tuple[str, int], float] | None = None,
    ) -> BothWays:
        """The two ways to the moved and changed image, for each model.

        Args:
            index: which image.
            angle: degrees, counter-clockwise.
            x: shift to the right, pixels.
            y: shift up, pixels.
            content: amounts by (block, copy), as `changed` takes them.
        """
        g = motion(angle=math.radians(angle), shift=(x, y))
        pair = self.images[[index, index]]
        domain = next(iter(self.models.values())).domain
        pair = pair.act(torch.cat([g, identity()]).to(pair.image), domain)
        encoded, acted = {}, {}
        for name, model in self.models.items():
            z = model.encode(pair).mode
            for (block, copy), amount in (content or {}).items():
                z = changed(model.representation, z, block, copy, amount)
            there = torch.cat([z[:1], model.representation.act(g.to(z), z[1:])])
            encoded[name], acted[name] = model.decode(there)
        return BothWays(pair.image[0], encoded, acted)
