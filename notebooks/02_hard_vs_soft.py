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
# # Hard or soft: how should the symmetry be put in?
#
# A symmetry can be built into a network (*hard*), built in with a way around it (*relaxed*), asked for
# by a loss (*soft*), shown by turned copies of the data (*augment*), or left out (*plain*). Which is
# best depends on the data: on how well they obey the symmetry, and on how many there are.
# `scripts/compare.py` trains every way at equal size, on data whose symmetry is known because we made
# it. This notebook retells what it found, and trains one small cell in front of you.

# %%
import io
import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from IPython.display import Image, display

warnings.filterwarnings("ignore", "`py3nj` package not found")  # escnn's, at import

from eqvae.comparison import charts, summary
from eqvae.comparison.advice import validate
from eqvae.comparison.cell import cell_config
from eqvae.comparison.design import Cell, Design
from eqvae.comparison.plan import Plan
from eqvae.comparison.sentences import sentences
from eqvae.comparison.table import read_table
from eqvae.config import CONFIG_DIR, build, compose
from eqvae.data.batch import Batch
from eqvae.symmetry import motion
from eqvae.training.run import prepare, train

RUNS = Path(os.environ.get("EQVAE_RUNS", "../runs"))
FAST = bool(os.environ.get("EQVAE_FAST"))  # for the tests: seconds, and nothing to be proud of
TABLE = CONFIG_DIR.parent / "benchmarks" / "results" / "atlas_laptop.parquet"


