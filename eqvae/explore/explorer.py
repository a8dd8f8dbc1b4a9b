"""Sliders for a latent: turn, shift and change an object, and watch several models at once.

For the motion g and the change c that the sliders say, each model shows two images,

    D(c . E(g x))   encode the moved image          D(g . c . E(x))   move the latent,

and by how much they differ: by nothing but the pixel grid under a hard symmetry.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from eqvae.domains.square import act_on_image
from eqvae.explore.traversal import changed, content_directions
from eqvae.models.vae import VAE
from eqvae.symmetry.motions import motion

_TILE = 168  # screen pixels, about


@dataclass(frozen=True)
class Comparison:
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
        vaes: models by name, with one latent representation.
        images: to choose from, (B, C, H, H).

    Raises:
        ValueError: if there is no model, or the models differ in their latents.

    Example:
        explorer = TraversalExplorer({"hard": hard, "plain": plain}, images)
        explorer.compare(angle=30.0).difference_percent
        explorer.widget()  # in a notebook
    """

    vaes: Mapping[str, VAE]
    images: Tensor
    directions: list[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        latents = {name: vae.representation for name, vae in self.vaes.items()}
        if not latents:
            raise ValueError("vaes must hold at least one model; got none.")
        first = next(iter(latents.values()))
        for name, latent in latents.items():
            if latent != first:
                raise ValueError(
                    f"vaes must share one latent to be compared; {name!r} has {latent}, "
                    f"the first has {first}. Train it with the same latent."
                )
        object.__setattr__(self, "directions", content_directions(first))

    def compare(
        self,
        index: int = 0,
        angle: float = 0.0,
        x: float = 0.0,
        y: float = 0.0,
        content: Mapping[tuple[str, int], float] | None = None,
    ) -> Comparison:
        """The two ways to the moved and changed image, for each model.

        Args:
            index: which image.
            angle: degrees, counter-clockwise.
            x: shift to the right, pixels.
            y: shift up, pixels.
            content: amounts by (block, copy), as `changed` takes them.
        """
        image = self.images[index : index + 1]
        g = motion(angle=math.radians(angle), shift=(x, y)).to(image)
        encoded, acted = {}, {}
        with torch.no_grad():
            moved = act_on_image(g, image)
            for name, vae in self.vaes.items():
                latents = vae.encode(torch.cat([moved, image])).mode
                for (block, copy), amount in (content or {}).items():
                    latents = changed(vae.representation, latents, block, copy, amount)
                there = torch.cat([latents[:1], vae.representation.act(g, latents[1:])])
                encoded[name], acted[name] = vae.decode(there)
        return Comparison(moved[0], encoded, acted)

    def widget(self) -> Any:
        """Sliders for pose and content above the images, an `ipywidgets.VBox`."""
        import ipywidgets as widgets

        def slider(name: str, low: float, high: float, step: float) -> widgets.FloatSlider:
            return widgets.FloatSlider(
                value=0.0, min=low, max=high, step=step, description=name, readout_format=".3g"
            )

        reach = self.images.shape[-1] // 4
        choice = widgets.IntSlider(value=0, min=0, max=len(self.images) - 1, description="image")
        pose = {
            "angle": slider("angle, deg", -180, 180, 1),
            "x": slider("x, pixels", -reach, reach, 0.1),
            "y": slider("y, pixels", -reach, reach, 0.1),
        }
        content = {}
        for block, copy in self.directions:
            turns = block.startswith("psi") and block != "psi0"
            limits = (-180, 180, 1) if turns else (-3, 3, 0.1)
            content[block, copy] = slider(f"{block}[{copy}]{', deg' * turns}", *limits)
        reset = widgets.Button(description="reset")

        screen = {name: widgets.Image(format="png") for name in ("image", "moved")}
        screen |= {(name, way): widgets.Image(format="png") for name in self.vaes for way in (0, 1)}
        captions = {name: widgets.Label() for name in self.vaes}

        def amount(key: tuple[str, int]) -> float:
            return content[key].value * (1 if key[0] in ("psi0", "sign") else math.pi / 180)

        def show(_: Any = None) -> None:
            asked = {key: amount(key) for key in content if content[key].value}
            seen = self.compare(
                choice.value, **{k: s.value for k, s in pose.items()}, content=asked
            )
            screen["image"].value = _png(self.images[choice.value])
            screen["moved"].value = _png(seen.moved)
            for name, percent in seen.difference_percent.items():
                screen[name, 0].value = _png(seen.encoded[name])
                screen[name, 1].value = _png(seen.acted[name])
                wrong = seen.error_percent[name]
                captions[name].value = f"differ by {percent:.2g} %, wrong by {wrong:.2g} %"

        def back(_: Any = None) -> None:
            for control in (*pose.values(), *content.values()):
                control.value = 0.0

        for control in (choice, *pose.values(), *content.values()):
            control.observe(show, names="value")
        reset.on_click(back)
        show()

        blocks = list(dict.fromkeys(block for block, _ in self.directions))
        pages = [widgets.VBox([choice, *pose.values(), reset])]
        pages += [widgets.VBox([content[k] for k in content if k[0] == block]) for block in blocks]
        label = widgets.Label
        columns = [
            [label("image"), screen["image"], label("moved image"), screen["moved"], label("")]
        ]
        columns += [
            [
                label(f"{name}: encode the moved image"),
                screen[name, 0],
                label("move the latent"),
                screen[name, 1],
                captions[name],
            ]
            for name in self.vaes
        ]
        return widgets.VBox(
            [
                widgets.Tab(children=pages, titles=["pose", *blocks]),
                widgets.HBox([widgets.VBox(column) for column in columns]),
            ]
        )


def _png(image: Tensor) -> bytes:
    """(C, H, H) in [0, 1] -> PNG, every pixel a square of several."""
    image = image if len(image) in (1, 3) else image.mean(dim=0, keepdim=True)
    levels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte()
    array = levels.permute(1, 2, 0).squeeze(2).numpy()
    picture = Image.fromarray(array).resize(
        [max(1, round(_TILE / side)) * side for side in array.shape[:2]], Image.Resampling.NEAREST
    )
    file = io.BytesIO()
    picture.save(file, format="png")
    return file.getvalue()
