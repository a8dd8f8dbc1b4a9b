"""Masks of held-out nuclei: decoded from a latent, and by a network that does nothing else.

Usage: python benchmarks/segmentation.py NUCLEI.npz [OUT.json]

Two models learn from the same 1,000 images of 36 pixels, split by source image, neighbours left in:

    eqvae       model=harmonic mask=harmonic: 54 numbers for each image, its mask decoded from them
    unet        a small U-Net, pixels to pixels, with its skip connections

and `threshold` is what no training gives: the object is where an image is brighter than the mean of its
extremes. Dice on held-out images in any pose, and IoU of mask(rho(g) z) and g mask(z), for the U-Net of
mask(g x) and g mask(x).
Three seeds, one thread. Writes benchmarks/results/segmentation.json.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.config import compose
from eqvae.data.batch import Batch
from eqvae.evaluation.encoding import some_motions
from eqvae.evaluation.held_out import HeldOut
from eqvae.evaluation.suites.segmentation import segmentation
from eqvae.metrics.segmentation.overlap import overlap_scores
from eqvae.training.run import prepare, train

SEEDS, STEPS, IMAGES, BATCH = (0, 1, 2), 300, 1000, 64
QUIET = (
    "logger=none prior=normal callbacks.early_stopping=null callbacks.pictures=null "
    "callbacks.progress=null"
)
DATA = (
    f"data=npz data/pose=rotated_shifted data.source.group=source data.source.mask=mask data.canvas.size=32 "
    f"data.source.neighbours=true data.pose.size=36 data.pose.shift_scale=1.0 data.pose.max_shift=2.0 "
    f"data.limit={IMAGES} data.batch_size={BATCH} image.radius=14.0 model.prior.position_scale=2.0 "
    f"trainer.max_epochs=-1 +trainer.max_steps={STEPS} +trainer.val_check_interval={STEPS} "
    "trainer.check_val_every_n_epoch=null"
)
MODEL = "model=harmonic mask=harmonic latent=default optimizer.lr=3e-2"


class UNet(nn.Module):
    """Three scales, 3x3 convolutions, group norm, skip connections: (B, 1, H, H) -> logits of the mask."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.down = nn.ModuleList([_twice(1, width), _twice(width, 2 * width)])
        self.middle = _twice(2 * width, 4 * width)
        self.up = nn.ModuleList([_twice(6 * width, 2 * width), _twice(3 * width, width)])
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            skips.append(x := layer(x))
            x = F.avg_pool2d(x, 2)
        x = self.middle(x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = layer(torch.cat([F.interpolate(x, size=skip.shape[-2:]), skip], dim=1))
        return self.head(x)


def _twice(before: int, after: int) -> nn.Sequential:
    parts = []
    for channels in (before, after):
        conv = nn.Conv2d(channels, after, 3, padding=1)
        parts += [conv, nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*parts)


def of_eqvae(path: str, seed: int) -> tuple[dict[str, float], HeldOut]:
    """Scores of the model that decodes masks from latents, and the images that it was judged on."""
    seeds = f"seed={seed} data.seed={seed} data.pose.seed={seed}"
    config = compose([*f"{MODEL} {DATA} {QUIET} {seeds}".split(), f"data.source.path={path}"])
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(config, Path(folder) / "run")
        train(run)
    vae = run.module.vae.eval()
    held_out = HeldOut.of(vae, run.datamodule, seed=seed)
    scores = {name: score.value for name, score in segmentation(held_out).scores.items()}
    return scores | _size(vae, begin), held_out


def of_unet(held_out: HeldOut, images: Batch, seed: int) -> dict[str, float]:
    """A U-Net on the same images, as many steps."""
    torch.manual_seed(seed)
    begin, net = time.process_time(), UNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        some = images[torch.randint(len(images), (BATCH,))]
        loss = F.binary_cross_entropy_with_logits(net(some.image), some.mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    scores = _overlaps(_masks(net, held_out.images), held_out)
    n, domain = 100, held_out.model.domain.black
    still = _masks(net, held_out.images[:n])
    for kind, motions in some_motions(False, seed).items():
        each = motions.repeat_interleave(n, dim=0).to(still)
        batch = held_out.batch[:n].replace(mask=still)[torch.arange(n).repeat(len(motions))]
        moved = batch.act(each, domain, "fourier")
        scores[f"law/{kind}"] = overlap_scores(_masks(net, moved.image), moved.mask)["iou"].value
    return scores | _size(net, begin)


def of_threshold(held_out: HeldOut) -> dict[str, float]:
    low, high = held_out.images.flatten(1).aminmax(dim=1)
    middle = ((low + high) / 2).view(-1, 1, 1, 1)
    return _overlaps((held_out.images > middle).float(), held_out)


def _overlaps(masks: Tensor, held_out: HeldOut) -> dict[str, float]:
    found = overlap_scores(masks, held_out.batch.mask, groups=held_out.groups)
    return {name: score.value for name, score in found.items()}


@torch.no_grad()
def _masks(net: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([net(part).sigmoid() for part in images.split(250)])


def _size(net: nn.Module, begin: float) -> dict[str, float]:
    parameters = sum(p.numel() for p in net.parameters())
    return {"parameters": parameters, "seconds": time.process_time() - begin}


def main() -> None:
    """Train and measure all; the file is written after every seed."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return
    own = Path(__file__).parent / "results" / "segmentation.json"
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else own
    torch.set_num_threads(1)
    runs: dict[str, list[dict[str, float]]] = {"eqvae": [], "unet": [], "threshold": []}
    for seed in SEEDS:
        scores, held_out = of_eqvae(sys.argv[1], seed)
        runs["eqvae"].append(scores)
        # a HeldOut keeps up to 4,000 training images: all of them here
        runs["unet"].append(of_unet(held_out, held_out.train, seed))
        runs["threshold"].append(of_threshold(held_out))
        print(seed, {name: found[-1] for name, found in runs.items()}, flush=True)
        about = {"images": IMAGES, "steps": STEPS, "seeds": SEEDS[: seed + 1]}
        about |= {"test_images": len(held_out.batch), "pixels": held_out.images.shape[-1]}
        out.write_text(json.dumps({"about": about, "runs": runs}, indent=1) + "\n")
    print(out)


if __name__ == "__main__":
    main()