def show(figure):
    """A figure in the page, whichever backend matplotlib has."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
    display(Image(file.getvalue()))


# %% [markdown]
# ## The data
# Digits in six scenarios. Under *se2* every pose is as likely as any other; under *limited* only angles
# up to 45 degrees; *upright* digits never move; under *broken* the classes 6 and 9 are never turned, so
# that the pose tells the class; *stretched* images obey another group than the one we build in; *lit*
# ones have a light that stays where it is when the digit turns.

# %%
SCENARIOS = ["se2", "limited", "upright", "broken", "stretched", "lit"]
figure, axes = plt.subplots(len(SCENARIOS), 10, figsize=(8, 5), layout="constrained")
for scenario, row in zip(SCENARIOS, axes, strict=True):
    data = build(compose([f"scenario={scenario}", "data.limit=10"])["data"], path="data")
    data.setup()
    for image, axis in zip(data.train.images, row, strict=True):
        axis.imshow(image[0], cmap="gray_r")
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(scenario, rotation=0, ha="right", va="center")
show(figure)

# %% [markdown]
# ## What the comparison found
# Every number is measured on held-out images and is the mean over seeds. The free energy is minus the
# ELBO up to a constant: lower is better.

# %%
rows = read_table(TABLE) if TABLE.is_file() else []
if not summary.results(rows):
    print("No results yet: python scripts/compare.py experiment=atlas_laptop writes them.")
for topic, lines in sentences(rows).items():
    print(topic, *(f"  - {line}" for line in lines), "", sep="\n")

# %% [markdown]
# Nats behind the best arm, scenario by scenario; then how many images each arm needs, what it costs, and
# what it pays for equivariance as the weight of the penalties grows.

# %%
for made in (
    charts.gap_figure(rows),
    charts.data_figure(rows, "se2"),
    charts.cost_figure(rows, "se2", "macs"),
    charts.tradeoff_figure(rows, "se2"),
    charts.weight_figure(rows, "se2"),
    charts.pose_figure(rows),
):
    if made is not None:
        show(made)

# %% [markdown]
# ## Would the chooser have known?
# `scripts/advise.py` trains small pilots on your data and recommends an arm. Here it sees the
# validation images of two seeds and is judged on the test images of the others, every pair in turn.

# %%
found = validate(rows)
if found is not None:
    print(
        f"within 1 % of the best arm's ELBO in {100 * found.share:.0f} % of {found.choices} choices; "
        f"without looking at the data, always choosing {found.constant}, "
        f"in {100 * found.always[found.constant]:.0f} %"
    )
    for (scenario, images), regret in found.regret.items():
        chosen = ", ".join(f"{arm} {n}x" for arm, n in found.chosen[scenario, images].items())
        print(
            f"  {scenario}, {images:,} images: loses {100 * regret:.1f} % on average; chose {chosen}"
        )

# %% [markdown]
# ## Other images
# The same on generated shapes of known symmetry, on real nuclei and galaxies, and on digits for ten times
# as many training images, after which the order is another. The best free energy is not always the best
# pose or the best clusters.

# %%
for name in ("sprites", "real", "full"):
    table = TABLE.parent / name / f"atlas_{name}.parquet"
    other = read_table(table) if table.is_file() else []
    made, told = charts.gap_figure(other), sentences(other)
    print(name)
    if made is not None:
        show(made)
    for topic in ("In short", "Pose and clusters"):
        print(topic, *(f"  - {line}" for line in told.get(topic, ["nothing."])), "", sep="\n")

# %% [markdown]
# ## One cell, live
# A hard and a plain model of equal size learn from 250 digits under *se2*. Change `SCENARIO`, `IMAGES` or
# `ARMS` (any file in `configs/arm`) and run the cells again.

# %%
SCENARIO, IMAGES, ARMS = "se2", 250, ["hard", "plain"]
STEPS = 5 if FAST else 400

described = compose(["experiment=atlas_laptop"], name="compare")["atlas"]
steps = [o for o in described["overrides"] if "max_steps" not in o] + [
    f"+trainer.max_steps={STEPS}"
]
design = Design(**{**described, "overrides": steps})
plan = Plan(design, RUNS / "notebooks" / "hard_vs_soft")
models, results = {}, {}
for arm in ARMS:
    cell = Cell(arm, SCENARIO, IMAGES, lr=1e-2)
    run = prepare(
        cell_config(cell, design.settings(arm), plan.widths(cell)),
        plan.folder / f"{arm}-{os.getpid()}",
    )
    results[arm] = train(run)
    models[arm], data = run.module.vae.eval(), run.datamodule
for arm, result in results.items():
    print(
        f"{arm}: free energy {result['test/free_energy']:.0f} nats, in {result['train/seconds']:.0f} s"
    )

# %% [markdown]
# Turn one held-out digit, and ask each model for its reconstruction of every turned copy. Below it, what
# the model makes of the latent alone: encode the digit once and turn the *latent*.

# %%
angles = torch.arange(8) * (2 * torch.pi / 8)
digit = data.test[:1].image.expand(8, -1, -1, -1)
domain = next(iter(models.values())).domain
turned = domain.act(motion(angles), digit)
with torch.no_grad():
    pictures = {"image": turned}
    for arm, model in models.items():
        pictures[f"{arm}: images turned"] = model.decode(model.encode(Batch(turned)).mode)
        pictures[f"{arm}: latents turned"] = model.transform(motion(angles), Batch(digit))
figure, axes = plt.subplots(len(pictures), 8, figsize=(8, 5), layout="constrained")
for (name, images), row in zip(pictures.items(), axes, strict=True):
    for image, axis in zip(images, row, strict=True):
        axis.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
show(figure)

# %% [markdown]
# The same as one number: the distance between the decoded turned latent and the turned decoded image,
# by angle. An exact decoder keeps only what the pixels cost.

# %%
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
many = torch.linspace(0, 2 * torch.pi, 49)[1:-1]
few = data.test[:20]
for arm, model in models.items():
    with torch.no_grad():
        z = model.encode(few).mode
        decoded = model.decode(z)
        errors = []
        for angle in many:
            g = motion(angle).expand(len(few), 4)
            again = model.decode(model.representation.act(g, z))
            gap = again - domain.act(g, decoded, "fourier")
            errors.append((gap.square().sum() / decoded.square().sum()).sqrt())
    axis.semilogy(torch.rad2deg(many), errors, label=arm, color=charts.style(arm)["color"])
axis.set(xlabel="angle (degrees)", ylabel="decoder error, relative", xticks=range(0, 361, 45))
axis.legend(frameon=False)
show(figure)

# %% [markdown]
# On your own images: `python scripts/advise.py data=npz data.source.path=FILE`.
