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
# # Three dimensions
#
# An image can be turned about one axis, a molecule about any. Turns of space don't commute, a mirror image
# may be another substance, and some poses can't be told apart, however well one looks. The formalism stays
# what it was on the plane: a group acts on structures and on latents, and maps between them commute with it.
# Here it finds poses, learns how a chain opens, fits a piece into a complex and predicts forces.
# [docs/three.md](../docs/three.md) has the numbers on real molecules.

# %%
import math
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from IPython.display import Image, Markdown, display

warnings.filterwarnings("ignore", "`py3nj` package not found")  # escnn's, at import

from eqvae.claims.rows.space_docking import complex_of
from eqvae.claims.rows.space_vae import trained
from eqvae.drawing import save_gif
from eqvae.drawing.png import png
from eqvae.lens import identify
from eqvae.symmetry import SpaceMotions, SpaceRepresentation, SpaceRotations
from eqvae.symmetry.space import mirror
from eqvae.symmetry.space_motions import nearest_distance, space_motion
from eqvae.three.drawing import draw_structure, panels, save_page, turning_frames
from eqvae.three.energy import Fit, fit, force_field, frozen, planted
from eqvae.three.energy.metrics import (
    antisymmetry,
    force_error,
    loop_work,
    loops,
    symmetry_errors,
)
from eqvae.three.lift import Lift, centroid, reach
from eqvae.three.points import Points
from eqvae.three.search import RotationSearch
from eqvae.three.search.fitting import RigidFit
from eqvae.three.vae.overlay import overlay_figure
from eqvae.three.vae.suites import content_of

FAST = bool(os.environ.get("EQVAE_FAST"))  # for the tests: seconds, and nothing to be proud of
PAGES = Path(os.environ.get("EQVAE_RUNS", "../runs")) / "three_dimensions"
PAGES.mkdir(parents=True, exist_ok=True)
O3, SE3, E3 = SpaceRotations(parity=True), SpaceMotions(), SpaceMotions(parity=True)
seed = torch.Generator().manual_seed


def show(figure):
    """A figure in the page, whichever backend matplotlib has."""
    display(Image(png(figure)))
    plt.close(figure)


# %% [markdown]
# ## The same formalism
# A motion of space is a row of eight numbers: a parity, a unit quaternion, a shift in Angstrom. `Points` is
# the domain, *N* atoms whose coordinates are the signal, so that a motion moves it exactly: there are no
# pixels, and nothing is interpolated. A latent says how it moves in the words of physics: `0e` is a number
# that nothing changes, `1o` a vector, `position` a place.

# %%
elements = planted.ELEMENTS
methanol = planted.start()  # (1, 6, 3)
atoms = Points(6, elements)
turn = SE3.exp(torch.tensor([[0.0, 1.2, 0.6, 0.0, 0.0, 0.0]]).double())
motions = {
    "as it is": SE3.identity(dtype=torch.float64),
    "turned": turn,
    "in a mirror": space_motion(mirror(torch.tensor([[1.0, 0.0, 0.0]]).double())),
}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.6), layout="constrained")
for ax, (title, g) in zip(axes, motions.items(), strict=True):
    draw_structure(ax, atoms.act(g, methanol[None])[0, 0], elements)
    ax.set_title(title, fontsize=9)
show(figure)

latent = SpaceRepresentation.parse("position + 2x0e + 1x1o")
g, h = E3.sample(2, shift=5.0, generator=seed(0)).double().split(1)
z = torch.randn(1, latent.dim, generator=seed(1)).double()
error = (latent.act(E3.compose(g, h), z) - latent.act(g, latent.act(h, z))).abs().max()
print(f"{latent}: (g h) z and g (h z) differ by {float(error):.0e}")
print(f"g h and h g differ by {float((E3.compose(g, h) - E3.compose(h, g)).abs().max()):.1f}")

# %% [markdown]
# Now hand some functions of a molecule to the lens, which sees inputs and outputs and nothing between. It
# tells a place from a displacement, since only one of them notices a shift; and a torque from a force. Both
# are arrows of three numbers, and both turn as arrows do; but in a mirror a torque does not reverse as a
# force does: `1e`, a pseudovector. Handedness, the volume that three hydrogens span about their carbon, is a
# single number that a mirror changes the sign of, `0o`.
#
# *Try:* the squared distances of the other atoms from the first; `x[:, 1] + x[:, 0]`, twice the midpoint: is
# that a place to the lens? The product of the handedness and a displacement.

