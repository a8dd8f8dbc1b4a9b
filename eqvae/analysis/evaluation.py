"""Everything `scripts/evaluate.py` measures: likelihood on held-out data, and equivariance.

Names are `test/<term>`; equivariance errors are fractions (0.01 is one per cent), lower is better:

    test/equivariance/<part>/<motion>   part: encoder, decoder, round_trip on the test images,
                                        scenes/encoder on analytic scenes that move exactly;
                                        floor: what the test's own resampling costs
                                        motion: rotation (5-degree sweep), shift (sub-pixel), and
                                        quarter_turn (90, 180, 270 degrees)
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from eqvae.data import ImageDataModule
from eqvae.losses.elbo import elbo_terms
from eqvae.metrics.equivariance import (
    angle_sweep,
    decibels,
    decoder_errors,
    elbo_change,
    encoder_errors,
    resampling_floor,
    round_trip_errors,
    subpixel_shifts,
)
from eqvae.symmetry.actions import act_on_image
from eqvae.symmetry.motions import motion
from eqvae.testing import GaussianScenes
from eqvae.vae import VAE


@dataclass
class Evaluation:
    """What was measured.

    Attributes:
        metrics: flat, by name.
        sweep: angles in degrees and, by part, the relative error at each of them.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    sweep: dict[str, list[float]] = field(default_factory=dict)


@torch.no_grad()
def evaluate(
    vae: VAE, data: ImageDataModule, *, num_images: int = 32, seed: int = 0, progress: bool = True
) -> Evaluation:
    """Measure a trained model on the test split.

    Args:
        vae: the model, in eval mode.
        data: set up; its test split is used.
        num_images: test images (and scenes) in the equivariance sweeps.
        seed: of the posterior noise and the scenes.
        progress: show a progress bar.
    """
    result = Evaluation(metrics=likelihood_metrics(vae, data.loader(data.test), seed))
    x = data.test.images[:num_images].to(next(vae.parameters()).device)
    size, channels = x.shape[-1], x.shape[1]
    scenes = GaussianScenes(num_images, seed=seed, size=size, channels=channels)

    def move_images(g: Tensor) -> Tensor:
        return act_on_image(g.expand(len(x), -1), x, "fourier")

    def move_scenes(g: Tensor) -> Tensor:
        return scenes.render(g).to(x)

    z = vae.encode(x).mode
    if vae.representation.position:
        z[:, :2] = 0  # in the middle, where the crop of a network's canvas cuts nothing

    quarters = motion(angle=torch.arange(1, 4) * (math.pi / 2))
    parts = {
        "encoder": lambda motions: encoder_errors(vae, move_images, motions),
        "scenes/encoder": lambda motions: encoder_errors(vae, move_scenes, motions),
        "round_trip": lambda motions: round_trip_errors(vae, move_images, motions),
        "floor": lambda motions: resampling_floor(x, motions),
    }
    sweep, shifts = angle_sweep(), subpixel_shifts(seed=seed)
    result.sweep["angle"] = torch.rad2deg(sweep[:, 1]).tolist()
    metrics = result.metrics
    for name, error in track(
        parts.items(), description="equivariance", disable=not progress, transient=True
    ):
        rotation = error(sweep)
        result.sweep[name] = rotation.tolist()
        metrics[f"test/equivariance/{name}/rotation"] = rotation.mean().item()
        metrics[f"test/equivariance/{name}/shift"] = error(shifts).mean().item()
        metrics[f"test/equivariance/{name}/quarter_turn"] = error(quarters).mean().item()
    for kind, motions in {"rotation": sweep, "shift": shifts, "quarter_turn": quarters}.items():
        relative, squared = decoder_errors(vae, z, motions)
        metrics[f"test/equivariance/decoder/{kind}"] = relative.mean().item()
        if kind == "rotation":
            result.sweep["decoder"] = relative.tolist()
            metrics["test/equivariance/decoder/eq_r_db"] = decibels(squared)
        if kind == "shift":
            metrics["test/equivariance/decoder/eq_t_db"] = decibels(squared)
        nats, fraction = elbo_change(vae, move_scenes, motions, seed)
        metrics[f"test/equivariance/scenes/elbo_change_nats/{kind}"] = nats.mean().item()
        metrics[f"test/equivariance/scenes/elbo_change/{kind}"] = fraction.mean().item()
    return result


@torch.no_grad()
def likelihood_metrics(
    vae: VAE, batches: Iterable[dict[str, Tensor]], seed: int = 0
) -> dict[str, float]:
    """Means over all images of the ELBO, its parts, squared error and the KL of each irrep block."""
    device = next(vae.parameters()).device
    totals: dict[str, float] = {}
    count = 0
    torch.manual_seed(seed)
    for batch in batches:
        x = batch["image"].to(device)
        for name, value in elbo_terms(x, vae(x), vae.likelihood).items():
            totals[name] = totals.get(name, 0.0) + value.item() * len(x)
        count += len(x)
    return {f"test/{name}": total / count for name, total in totals.items()}


def sweep_figure(sweep: dict[str, list[float]], path: str | Path) -> None:
    """Plot relative error in per cent against the angle, on a logarithmic scale, as PNG."""
    import matplotlib

    matplotlib.use("agg", force=False)
    import matplotlib.pyplot as plt

    labels = {
        "encoder": "encoder, test images",
        "scenes/encoder": "encoder, analytic scenes",
        "decoder": "decoder",
        "round_trip": "round trip, test images",
        "floor": "resampling floor of the test",
    }
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for name, label in labels.items():
        style = {"color": "0.6", "linestyle": "--"} if name == "floor" else {}
        percent = [max(100 * e, 1e-6) for e in sweep[name]]
        axes.semilogy(sweep["angle"], percent, label=label, **style)
    axes.set(xlabel="rotation (degrees)", ylabel="relative error (%)", xlim=(0, 360))
    axes.set_xticks(range(0, 361, 45))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title("Equivariance error of the trained model")
    figure.savefig(path, dpi=110)
    plt.close(figure)
