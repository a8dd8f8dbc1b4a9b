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
# # A walk through the latent
#
# A latent is z = (t, v): t is the position in pixels, v a sum of irreps psi_l that turn l times
# as fast as the object; psi_0 does not turn, it is content. This notebook moves latents by hand
# and shows which images follow, for a model with the symmetry built in (*hard*), one that was
# only asked for it by its loss (*soft*), and one without (*plain*).
#
# Signs and units: angles counter-clockwise, positions in pixels from the centre, x right, y up.

# %%
import os
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore", "`py3nj` package not found")  # escnn's, at import

from eqvae.drawing import orbit_picture
from eqvae.drawing.tiles import panel, stack
from eqvae.explore.explorer import TraversalExplorer
from eqvae.explore.generation import gallery
from eqvae.explore.traversal import by_spread, grid_picture, latent_traversal, orbit_grid
from eqvae.explore.walk import content_walk, latent_of, walk_picture
from eqvae.explore.widget import sliders
from eqvae.symmetry.motions import angle_of, identity
from eqvae.training.runs import held_out_images, load_or_train, newest_run, results_of

# %% [markdown]
# ## The models
# `RUN` is the folder of a trained model. Without one the newest run of `make train` is taken, and
# if there is none yet, the hard model is trained for one minute. Soft and plain models are trained
# here once, for longer, because they need it, and kept in `runs/notebooks`. All must share the
# latent and the size of the images; if your run has others than the default experiment, add the
# same choices to `SETTINGS`.

# %%
RUN = None  # a run folder, such as "../runs/harmonic-mnist5k/2026-01-31_12-00-00"
MINUTES = {"hard": 1, "soft": 10, "plain": 5}  # of training, for what is not there yet
SETTINGS = ["trainer.max_epochs=1000", "logger=none", "latent=detailed"]

RUNS = Path(os.environ.get("EQVAE_RUNS", "../runs"))
if os.environ.get("EQVAE_FAST"):  # for the tests: seconds, and nothing to be proud of
    SETTINGS = ["experiment=smoke", "logger=none", "callbacks.pictures=null"]
    SETTINGS += ["trainer.limit_train_batches=1"]

# %%
own = RUNS / "notebooks" / "traversal"
folders = {
    "hard": Path(RUN) if RUN else newest_run(RUNS, "harmonic-mnist5k") or own / "hard",
    "soft": own / "soft",
    "plain": own / "plain",
}
plain = ["model=plain", "data.batch_size=32"]  # slow: small batches, so that it gets enough steps
choices = {"hard": [], "soft": [*plain, "objective=elbo_soft"], "plain": plain}
models = {
    name: load_or_train(
        folder, [*choices[name], f"trainer.max_time=00:00:{MINUTES[name]:02d}:00", *SETTINGS]
    )
    for name, folder in folders.items()
}

# %%
for name, folder in folders.items():
    results = results_of(folder)
    print(
        f"{name:5}  free energy {results['test/free_energy']:6.0f} nats after"
        f" {results['train/epochs']:3.0f} epochs, {results['train/seconds'] / 60:4.1f} min"
    )
images = held_out_images(folders["hard"], 64)
hard = models["hard"]
hard.representation

# %% [markdown]
# ## Sliders
# Left the image and how it should look when moved. Then for each model: the moved image, encoded
# and decoded, and below it the latent of the *unmoved* image, moved by the same motion. The two
# agree where the model is equivariant. The other tabs change content: one coordinate of psi_0, or
# one pair of psi_l turned alone.
#
# (The sliders need a running kernel; the pictures below do not.)

# %%
explorer = TraversalExplorer(models, images[:8])
sliders(explorer)

# %% [markdown]
# How far apart the two ways are, and how far the moved latent's picture is from the moved image,
# turning one image. Read them together: a model that shows the same blob for every image agrees
# with itself at every angle, and has learned nothing. A soft model that is trained briefly does
# just that.