# %%
frames = planted.methanol(125 if FAST else 350)
x = frames.positions[: 40 if FAST else 100]


def torque(x):
    """Of the force on the last hydrogen, about the oxygen."""
    return torch.linalg.cross(x[:, 5] - x[:, 1], planted.forces(x)[:, 5])


functions = {
    "centroid": lambda x: x.mean(1),
    "displacement, C to O": lambda x: x[:, 1] - x[:, 0],
    "force on the oxygen": lambda x: planted.forces(x)[:, 1],
    "torque": torque,
    "force and torque": lambda x: torch.cat([planted.forces(x)[:, 1], torque(x)], dim=1),
    "energy": lambda x: planted.energy(x)[:, None],
    "handedness": lambda x: torch.linalg.det(x[:, 2:5] - x[:, :1])[:, None],
    "a rectified displacement": lambda x: (x[:, 1] - x[:, 0]).relu(),
}
for name, f in functions.items():
    print(f"{name:<25} {identify(f, E3, 'points', x, shift=3.0).name}")

# %% [markdown]
# ## Which way does it point?
# A molecule becomes coefficients of spherical harmonics on a few shells. Turning it turns the coefficients by
# Wigner matrices, so that a Fourier transform compares it with a template in all poses at once, and Newton's
# method sharpens the best. Nothing is trained.
#
# A molecule with symmetry has no *one* right answer. Each ball below holds all rotations: the direction of a
# point is the axis, its distance from the middle the angle, 180 degrees at the surface, where opposite points
# are the same rotation. Drawn is where the posterior of the pose is, seen from the true one.

