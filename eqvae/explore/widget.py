"""Sliders in a notebook: pose and content above, and below what every model makes of them."""

import io
import math
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from eqvae.drawing.tiles import tile
from eqvae.explore.explorer import TraversalExplorer

_TILE = 168  # screen pixels, about


def sliders(explorer: TraversalExplorer) -> widgets.VBox:
    """Sliders for pose and content above the images of an explorer."""
    return _Sliders(explorer).box


class _Sliders:
    """The sliders of an explorer, and the images that follow them."""

    def __init__(self, explorer: TraversalExplorer):
        self.explorer = explorer
        images = explorer.images
        reach = images.image.shape[-1] // 4
        self.choice = widgets.IntSlider(value=0, min=0, max=len(images) - 1, description="image")
        self.pose = {
            "angle": _slider("angle, deg", -180, 180, 1),
            "x": _slider("x, pixels", -reach, reach, 0.1),
            "y": _slider("y, pixels", -reach, reach, 0.1),
        }
        latent = next(iter(explorer.models.values())).representation
        self.turning = {block.name for block in latent.blocks if block.dim == 2}
        self.content = {key: self._direction(*key) for key in explorer.directions}
        self.reset = widgets.Button(description="reset")
        self.screen = {name: widgets.Image(format="png") for name in ("image", "moved")}
        self.screen |= {
            (name, way): widgets.Image(format="png") for name in explorer.models for way in (0, 1)
        }
        self.captions = {name: widgets.Label() for name in explorer.models}
        for control in (self.choice, *self.pose.values(), *self.content.values()):
            control.observe(self._show, names="value")
        self.reset.on_click(self._back)
        self._show()
        self.box = widgets.VBox([self._pages(), self._columns()])

    def _direction(self, block: str, copy: int) -> widgets.FloatSlider:
        """Of one irrep copy: degrees for a pair that turns, else prior standard deviations."""
        if block in self.turning:
            return _slider(f"{block}[{copy}], deg", -180, 180, 1)
        return _slider(f"{block}[{copy}]", -3, 3, 0.1)

    def _amount(self, key: tuple[str, int]) -> float:
        return self.content[key].value * (math.pi / 180 if key[0] in self.turning else 1)

    def _show(self, _: Any = None) -> None:
        content = {key: self._amount(key) for key, s in self.content.items() if s.value}
        pose = {name: control.value for name, control in self.pose.items()}
        seen = self.explorer.both_ways(self.choice.value, **pose, content=content)
        self.screen["image"].value = _png(self.explorer.images.image[self.choice.value])
        self.screen["moved"].value = _png(seen.moved)
        for name, percent in seen.difference_percent.items():
            self.screen[name, 0].value = _png(seen.encoded[name])
            self.screen[name, 1].value = _png(seen.acted[name])
            wrong = seen.error_percent[name]
            self.captions[name].value = f"differ by {percent:.2g} %, wrong by {wrong:.2g} %"

    def _back(self, _: Any = None) -> None:
        for control in (*self.pose.values(), *self.content.values()):
            control.value = 0.0

    def _pages(self) -> widgets.Tab:
        """A page of sliders for the pose, and one for each block."""
        blocks = list(dict.fromkeys(block for block, _ in self.content))
        pages = [widgets.VBox([self.choice, *self.pose.values(), self.reset])]
        pages += [
            widgets.VBox([slider for key, slider in self.content.items() if key[0] == block])
            for block in blocks
        ]
        return widgets.Tab(children=pages, titles=["pose", *blocks])

    def _columns(self) -> widgets.HBox:
        """The image and the moved image, then a column for each model."""
        label, screen = widgets.Label, self.screen
        columns = [
            [label("image"), screen["image"], label("moved image"), screen["moved"], label("")]
        ]
        columns += [
            [
                label(f"{name}: encode the moved image"),
                screen[name, 0],
                label("move the latent"),
                screen[name, 1],
                self.captions[name],
            ]
            for name in self.explorer.models
        ]
        return widgets.HBox([widgets.VBox(column) for column in columns])


def _slider(name: str, low: float, high: float, step: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=0.0, min=low, max=high, step=step, description=name, readout_format=".3g"
    )


def _png(image: Tensor) -> bytes:
    """(C, H, H) in [0, 1] -> PNG, every pixel a square of several."""
    file = io.BytesIO()
    tile(image, max(1, round(_TILE / image.shape[-1]))).save(file, format="png")
    return file.getvalue()
