"""What a scale in the latent buys: a VAE whose pose is position, angle and size, on sprites of any size.

    python benchmarks/scale.py --work runs/scale

Arms, trained on the same images with three seeds each, on one thread:

    sim2              symmetry=sim2, on scales from 0.6 to 1.6
    so2               symmetry=so2 on the same images: scales are augmentation, and size becomes content
    sim2, one scale   symmetry=sim2, trained at scale 1 alone
    so2, one scale    symmetry=so2, trained at scale 1 alone

All are measured on the same held-out images at every scale, and by range of scales: below 0.75, up to 1.3,
and larger. `benchmarks/results/scale.json` keeps the numbers.
"""

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.data.posing import move_images
from eqvae.metrics.content.leak import pose_leak
from eqvae.metrics.pose.error import pose_errors
from eqvae.metrics.pose.scale import scale_errors
from eqvae.symmetry import Similarities, log_scale_of, without_scale
from eqvae.training.checkpoint import load_vae
from eqvae.training.run import prepare, train

RESULTS = Path(__file__).parent / "results" / "scale.json"
SEEDS = (0, 1, 2)
TARGETS = {
    "angle_median": ("degrees", 2.0),
    "scale_median": ("%", 3.0),
    "shift_median": ("px", 0.3),
    "R2_scale": ("R^2", 0.05),  # of the means of content within a class
    "draws_R2_scale": ("R^2", 0.05),  # of draws of content: what a decoder is told
}
SHARED = [
    *("model=harmonic", "model.encoder.hidden=32", "model.decoder.hidden=32"),
    *("data=sprites", "data.source.num_images=4000", "data.source.size=26", "data.batch_size=64"),
    *("data.source.radius=[10,10]", "data.source.noise=0.05", "data/pose=scaled"),
    *("data.pose.shift_scale=3.0", "data.pose.max_shift=6.0", "model.prior.position_scale=3.0"),
    *("trainer.max_epochs=7", "trainer.accelerator=cpu", "logger=none", "prior=orbit"),
    *("callbacks.progress=null", "callbacks.early_stopping=null", "callbacks.pictures=null"),
]
ARMS = {
    "sim2": ["symmetry=sim2", "image.radius=14"],
    "so2": ["symmetry=so2"],
    "sim2, one scale": ["symmetry=sim2", "image.radius=14", "data.pose.scales=[1.0,1.0]"],
    "so2, one scale": ["symmetry=so2", "data.pose.scales=[1.0,1.0]"],
}
RANGES = {"small": (0.0, 0.75), "middle": (0.75, 1.3), "large": (1.3, 9.0)}
DRAWN = 300  # images that are scaled once more


def trained(arm: str, seed: int, work: Path, shared: list[str]) -> tuple[Any, float]:
    """The model of an arm, trained unless it is there, and how long that took on a processor, seconds."""
    folder = work / f"{arm.replace(', ', '_').replace(' ', '_')}_{seed}"
    if not (folder / "metrics.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        train(prepare(compose([*shared, *ARMS[arm], f"seed={seed}"]), folder))
    seconds = json.loads((folder / "metrics.json").read_text())["train/processor_seconds"]
    return load_vae(folder).eval(), seconds


@torch.no_grad()
def measured(model: Any, data: Any, seed: int) -> dict[str, Any]:
    """Errors of the pose, leaks of content and errors of images, on the test part."""
    batch = data.test[torch.arange(len(data.test))]
    posterior = model.encode(batch).settled()
    pose, content = posterior.pose.mode, posterior.content.loc.numpy()
    labels, orders = batch.label, dict(enumerate(data.images.symmetry_orders))
    classes = labels.numpy()
    inside = {"all": np.ones(len(labels), bool)}
    size = log_scale_of(batch.pose).exp().numpy()
    inside |= {name: (low <= size) & (size < high) for name, (low, high) in RANGES.items()}
    found = {}
    for name, rows in inside.items():
        seen, truth, kind = pose[rows], batch.pose[rows], classes[rows]
        errors = pose_errors(seen, truth, classes=kind, orders=orders, seed=seed)
        errors |= scale_errors(seen, truth, classes=kind, seed=seed)
        part = {key: errors[key].value for key in ("angle_median", "shift_median", "scale_median")}
        difference = (model.decode(posterior.mode[rows]) - batch.image[rows]).square()
        variance = (batch.image[rows] - batch.image.mean()).square().mean()
        found[name] = part | {
            "unexplained": float(difference.mean() / variance),
            "n": int(rows.sum()),
        }
    draws = posterior.content.rsample(torch.Generator().manual_seed(seed)).numpy()
    drawn = pose_leak(draws, batch.pose, classes=classes, seed=seed)
    found["all"] |= {f"draws_R2_{k}": best_r2(drawn, k) for k in ("angle", "position", "scale")}
    leak = pose_leak(content, batch.pose, classes=classes, seed=seed)
    found["all"] |= {f"leak_{k}": leak[f"{k}/best"].value for k in ("angle", "position", "scale")}
    found["all"] |= {f"R2_{k}": best_r2(leak, k) for k in ("angle", "position", "scale")}
    return found | {"scaled": scaled_images(model, data, batch, seed)}


def best_r2(leak: dict[str, Any], part: str) -> float:
    """The largest R^2 of any probe, shuffles not taken off."""
    return max(leak[f"{part}/{probe}"].value for probe in ("linear", "knn", "gbt"))


def scaled_images(model: Any, data: Any, batch: Batch, seed: int) -> dict[str, float]:
    """How far decode(act(g, z)) is from the image of g, beside what the model makes of that image itself."""
    some, source = batch[torch.arange(min(DRAWN, len(batch)))], data.images
    generator = torch.Generator().manual_seed(seed)
    scales = -log_scale_of(some.pose) * torch.rand(
        len(some), generator=generator
    )  # towards scale 1
    group = Similarities(scales=(1.0, 1.0))
    g = group.sample(len(some), generator=generator)
    g[:, -1] = scales
    expected = group.compose(g, some.pose)
    target = move_images(source, some.index, expected, some.image.shape[-1]).image
    z = model.encode(some).mode
    moved = model.decode(model.representation.act(g, z))
    flat = model.decode(model.representation.act(without_scale(g), z))
    again = model.decode(model.encode(some.replace(image=target)).mode)
    return {
        "moved": relative(moved, target),
        "reconstructed": relative(again, target),
        "moved_without_scale": relative(flat, target),
    }


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every number."""
    result = {}
    for part in runs[0]:
        for name in runs[0][part]:
            values = [run[part][name] for run in runs]
            known = [v for v in values if v is not None and math.isfinite(v)]
            mean = float(np.mean(known)) if known else None
            result[f"{part}/{name}"] = {
                "mean": mean,
                "std": float(np.std(known)) if known else None,
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, default=Path("runs/scale"), help="where runs are kept")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--set", nargs="*", default=[], help="KEY=VALUE of all arms, to try things")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shared = [*SHARED, *asked.set]
    config = compose(shared)
    data = build(config["data"], path="data")
    data.setup()
    table = {"settings": shared, "targets": TARGETS, "seeds": list(asked.seeds), "arms": {}}
    for arm in asked.arms:
        runs, seconds = [], []
        for seed in asked.seeds:
            model, busy = trained(arm, seed, asked.work, shared)
            runs.append(measured(model, data, seed))
            seconds.append(busy)
            print(arm, seed, round(busy), json.dumps(runs[-1]), flush=True)
        table["arms"][arm] = {"runs": runs, "seconds": seconds, "summary": summary(runs)}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