# %%
for angle in (15, 45, 90, 180):
    seen = explorer.both_ways(angle=angle)
    for name, percent in seen.difference_percent.items():
        wrong = seen.error_percent[name]
        print(f"{angle:4d} degrees  {name:5}  differ by {percent:6.2f} %, wrong by {wrong:4.0f} %")

# %% [markdown]
# ## Orbit grid
# One image is encoded once; only its latent is moved. Columns turn, rows shift.

# %%
angles = torch.arange(8) * (torch.pi / 4)
shifts = torch.tensor([[-6.0, 0.0], [0.0, 0.0], [6.0, 3.0]])
columns = [f"{45 * k}°" for k in range(8)]
rows = [f"{x:+.0f}, {y:+.0f}" for x, y in shifts.tolist()]
grid_picture(orbit_grid(hard, images[:1], angles, shifts), rows, columns, "hard: x, y in pixels")

# %% [markdown]
# The same for the soft and the plain model, after the training printed above. Where nothing taught
# the latent to turn, the picture does not turn but falls apart.

# %%
grid_picture(orbit_grid(models["soft"], images[:1], angles, shifts), rows, columns, "soft")

# %%
grid_picture(orbit_grid(models["plain"], images[:1], angles, shifts), rows, columns, "plain")

# %% [markdown]
# Three ways to a moved image, for the hard model: move the image; encode and decode the moved
# image; move the latent. Then the plain model.

# %%
orbit_picture(hard, images[:1], columns=5)

# %%
orbit_picture(models["plain"], images[:1], columns=5)

# %% [markdown]
# ## Content
# Rows walk along single copies of psi_0, from -2 to 2 standard deviations of the prior about one
# image: the four copies that tell images apart the most.

# %%
z = hard.encode(images[:1]).mode.detach()
values = torch.linspace(-2, 2, 7)
copies = by_spread(hard, images, "psi0")[:4]
walks = torch.stack([latent_traversal(hard, z, "psi0", copy, values) for copy in copies])
grid_picture(walks, [f"psi0[{copy}]" for copy in copies], [f"{v:+.1f}" for v in values.tolist()])

# %% [markdown]
# Turning one pair of psi_1 alone, and not the rest, moves the parts of the object against each
# other: this is content too.

# %%
turns = torch.linspace(-torch.pi, torch.pi, 7)
copies = by_spread(hard, images, "psi1")[:2]
walks = torch.stack([latent_traversal(hard, z, "psi1", copy, turns) for copy in copies])
grid_picture(
    walks, [f"psi1[{copy}]" for copy in copies], [f"{v:+.0f}°" for v in turns.rad2deg().tolist()]
)

# %% [markdown]
# ## Kinds, poses and samples
# After training a prior is fitted to the latents: a mixture of *orbits*, each a kind of object in
# every pose. It says how images cluster, which way each object points, and what a typical image
# looks like. Rows are groups of its components, drawn upright.

# %%
groups = hard.prior.members(min(10, len(hard.prior.weights)))
stack([panel(list(gallery(hard, groups, columns=10).items()), "groups of components, upright")])

# %% [markdown]
# Test images, and below them the same objects moved back to the centre, upright. Nobody told the
# model which way digits stand: each kind has a frame of its own, the same for all its images.

# %%
q = hard.encode(images[:10]).settled()
angles = [f"{a:+.0f}°" for a in angle_of(q.pose.mode).rad2deg().tolist()]
still = identity(10)
upright = hard.decode(latent_of(q, q.content.loc, still)).detach()
stack([panel([("image", images[:10].image), ("upright", upright)], "poses", angles)])

# %% [markdown]
# Draws from the prior, in any pose.

# %%
samples = hard.sample(16, torch.Generator().manual_seed(0)).clamp(0, 1)
stack([panel([("", samples[:8]), ("", samples[8:])], "samples")])

# %% [markdown]
# From one object to another: content goes along a straight line, the pose stays that of the first.

# %%
walk_picture(content_walk(hard, images[[3, 8]], steps=9), "content changes, the pose stays")
