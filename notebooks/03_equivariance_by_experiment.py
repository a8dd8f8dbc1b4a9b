# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Equivariance by experiment
#
# A network is equivariant if it makes no difference whether its input is moved before it or its output
# behind it, *f(g x) = g f(x)*. One layer that does not keep the law is enough to lose it. Here is a small
# network on a bench, and for each of its layers another that breaks the law: put one in the place of the
# other, and see the number move. [The page of claims](../docs/equivariance.md) has such an experiment for
# everything that is commonly said about the subject.

# %%
import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Image, display

warnings.filterwarnings("ignore", "`py3nj` package not found")  # escnn's, at import

from eqvae.claims.claim import all_claims
from eqvae.claims.measure import measured_row
from eqvae.domains import LogPolarGrid, SquareGrid
from eqvae.drawing.png import png
from eqvae.explore.bench import LayerBench, workbench
from eqvae.lens import identify
from eqvae.symmetry import PlaneMotions, SpaceRotations, motion

FAST = bool(os.environ.get("EQVAE_FAST"))  # for the tests: seconds
DEGREES = list(range(0, 95, 45 if FAST else 5))


def show(figure):
    """A figure in the page, whichever backend matplotlib has."""
    display(Image(png(figure)))
    plt.close(figure)


# %% [markdown]
# ## The law, seen
# The images are wave packets that can be drawn at any angle: turning one costs no interpolation, so
# whatever error is left belongs to the network. Above: an image and the same image turned by 90 degrees.
# Below: one channel of what the pooling layer makes of them. The map turns with the image, and because
# the layer's channels are orientations, the turned map stands in another channel: a quarter turn moves it
# up by two of eight.

# %%
bench = LayerBench(images=2 if FAST else 8)
quarter = motion(angle=np.pi / 2)
still, turned = bench.scenes.render(), bench.scenes.render(quarter)
figure, axes = plt.subplots(2, 3, figsize=(7.5, 5), layout="constrained")
maps = [bench.features(x, upto="pooling")[0] for x in (still, turned)]
pictures = [
    (still[0, 0], "image"),
    (turned[0, 0], "turned image"),
    (torch.rot90(still[0, 0]), "image, turned as an array"),
    (maps[0][0], "channel 0"),
    (maps[1][2], "channel 2, of the turned image"),
    (torch.rot90(maps[0][0]), "channel 0, turned"),
]
for ax, (picture, title) in zip(axes.flat, pictures, strict=True):
    ax.imshow(picture, cmap="gray")
    ax.set_title(title, fontsize=9)
    ax.axis("off")
show(figure)
difference = (maps[1][2] - torch.rot90(maps[0][0])).norm() / maps[1][2].norm()
print(f"f(g x) and g f(x) differ by {float(difference):.1e}")

# %% [markdown]
# ## Break one layer at a time
# At its end the network says something of the image that no turn should change. The curve is how much a
# turn does change it, where 1 is as much as looking at *another image*. As built it is exact at quarter
# turns, where pixels fall on pixels, and small between. Each other curve has one layer taken out for its
# counterpart.

# %%
choices = {"as built": ()} | {f"{name} broken": [name] for name in bench.kept}
show(bench.figure(choices, DEGREES))

# %% [markdown]
# Some breaks are seen at once; a step without a low-pass is not, as long as the images are smooth: it is
# exact at quarter turns, and what the coarse grid can't hold is little. With finer detail, beyond half the
# Nyquist frequency, it makes about twice as much of every turn between.

# %%
fine = LayerBench(images=2 if FAST else 8, band=0.6)
show(fine.figure({"as built": (), "downsampling broken": ["downsampling"]}, DEGREES))

# %% [markdown]
# ## Do it yourself
# Switch layers and watch the curve (in a running notebook).

# %%
workbench(LayerBench(images=2))

# %% [markdown]
# ## Which representation does a function carry?
# A lens for functions that nobody has written a law down for: `identify` moves the inputs, looks at how
# the outputs move, and names the representation. Angular momentum *q x p* is a vector under turns, but a
# mirror does to it what it does to no velocity: `1e`, a pseudovector. Helicity, the part of a spin along
# its motion, changes sign under a mirror although no turn changes it: `0o`.

# %%
q, p = np.random.default_rng(0).normal(size=(2, 80, 3))
space = SpaceRotations(parity=True)
functions = {
    "position": lambda x: x[:, :3],
    "angular momentum": lambda x: np.cross(x[:, :3], x[:, 3:]),
    "energy": lambda x: (x**2).sum(1, keepdims=True),
    "position, stretched along x": lambda x: x[:, :3] * np.array([3.0, 1.0, 1.0]),
    "position and energy": lambda x: np.hstack([x[:, :3], (x**2).sum(1, keepdims=True)]),
    "a rectified position": lambda x: np.maximum(x[:, :3], 0),
}
for name, f in functions.items():
    print(f"{name:<28} {identify(f, space, '2x1o', np.hstack([q, p]))}")

# %% [markdown]
# A stretched position is still found to carry `1o`: it is one in other coordinates, and a representation
# does not depend on them. The rectified one is none. The group decides what can be told: an arrow that turns
# twice as fast is not moved at all by turns of 180 degrees alone, and looks like two numbers that nothing
# moves; the lens says what it can't tell apart.

# %%
arrows = np.random.default_rng(1).normal(size=(80, 2))


def double(x):
    """The arrow of twice the angle."""
    return np.stack([x[:, 0] ** 2 - x[:, 1] ** 2, 2 * x[:, 0] * x[:, 1]], axis=1)


for group in (PlaneMotions.so2(), PlaneMotions.cyclic(8), PlaneMotions.cyclic(2)):
    print(f"{group.name:<6} {identify(double, group, '1x1', arrows)}")

# %% [markdown]
# ## Scale, as a shift
# On a grid whose rings lie at *r e^(k u)*, scaling an image shifts the rings and turning it shifts the
# angles: an ordinary convolution on that grid commutes with both. The price: it only works about a known
# centre, and something always comes in at the inner edge.

# %%
grid = LogPolarGrid.covering(bench.scenes.size, angles=96)
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3), layout="constrained")
images = {
    "image": motion(),
    "1.5 times as large": motion(log_scale=float(np.log(1.5))),
    "turned by 60": motion(angle=np.pi / 3),
}
for ax, (title, g) in zip(axes, images.items(), strict=True):
    moved = SquareGrid(bench.scenes.size).act(g, still[:1])
    ax.imshow(grid.of_square(moved)[0, 0], aspect="auto", cmap="gray")
    ax.set(title=title, xlabel="angle", ylabel="log radius")
show(figure)

# %% [markdown]
# ## A claim of your own
# Every claim of the page is a function that measures: a part that obeys, a control that must fail, and a
# verdict from the numbers. This one asks which lattice is closer to the circle. A new one is a function
# below `@claim(...)` in a file of `eqvae/claims/rows`.

# %%
row, figure = measured_row(all_claims()["32"], seeds=[0])
print(f"{row.claim}\n{row.verdict}: {row.value:.3g} {row.unit}, control {row.control:.3g}")
show(figure)
