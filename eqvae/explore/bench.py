"""A bench for layers: a small steerable network, in which each layer can be taken for one that breaks it.

    image -> convolution -> dropout -> downsampling -> convolution -> pooling -> over orientations -> mean

What comes out is invariant if every layer keeps the symmetry. The error at a turn is

    |f(g x) - f(x)| / |f(x') - f(x)|,    x' another image,

so that 1 means: a turn changes as much as another object would. Images are wave packets that turn exactly.
"""

import math
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from eqvae.drawing.axes import new_axes
from eqvae.drawing.png import png
from eqvae.nn.fields import FieldDropout, GaussianDownsample, MaxOverOrientations, NormMaxPool
from eqvae.nn.steerable.blocks import SteerableConv, function_fields, nonlinearity, scalar_fields
from eqvae.symmetry import PlaneMotions, motion
from eqvae.testing import GaborScenes, controls

_SIZE, _COARSE = 65, 33  # pixels of images, behind the downsampling
_FUNCTIONS = 6  # on the group, in each layer


class LayerBench:
    """The network, and what a turn of the image changes of what it says.

    Args:
        rotations: of the group of its convolutions, C_N.
        images: number of images.
        band: of the images' waves, in units of the Nyquist frequency; above 0.5 a step of 2 aliases.
        seed: of weights and images.

    Attributes:
        broken: by the name of each place, the layer that breaks the symmetry there.

    Example:
        >>> bench = LayerBench(images=2)
        >>> kept, aliased = bench.errors([90.0]), bench.errors([90.0], broken=["convolution"])
        >>> bool(kept < 1e-3), bool(aliased > 0.1)
        (True, True)
    """

    def __init__(self, rotations: int = 8, images: int = 8, band: float = 0.35, seed: int = 0):
        group = PlaneMotions.cyclic(rotations)
        fields = function_fields(group, _FUNCTIONS * rotations)
        channels = _FUNCTIONS * rotations
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.kept: dict[str, nn.Module] = {
                "lift": nn.Sequential(
                    SteerableConv(scalar_fields(group, 1), fields, 7), nonlinearity(group, fields)
                ),
                "dropout": FieldDropout(fields, _SIZE, rate=0.2),
                "downsampling": GaussianDownsample(fields, _SIZE),
                "convolution": nn.Sequential(
                    SteerableConv(fields, fields, 7), nonlinearity(group, fields)
                ),
                "pooling": NormMaxPool(fields, _COARSE, window=3, stride=2),
                "orientations": MaxOverOrientations(fields, (_COARSE - 1) // 2),
            }
            self.broken: dict[str, nn.Module] = {
                "lift": nn.Sequential(
                    controls.IndependentKernels(1, _FUNCTIONS, rotations, 7), nn.SiLU()
                ),
                "dropout": controls.ElementwiseDropout(0.2),
                "downsampling": controls.NaiveStride(2),
                "convolution": nn.Sequential(
                    nn.Conv2d(channels, channels, 7, padding=3, bias=False), nn.SiLU()
                ),
                "pooling": controls.MaxPoolEverywhere(4, 2),
                "orientations": nn.Conv2d(channels, _FUNCTIONS, 1, bias=False),
            }
        self.scenes = GaborScenes(images, seed=seed, size=_SIZE, band=band)
        self.seed = seed

    def layers(self, broken: Sequence[str] = ()) -> Mapping[str, nn.Module]:
        """The layers by place, those named from `broken`.

        Raises:
            ValueError: if a name is no place.
        """
        unknown = sorted(set(broken) - set(self.kept))
        if unknown:
            raise ValueError(
                f"broken must be places out of {', '.join(self.kept)}; got {unknown[0]!r}."
            )
        return {name: (self.broken if name in broken else self.kept)[name] for name in self.kept}

    @torch.no_grad()
    def features(self, x: Tensor, broken: Sequence[str] = (), upto: str = "") -> Tensor:
        """What the network says of images (B, 1, H, H): (B, F), or the maps behind the place `upto`.

        Dropout draws the same at every call.
        """
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            for name, layer in self.layers(broken).items():
                x = layer(x)
                if name == upto:
                    return x
        return x.mean(dim=(2, 3))

    def errors(self, degrees: Sequence[float], broken: Sequence[str] = ()) -> Tensor:
        """What turns by these angles change, (len(degrees),); 1 is as much as another image would."""
        still = self.features(self.scenes.render(), broken)
        chance = (still - still.roll(1, 0)).norm()
        turned = [
            self.features(self.scenes.render(motion(angle=math.radians(d))), broken)
            for d in degrees
        ]
        return torch.stack([(f - still).norm() / chance for f in turned])

    def figure(
        self,
        choices: Mapping[str, Sequence[str]],
        degrees: Sequence[float] = tuple(range(0, 95, 5)),
    ) -> Figure:
        """Error against angle for several choices of broken layers, by the name in the legend."""
        figure, axes = new_axes(7.6, 3.4)
        for name, broken in choices.items():
            axes.plot(
                degrees, self.errors(degrees, broken), label=name, lw=2 if not broken else 1.2
            )
        axes.axhline(1, color="0.6", ls=":", label="another image")
        axes.set(
            xlabel="turn of the image (degrees)", ylabel="change of what is said",
            ylim=(0, 3), title="What a turn changes",
        )  # fmt: skip
        axes.set_yscale("symlog", linthresh=1e-2)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def workbench(bench: LayerBench) -> widgets.VBox:
    """A switch for each layer of a bench, above the curve of what is switched."""
    switches = {
        name: widgets.ToggleButtons(options=["keeps", "breaks"], description=name)
        for name in bench.kept
    }
    screen = widgets.Image(format="png")

    def show(_: object = None) -> None:
        broken = [name for name, switch in switches.items() if switch.value == "breaks"]
        chosen = {"as built": (), **({", ".join(broken): broken} if broken else {})}
        screen.value = png(bench.figure(chosen))

    for switch in switches.values():
        switch.observe(show, names="value")
    show()
    return widgets.VBox([*switches.values(), screen])
