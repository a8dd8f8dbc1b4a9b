"""Train the feature network "posed" of eqvae.metrics.generation: one command, one core, under 4 minutes.

    python benchmarks/train_features.py

4,000 digits of mnist5k and generated sprites, each posed once at random (angle, position, size of the
field of view), some of them blurred, noisy or with another contrast. One linear head on
the rectified features predicts class, (cos k angle, sin k angle) for an object of symmetry C_k, position,
object size, noise and blur. The heads are thrown away. Held out: 1,000 digits and
1,000 sprites of other seeds, undamaged.

Writes eqvae/metrics/generation/weights/posed.pt and prints its checksum, for features.py. Training
on other hardware gives other last digits, and other scores: a new file is a new network and needs a new name.
"""

import hashlib
import json
import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.data.images import ImageSet
from eqvae.data.sources import MNIST5k, Sprites
from eqvae.domains import SquareGrid
from eqvae.metrics.generation.features import WEIGHTS, FeatureNetwork
from eqvae.symmetry.motions import motion

SEED = 0
EPOCHS = 10
BATCH = 64
NUM_DIGIT_POSES = 7  # of each training digit
NUM_SPRITES = 2000  # small and large ones each
FIELDS = (28, 34, 42, 50)  # pixels around a digit of 28
NUM_CLASSES = 16
SIZE = FeatureNetwork.size