# %%
hexagon = torch.arange(6) * math.pi / 3
ring = torch.stack([hexagon.cos(), hexagon.sin(), 0 * hexagon], dim=1).double()
tetrahedron = torch.tensor([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).double()
molecules = {
    "methanol": (methanol[0], elements),
    "methane": (1.09 / 3**0.5 * tetrahedron, ("C", *"HHHH")),
    "benzene": (torch.cat([1.395 * ring, 2.48 * ring]), tuple("CCCCCCHHHHHH")),
}
truth = SpaceRotations().sample(1, generator=seed(4)).double()


def lifted(name, g=truth, noise=0.0):
    """Coefficients of copies of a molecule, turned by g and shaken, and of the molecule."""
    positions, kinds = molecules[name]
    points = (positions - positions.mean(0)).expand(len(g), -1, -1)
    shaken = O3.act(g, points) + noise * torch.randn(points.shape, generator=seed(5)).double()
    lift, channels = Lift.covering(reach(points)), Points(len(kinds), kinds).channels().double()
    return lift(shaken - centroid(shaken), channels), lift(points[:1], channels)


search = RotationSearch(num_poses=24, oversampling=2.0 if FAST else 3.0)
figure = plt.figure(figsize=(9, 3.2), layout="constrained")
for i, name in enumerate(molecules):
    a, b = lifted(name)
    poses, posterior = search(a, b), search.posterior(a, b, temperature=0.1)
    p = (posterior.probabilities / posterior.grid.weights()).flatten()  # against all alike
    seen = (p > p.max() / 4).nonzero()[:, 0]
    back = O3.inverse(truth).expand(len(seen), -1)
    ball = torch.rad2deg(O3.log(O3.compose(back, posterior.grid.elements(seen))))
    ax = figure.add_subplot(1, 3, i + 1, projection="3d")
    ax.scatter(*ball.T, c=ball.norm(dim=1), vmin=0, vmax=180, cmap="viridis", s=8)
    u, v = torch.meshgrid(*[torch.linspace(0, k * math.pi, 25) for k in (2, 1)], indexing="ij")
    ax.plot_wireframe(
        180 * u.cos() * v.sin(), 180 * u.sin() * v.sin(), 180 * v.cos(), lw=0.2, color="0.8"
    )
    ax.set_box_aspect((1, 1, 1), zoom=1.5)
    ax.set_title(f"{name}, equal poses: {int(poses.num_equal())}", fontsize=9)
    ax.set_axis_off()
show(figure)

# %% [markdown]
# Methanol has one pose. Methane and benzene have twelve each, but not the same twelve: methane turns by 120
# degrees about its four bonds and by 180 about three axes between them; benzene by multiples of 60 degrees
# about one axis (the line of points), and by 180 about six others in its plane (the rim, each axis twice). A
# network with one answer must answer such a molecule with a mean of twelve, which is none of them.
#
# How far off is the pose that is found? The nearest of the right ones counts.
#
# *Try:* your own molecule, `eqvae.three.structures.molecules.g2_molecules(["NH3"])` has many; or
# `RotationSearch(mirrors=True)`, which for methanol finds two.

# %%
many = SpaceRotations().sample(4 if FAST else 40, generator=seed(6)).double()
for name in molecules:
    own = search(*lifted(name, SpaceRotations().identity(1, dtype=torch.float64)))
    own = own.elements[0, : int(own.num_equal())]  # rotations that leave it as it is
    right = O3.compose(many.repeat_interleave(len(own), 0), own.repeat(len(many), 1))
    right = right.unflatten(0, (len(many), len(own)))
    for noise in (0.0, 0.05, 0.2):
        best = RotationSearch()(*lifted(name, many, noise)).best
        degrees = nearest_distance(best, right).degrees
        print(
            f"{name:<9} shaken by {noise:.2f} A: median error {float(degrees.median()):8.1e} degrees"
        )

# %% [markdown]
# ## Trained in one pose, asked in any
# Chains of two arms that open about a hinge. Two models see each chain in *one* pose: in one of them the
# symmetry of space is built in, its latent is content that no motion changes, and a pose; the other is an
# ordinary VAE with the same latent. Then both are asked about chains that they have not seen, each moved
# anywhere. Grey is what was shown, red the reconstruction. (`eqvae train model=se3` trains such a model on
# your own trajectory.)

# %%
models = trained(0, steps=20 if FAST else 250)
few = models.moved[:4]
for name, model in {"symmetry built in": models.hard, "plain": models.plain}.items():
    print(name)
    show(overlay_figure(model, few))

# %% [markdown]
# The content was never told that there is a hinge. One of its coordinates follows it, and as the model does
# not care about poses, it does so at any pose. Walk along it, and the chain opens.

# %%
content = content_of(models.hard, models.moved)
ranks = torch.stack([content.argsort(0).argsort(0)[:, k] for k in range(content.shape[1])])
opening = models.opening.argsort().argsort()
agree = torch.corrcoef(torch.cat([ranks, opening[None]]).double())[-1, :-1]
best = int(agree.abs().nan_to_num().argmax())
print(f"rank correlation with the opening: {float(agree[best].abs()):.3f}")

z = models.hard.encode(models.still[:1]).mode.detach()
walk = z.repeat(9, 1)
low, high = content[:, best].aminmax()
walk[:, 3 + best] = torch.linspace(float(low), float(high), 9)  # after the position
if agree[best] < 0:
    walk = walk.flip(0)
chain = models.hard.decode(walk).detach()[:, 0]
in_order = models.still.image[models.opening.argsort(), 0]
chosen = in_order[torch.linspace(0, len(in_order) - 1, 9).round().long()]
carbons = ("C",) * chain.shape[1]
shown = {"decoded, along one coordinate": chain, "unseen chains, by opening": chosen}
save_gif(turning_frames(shown, carbons, frames=6 if FAST else 32), PAGES / "opening.gif")
display(Image(filename=PAGES / "opening.gif"))

if find_spec("plotly"):  # pip install "eqvae[turning]"
    save_page(PAGES / "opening.html", shown, carbons, title="A chain opens")
    display(Markdown(f"[Turn it with the mouse]({(PAGES / 'opening.html').as_posix()})"))

# %% [markdown]
# The pose in the latent moves as space does. Turn the latent and decode (red), or decode and turn (grey):
# the law says that these are the same, and only red shows.
#
# *Try:* `trained(0, steps=0)`: what of this has to be learned, and what has not? Or move the handedness, the
# last number of the content, instead of the opening.

# %%
angles = torch.arange(6).double() * math.pi / 3
about = torch.tensor([[0.3, 0.2, 1.0, 0.0, 0.0, 0.0]]).double()
orbit = SE3.exp(angles[:, None] * about / about.norm())
z = z.expand(6, -1)
red = models.hard.decode(models.hard.representation.act(orbit, z)).detach()[:, 0]
grey = SE3.act(orbit, models.hard.decode(z).detach()[:, 0])
titles = [f"{60 * k}°" for k in range(6)]
show(panels([(grey, "0.45"), (red, "#d62728")], titles))
print(f"largest distance of red from grey: {float((red - grey).abs().max()):.0e} A")

# %% [markdown]
# ## A piece of a puzzle
# Part of a complex is taken out, blurred by half an Angstrom, and thrown somewhere else. `RigidFit` puts it
# back: a grid of translations times all rotations, about a million poses in a second, of which the best are
# refined and ranked by how many points find a partner. Rings are where the piece belongs.
#
# *Try:* more noise, until the right place no longer leads; `RigidFit(whiten=False)`, which prefers wherever
# there is most matter.

# %%
noise = 0.5  # Angstrom
parts = complex_of(0)
whole, piece = torch.cat(parts), parts[1]
blurred = piece + noise * torch.randn(piece.shape, generator=seed(7)).double()
thrown = SE3.act(SE3.sample(1, shift=20.0, generator=seed(8)).double(), blurred)
found = RigidFit()(whole, thrown, most=4)
figure, axes = plt.subplots(1, len(found), figsize=(10, 3), layout="constrained", squeeze=False)
for i, (ax, placed) in enumerate(zip(axes[0], found.moved(thrown), strict=True)):
    away = (placed - piece).square().sum(1).mean().sqrt()
    ax.scatter(*whole.T[:2], s=8, color="0.8")
    ax.scatter(*piece.T[:2], s=30, facecolors="none", edgecolors="0.3", linewidths=0.7)
    ax.scatter(*placed.T[:2], s=9, color="#d62728" if i else "#2a6ab0")
    title = f"rank {i + 1}: score {float(found.scores[i]):.2f}, {float(away):.1f} Å away"
    ax.set_title(title, fontsize=8)
    ax.set_aspect("equal")
    ax.axis("off")
show(figure)

# %% [markdown]
# ## Forces: by gradient or directly
# A force field is trained on frames of methanol. Forces may be minus the *gradient* of an energy that a
# network gives, or read off the network *directly*, which is faster. Both turn with the molecule, because
# the network does; only the first has no curl. A force with curl does work on a molecule that goes around a
# closed path and comes back to where it was, so that it heats or cools from nothing. The third knows no
# symmetry at all. The energy of this methanol is written down, so that the true forces are known.

# %%


def forces_of(model):
    """The forces alone, as a function of positions."""
    return lambda x: model(x).forces


training, validation, test = frames.split(20, 10) if FAST else frames.split(200, 50)
scores = {"error, meV/Å": {}, "curl": {}, "work around a loop": {}, "broken by a turn": {}}
for kind in ("gradient", "direct", "plain direct"):
    model = force_field(kind, elements, width=32, channels=8)
    rate = 3e-3 if "plain" in kind else 1e-2
    fit(model, training, validation, Fit(epochs=1 if FAST else 10, lr=rate))
    some = test.positions[:6]
    forces = forces_of(frozen(model))  # in double precision
    law = symmetry_errors(forces, None, some, elements)
    scores["error, meV/Å"][kind] = force_error(model.predict(test.positions).forces, test)
    scores["curl"][kind] = antisymmetry(forces, some)
    scores["work around a loop"][kind] = loop_work(forces, loops(some, points=64 if FAST else 512))
    scores["broken by a turn"][kind] = law["forces/rotation"]

figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (name, values) in zip(axes, scores.items(), strict=True):
    heights = [max(float(value), 1e-17) for value in values.values()]
    ax.bar(list(values), heights, color=["#2a6ab0", "#c05621", "#6b7280"])
    ax.set_title(name, fontsize=9)
    ax.tick_params(labelsize=7)
    if "error" not in name:
        ax.set(yscale="log", ylim=(1e-17, 10))
show(figure)
for name, values in scores.items():
    print(f"{name:<20}", "  ".join(f"{kind} {float(v):.1e}" for kind, v in values.items()))

# %% [markdown]
# What is built in is zero up to rounding, after ten epochs as after none; what is learned is as good as the
# frames and the time that were spent on it. (Work is a sum over 512 points of the path; with 128 the
# sum itself is wrong in the seventh digit.)
#
# *Try:* `Fit(penalty=CurlPenalty())` from `eqvae.three.energy` for the direct forces, which asks for what the
# gradient has for nothing; more epochs; or [the claims](../docs/equivariance.md) about energies, which
# let the molecules go and watch their temperature.
