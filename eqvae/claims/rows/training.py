"""What training makes of a symmetry: built in, asked for, left out, or asked for where it is not."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.comparison.cell import cell_config
from eqvae.comparison.design import Cell
from eqvae.comparison.measure import equivariance
from eqvae.config import compose
from eqvae.data import Sprites
from eqvae.data.batch import Batch
from eqvae.distributions import GaussianLikelihood, GaussianPrior
from eqvae.domains import SquareGrid
from eqvae.losses import EncoderPenalty, MaskPenalty, Objective, Penalty, gradient_cosines
from eqvae.losses.contest import task_error_of_wrong_penalty
from eqvae.metrics.segmentation.overlap import dice, iou
from eqvae.models import VAE
from eqvae.models.object_mask import ObjectMask
from eqvae.nn import DiskHarmonics, HarmonicDecoder, HarmonicEncoder, PlainDecoder, PlainEncoder
from eqvae.symmetry import PlaneMotions, Representation, motion
from eqvae.testing import GaussianScenes

SUBJECT = "Built in, or asked for"
SIZE, RADIUS = 25, 10.0  # pixels
LATENT = Representation((6, 3, 2))


@claim(
    "4",
    subject=SUBJECT,
    title="A mask that turns with its object",
    told="If the network is equivariant, the outline that it draws around an object turns with the "
    "object.",
    found="A second decoder draws the mask from the same latent as the image, and the latent is turned "
    "instead of the image. Between quarter turns the comparison itself costs an interpolation; an "
    "ordinary decoder that learned the same masks of upright objects does not follow.",
)
def mask(seed: int, steps: int = 150) -> Measured:
    batch, held_out = blobs(96, seed), blobs(64, seed + 1)
    model = masked_vae(seed)
    trained(model, Objective(penalties={"mask": Penalty(MaskPenalty(), 1.0)}), batch, steps, 2e-2)
    model.eval()
    with torch.no_grad():
        z, held = model.encode(batch).mode, model.encode(held_out).mode
        still = model.segment(z)
    torch.manual_seed(seed)
    free = PlainDecoder(model.domain, 1, LATENT, width=8)
    plain = ObjectMask(free)
    descend(free, lambda: -plain.log_prob(batch.mask, z).mean(), steps, 5e-3)
    angles = torch.arange(24) * (math.pi / 12)
    curves = {"harmonic": by_angle(model.mask, z, angles), "plain": by_angle(plain, z, angles)}
    quarter = torch.arange(24) % 6 == 0
    between, ours = curves["harmonic"][~quarter].min().item(), curves["harmonic"][quarter].min()
    known = dice((model.segment(held) > 0.5).numpy(), (held_out.mask > 0.5).numpy()).mean()

    def draw(axes: Axes) -> None:
        for name, curve in curves.items():
            axes.plot(angles.rad2deg(), curve, marker=".", label=f"{name} decoder")
        axes.set(
            xlabel="turn of the latent, degrees", ylabel="IoU with the turned mask", ylim=(0, 1.05)
        )
        axes.legend()

    return Measured(
        value=1 - between,
        bound=0.05,
        control=1 - curves["plain"][~quarter].min().item(),
        holds=bool(ours >= 0.99) and between >= 0.95,
        floor=resampled(model.mask, z),
        ceiling=1 - iou((still > 0.5).numpy(), (still.roll(1, 0) > 0.5).numpy()).mean().item(),
        unit="1 - IoU",
        others={
            "iou_quarter_turns": ours.item(),
            "iou_between": between,
            "dice_held_out": float(known),
        },
        draw=draw,
    )


def blobs(n: int, seed: int) -> Batch:
    """Smooth objects and their masks: where they are brighter than a third of their largest value."""
    images = GaussianScenes(n, seed=seed, size=SIZE).render().clamp(0, 1)
    return Batch(images, mask=(images > images.amax(dim=(1, 2, 3), keepdim=True) / 3).float())


def sprites(n: int, seed: int) -> Batch:
    """Upright shapes."""
    shapes = Sprites(n, size=SIZE, radius=(6.0, 8.0), shapes=("flag", "zed", "whirl3"), seed=seed)
    return Batch(shapes.load().images)


def masked_vae(seed: int) -> VAE:
    """A small harmonic VAE that decodes a mask."""
    torch.manual_seed(seed)
    basis = DiskHarmonics(SquareGrid(SIZE), channels=1, degree=14, radius=RADIUS)
    how: dict[str, Any] = {"hidden": 16, "frequency": 4}
    encoder = HarmonicEncoder(basis, LATENT, **how)
    decoder, outline = (HarmonicDecoder(basis, LATENT, out_frequency=8, **how) for _ in range(2))
    return VAE(encoder, decoder, GaussianPrior(LATENT), GaussianLikelihood(), ObjectMask(outline))


@torch.no_grad()
def by_angle(mask: ObjectMask, z: Tensor, angles: Tensor) -> Tensor:
    """Mean IoU of mask(rho(g) z) and g mask(z) for turns about the centre, (A,).

    What is turned is the smooth field that the mask is where it exceeds 1/2: its edge would alias.
    """
    field, found = mask.decoder, []
    for angle in angles:
        g = motion(angle=angle).expand(len(z), -1)
        moved = SquareGrid(SIZE).act(g, field(z), "fourier")
        found.append(iou((field(LATENT.act(g, z)) > 0.5).numpy(), (moved > 0.5).numpy()).mean())
    return torch.tensor(found)


@torch.no_grad()
def resampled(mask: ObjectMask, z: Tensor) -> float:
    """1 - IoU of masks and themselves after an eighth of a turn and back: what moving them costs twice."""
    g, grid, still = motion(angle=math.pi / 4).expand(len(z), -1), SquareGrid(SIZE), mask.decoder(z)
    back = grid.act(-g, grid.act(g, still, "fourier"), "fourier")
    return 1 - float(iou((back > 0.5).numpy(), (still > 0.5).numpy()).mean())


def trained(model: VAE, objective: Objective, batch: Batch, steps: int, rate: float) -> None:
    """Descend on an objective, half of the images at a time, the same noise for the same steps."""
    numbers = itertools.count()

    def loss() -> Tensor:
        step = next(numbers)
        torch.manual_seed(step)
        return objective(model, batch[torch.randperm(len(batch))[: len(batch) // 2]], step)[0]

    descend(model, loss, steps, rate)


def descend(module: nn.Module, loss: Callable[[], Tensor], steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        schedule.step()


@claim(
    "5",
    subject=SUBJECT,
    title="A penalty that fights the task",
    told="A penalty for the wrong symmetry pulls the network one way while its task pulls it the "
    "other.",
    found="A small network learns values that no turn changes, and pays for not turning them as arrows. "
    "What the task loses follows a formula in the weight of the penalty alone, and the two "
    "gradients end up opposite; named rightly, the same penalty costs nothing.",
)
def tug_of_war(seed: int, weights: Sequence[float] = (0.1, 0.5, 2.0)) -> Measured:
    wrong = {w: fought(w, seed, turns=1) for w in weights}
    right = fought(max(weights), seed, turns=0)
    told = {w: task_error_of_wrong_penalty(w) for w in weights}
    away = {w: abs(wrong[w]["task"] / told[w] - 1) for w in weights}

    def draw(axes: Axes) -> None:
        line = torch.logspace(-2, 1, 60).tolist()
        axes.semilogx(line, [task_error_of_wrong_penalty(w) for w in line], label="formula")
        axes.semilogx(
            weights, [wrong[w]["task"] for w in weights], "o", label="wrong representation"
        )
        axes.semilogx([max(weights)], [right["task"]], "x", label="right one")
        axes.set(xlabel="weight of the penalty", ylabel="error of the task / |c|^2")
        axes.legend()

    measured = {f"task_at_{w:g}": wrong[w]["task"] for w in weights}
    measured |= {f"formula_at_{w:g}": told[w] for w in weights}
    return Measured(
        value=max(away.values()),
        bound=0.05,
        control=abs(right["task"] / told[max(weights)] - 1),
        holds=max(away.values()) < 0.05 and max(f["cosine"] for f in wrong.values()) < -0.9,
        unit="deviation from the formula, relative",
        others=measured | {"cosine": max(found["cosine"] for found in wrong.values())},
        draw=draw,
    )


def fought(weight: float, seed: int, turns: int, orbits: int = 6) -> dict[str, float]:
    """Train x -> c(x), the same on orbits of C_4, with a penalty that says f(g x) turns `turns` times as g.

    Returns:
        "task", E |f - c|^2 / E |c|^2, and "cosine" of the gradients of task and penalty.
    """
    generator = torch.Generator().manual_seed(seed)
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    g = torch.stack([torch.linalg.matrix_power(quarter, k) for k in range(4)])
    rho = torch.stack([torch.linalg.matrix_power(quarter, turns * k) for k in range(4)])
    x = torch.randn(orbits, 2, generator=generator, dtype=torch.float64)
    c = torch.randn(orbits, 1, 2, generator=generator, dtype=torch.float64)
    orbit = torch.einsum("kij,nj->nki", g, x)  # (N, 4, 2)
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    ).double()

    after = (torch.arange(4)[:, None] + torch.arange(4)) % 4  # g h as powers of the quarter turn

    def losses() -> tuple[Tensor, Tensor]:
        f = net(orbit)
        task = (f - c).square().sum(dim=2).mean()
        said = torch.einsum("kij,nhj->nkhi", rho, f)  # rho(g) f(h x)
        return task, (f[:, after] - said).square().sum(dim=3).mean()

    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        task, penalty = losses()
        loss = task + weight * penalty
        loss.backward()
        return loss

    optimizer.step(closure)
    task, penalty = losses()
    cosine = gradient_cosines(task, {"wrong": penalty}, net.parameters())["wrong"]
    size = c.square().sum(dim=2).mean()
    return {"task": float(task.detach() / size), "cosine": float(cosine)}


@claim(
    "24",
    subject=SUBJECT,
    title="A penalty teaches a symmetry",
    told="Punish a wrong answer to a moved input in the loss, and the network learns the symmetry.",
    found="An ordinary encoder is trained with and without such a term, and both are asked about moved "
    "images that neither has seen. The error falls far below chance, and not to nothing, as it is "
    "in layers that obey.",
)
def penalty(seed: int, steps: int = 300) -> Measured:
    batch, unseen = sprites(64, seed), sprites(64, seed + 1)
    errors = {}
    for name, weight in (("without", 0.0), ("with", 10.0)):
        torch.manual_seed(seed)
        model = VAE(
            PlainEncoder(SquareGrid(SIZE), 1, LATENT, PlaneMotions.so2(), width=8),
            PlainDecoder(SquareGrid(SIZE), 1, LATENT, width=8),
            GaussianPrior(LATENT),
            GaussianLikelihood(),
        )
        terms = {"encoder": Penalty(EncoderPenalty(shift=2.0), weight)} if weight else {}
        trained(model, Objective(penalties=terms), batch, steps, 5e-3)
        errors[name] = equivariance(model.eval(), unseen, seed)["encoder_error"]

    def draw(axes: Axes) -> None:
        axes.bar(list(errors), list(errors.values()))
        axes.axhline(1.0, color="grey", linestyle="--")
        axes.set(ylabel="encoder's error (1: chance)")

    return Measured(
        value=errors["with"],
        bound=0.6,
        control=errors["without"],
        holds=errors["with"] < 0.6 and errors["with"] < errors["without"] / 1.5,
        floor=0.0,
        ceiling=1.0,
        unit="error relative to chance",
        draw=draw,
    )


@claim(
    "28",
    subject=SUBJECT,
    title="One word between hard, soft and none",
    told="Whether a symmetry is built in or only asked for is one choice, and all others can stay.",
    found="The configurations of four runs that differ in the one word are held against each other, "
    "entry by entry. A model brings the learning rate and the length that suit it, so a fair "
    "comparison sets these.",
    condition="learning rate, length of training and shape of the latent are set, as a comparison does",
)
def one_word(seed: int) -> Measured:
    arms = ("plain", "augment", "soft_sum", "hard")
    alone = [compose([f"arm={arm}", f"seed={seed}"]) for arm in arms]
    steps = ("latent.multiplicities=[4,2,2,2,2]", "trainer.max_epochs=-1", "+trainer.max_steps=400")
    fair = [cell_config(Cell(arm, "none", 1000, seed=seed, lr=1e-2), steps) for arm in arms]
    other = compose(["arm=plain", "data=sprites", "symmetry=o2", f"seed={seed}"])
    counts = {
        "one word": max(apart(alone[0], config) for config in alone),
        "and equal training": max(apart(fair[0], config) for config in fair),
        "other data": apart(alone[0], other),
    }

    def draw(axes: Axes) -> None:
        axes.barh(list(counts), list(counts.values()))
        axes.set(xlabel="entries that differ, beside model and objective")

    return Measured(
        value=counts["and equal training"],
        bound=0.5,
        control=counts["other data"],
        holds=counts["one word"] == 0,
        holds_if=counts["and equal training"] == 0,
        floor=0.0,
        unit="entries of the configuration",
        others={"with_the_word_alone": counts["one word"]},
        draw=draw,
    )


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """How many entries of two configurations differ, beside what an arm is: its model and its objective."""
    flat = [dict(leaves({k: v for k, v in c.items() if k not in _OWN})) for c in (one, other)]
    return sum(flat[0].get(key) != flat[1].get(key) for key in flat[0].keys() | flat[1].keys())


def leaves(config: Any, key: str = "") -> list[tuple[str, Any]]:
    if not isinstance(config, Mapping):
        return [(key, config)]
    return [leaf for name, part in config.items() for leaf in leaves(part, f"{key}.{name}")]


_OWN = ("arm", "model", "objective")