@dataclass(frozen=True)
class Posed:
    """Images (N, 1, 48, 48) and what the heads predict of them, (N,) or (N, 2)."""

    images: Tensor
    label: Tensor
    angle: Tensor  # (cos k angle, sin k angle); NaN for objects without an angle
    position: Tensor  # in half widths of the field
    extent: Tensor  # log of the field's width in object units
    blur: Tensor  # standard deviation in pixels of the 48

    def __getitem__(self, rows: Tensor) -> "Posed":
        return Posed(**{name: value[rows] for name, value in vars(self).items()})


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    begin = time.process_time()
    digits = MNIST5k().load()
    order = torch.randperm(len(digits), generator=_generator(SEED))
    held_out, training = order[:1000], order[1000:]
    train = concatenate(
        pose(digits, training.repeat(NUM_DIGIT_POSES), 0, seed=1, damaged=0.2),
        pose(*sprites(NUM_SPRITES, small=True, seed=1), 10, seed=2, damaged=0.2),
        pose(*sprites(NUM_SPRITES, small=False, seed=2), 10, seed=3, damaged=0.2),
    )
    test = concatenate(
        pose(digits, held_out, 0, seed=11),
        pose(*sprites(500, small=True, seed=11), 10, seed=12),
        pose(*sprites(500, small=False, seed=12), 10, seed=13),
    )
    print(f"{len(train.label)} images drawn in {time.process_time() - begin:.0f} s", flush=True)
    network, head = FeatureNetwork(), nn.Linear(FeatureNetwork.num_features, NUM_CLASSES + 7)
    fit(network, head, train)
    standardise(network, train)
    weights = {name: _compact(value) for name, value in network.state_dict().items()}
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    measured = evaluate(network, head, test)
    metadata = {
        "name": "posed",
        "training_images": len(train.label),
        "epochs": EPOCHS,
        "seed": SEED,
        "cpu_seconds": round(time.process_time() - begin),
        "held_out": measured,
    }
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / "posed.pt"
    torch.save({"weights": weights, "metadata": metadata}, path)
    print(json.dumps(metadata, indent=2))
    print(f"{path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def sprites(n: int, *, small: bool, seed: int) -> tuple[ImageSet, Tensor]:
    size, radius = (28, (8.0, 11.0)) if small else (SIZE, (9.0, 20.0))
    return Sprites(n, size=size, radius=radius, seed=seed).load(), torch.arange(n)


def pose(
    source: ImageSet, rows: Tensor, first_label: int, seed: int, damaged: float = 0.0
) -> Posed:
    """Every row at a random motion in a random field of view, resized to 48.

    A share `damaged` is blurred, and as large a share gets another contrast.
    """
    generator = _generator(seed)
    size = source.images.shape[-1]
    parts = []
    for chunk in rows[torch.randperm(len(rows), generator=generator)].split(250):
        pick = torch.randint(len(FIELDS), (), generator=generator).item()
        field = FIELDS[pick] if size == 28 else size
        angle = 2 * math.pi * torch.rand(len(chunk), generator=generator)
        reach = (field - 28) / 2 + 2 if size == 28 else 6.0
        shift = reach * (2 * torch.rand(len(chunk), 2, generator=generator) - 1)
        g = motion(angle, shift)
        if source.render is not None:
            images = source.render(chunk, g, field)
        else:
            left = (field - size) // 2
            right = field - size - left
            padded = F.pad(source.images[chunk], (left, right, left, right))
            images = SquareGrid.of(padded).act(g, padded).clamp(0, 1)
        images = F.interpolate(
            images, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True
        ).clamp(0, 1)
        blur = 2.5 * torch.rand(len(chunk), generator=generator)
        blur = blur * (torch.rand(len(chunk), generator=generator) < damaged)
        images = contrast(blurred(images, blur), damaged, generator)
        label = source.labels[chunk]
        orders = source.symmetry_orders or (1,) * 10
        order = torch.tensor(orders)[label]
        direction = torch.stack([(order * angle).cos(), (order * angle).sin()], dim=1)
        direction[order == 0] = math.nan
        extent = torch.full((len(chunk),), math.log(field / 28) if size == 28 else 0.3)
        parts.append(Posed(images, label + first_label, direction, 2 * shift / field, extent, blur))
    return concatenate(*parts)


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Images blurred by Gaussians of standard deviation sigma pixels, (B,)."""
    tap = torch.arange(-8, 9, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (tap / sigma[:, None].clamp_min(1e-3)).square())
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stacked = images.transpose(0, 1)  # (1, B, H, W): one group for each image
    rows = F.conv2d(stacked, kernel[:, None, None, :], padding=(0, 8), groups=len(images))
    both = F.conv2d(rows, kernel[:, None, :, None], padding=(8, 0), groups=len(images))
    return both.transpose(0, 1)


def contrast(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A share of the images between two other grey values, bright on dark or dark on bright."""
    low, high = torch.rand(2, len(images), 1, 1, 1, generator=generator)
    changed = torch.rand(len(images), 1, 1, 1, generator=generator) < share
    changed = changed & ((high - low).abs() > 0.3)
    return torch.where(changed, low + (high - low) * images, images)


def concatenate(*parts: Posed) -> Posed:
    return Posed(**{name: torch.cat([vars(p)[name] for p in parts]) for name in vars(parts[0])})


def noisy(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images with fresh noise on a fifth of them, and its standard deviations (B,)."""
    sigma = 0.4 * torch.rand(len(images), generator=generator)
    sigma = sigma * (torch.rand(len(images), generator=generator) < 0.2)
    noise = torch.randn(images.shape, generator=generator)
    return (images + sigma[:, None, None, None] * noise).clamp(0, 1), sigma


def fit(network: nn.Module, head: nn.Module, train: Posed) -> None:
    network.to(memory_format=torch.channels_last)  # a third faster
    generator = _generator(SEED + 1)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2)
    steps = EPOCHS * math.ceil(len(train.label) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 6e-3, total_steps=steps, pct_start=0.15
    )
    for epoch in range(EPOCHS):
        total = 0.0
        order = torch.randperm(len(train.label), generator=generator)
        for rows in order.split(BATCH):
            batch = train[rows]
            images, noise = noisy(batch.images, generator)
            images = images.contiguous(memory_format=torch.channels_last)
            loss = multitask_loss(head(network(images).relu()), batch, noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}: loss {total / len(train.label):.3f}", flush=True)


def multitask_loss(prediction: Tensor, batch: Posed, noise: Tensor) -> Tensor:
    """Cross entropy of the class plus squared errors of the rest, each about one at the start."""
    label, rest = prediction[:, :NUM_CLASSES], prediction[:, NUM_CLASSES:]
    turned = batch.angle.isfinite().all(dim=1)
    loss = F.cross_entropy(label, batch.label)
    loss = loss + 4 * F.mse_loss(rest[turned, :2], batch.angle[turned])
    loss = loss + 8 * F.mse_loss(rest[:, 2:4], batch.position)
    loss = loss + 8 * F.mse_loss(rest[:, 4], batch.extent)
    return loss + F.mse_loss(rest[:, 5], batch.blur) + F.mse_loss(rest[:, 6], 8 * noise)


@torch.no_grad()
def standardise(network: FeatureNetwork, train: Posed) -> None:
    """Centre the features and give them mean square 1: one scale for all, so distances keep shape."""
    network.eval()
    x = torch.cat([network(images) for images in train.images.split(512)])
    network.mean.copy_(x.mean(dim=0))
    network.scale.copy_((x - network.mean).square().mean().sqrt())


@torch.no_grad()
def evaluate(network: FeatureNetwork, head: nn.Module, test: Posed) -> dict[str, float]:
    """What the heads still read from the stored features of the held-out images."""
    x = torch.cat([network(images) for images in test.images.split(512)])
    prediction = head((x * network.scale + network.mean).relu())
    correct = prediction[:, :NUM_CLASSES].argmax(dim=1) == test.label
    digit = test.label < 10
    rest = prediction[:, NUM_CLASSES:]
    turned = test.angle.isfinite().all(dim=1)
    error = (torch.atan2(rest[:, 1], rest[:, 0]) - torch.atan2(*test.angle.flip(1).T)).cos().acos()
    return {
        "digit_accuracy": round(correct[digit].float().mean().item(), 4),
        "sprite_accuracy": round(correct[~digit].float().mean().item(), 4),
        "digit_angle_median_degrees": round(error[digit & turned].rad2deg().median().item(), 2),
        "sprite_angle_median_degrees_times_order": round(
            error[~digit & turned].rad2deg().median().item(), 2
        ),
        "position_rms_half_widths": round(
            (rest[:, 2:4] - test.position).square().mean().sqrt().item(), 4
        ),
    }


def _compact(value: Tensor) -> Tensor:
    return (value.half() if value.is_floating_point() and value.dim() > 1 else value).contiguous()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


if __name__ == "__main__":
    main()
