"""Worker of `pyroved_peer`, run where pyroved is: python SCRIPT given.npz found.npz settings."""

import json
import math
import sys
import time

import numpy as np
import torch
from pyroved.models import iVAE
from pyroved.trainers import SVItrainer
from pyroved.utils import transform_coordinates
from torch import Tensor


def main() -> None:
    given, found, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    torch.set_num_threads(settings["threads"])
    with np.load(given) as stored:
        train, test = (torch.from_numpy(stored[name]) for name in ("train", "test"))
    vae = build(train.shape[-1], settings)
    trained = fit(vae, train, settings)
    begin = time.perf_counter()
    z, scale = vae.encode(test)
    arrays = describe(vae, z)
    trained["seconds"] += time.perf_counter() - begin
    arrays["elbo"] = elbo(vae, test, z, scale, settings).numpy()
    np.savez(found, **arrays, **trained)


def build(size: int, settings: dict) -> iVAE:
    """The package's model, with a Gaussian likelihood; its coordinates run from -1 to 1 over the image."""
    return iVAE(
        (size, size),
        latent_dim=settings["latent_dim"],
        invariances=settings["invariances"],
        sampler_d="gaussian",
        decoder_sig=math.sqrt(settings["variance"]),
        dx_prior=2 * settings["shift_scale"] / (size - 1),
        seed=settings["seed"],
        device="cpu",
    )


def fit(vae: iVAE, train: Tensor, settings: dict) -> dict[str, float]:
    """Train for the CPU time or the epochs; the first batch warms up and does not count in the throughput."""
    trainer = SVItrainer(vae, lr=settings["lr"], seed=settings["seed"], device="cpu")
    batch_size, epochs = settings["batch_size"], settings["epochs"]
    budget = math.inf if epochs else settings["seconds"]
    images = epochs * len(train) if epochs else math.inf
    seen, begin, cpu = 0, time.perf_counter(), time.process_time()
    warm, warm_seconds, warm_cpu = 0, 0.0, 0.0
    while seen < images and time.process_time() - cpu < budget:
        for rows in torch.randperm(len(train)).split(batch_size):
            trainer.svi.step(train[rows])
            seen += len(rows)
            if not warm:
                warm, warm_seconds = seen, time.perf_counter() - begin
                warm_cpu = time.process_time()
            if time.process_time() - cpu >= budget:
                break
    seconds = time.perf_counter() - begin
    timed = seen - warm if seen > warm else math.nan
    return {
        "seconds": seconds,
        "images_per_second": timed / (seconds - warm_seconds),
        # of all threads: comparable on a machine that others use at the same time
        "images_per_cpu_second": timed / (time.process_time() - warm_cpu),
        "epochs": seen / len(train),
        "parameters": sum(p.numel() for p in vae.parameters()),
    }


def describe(vae: iVAE, z: Tensor) -> dict[str, np.ndarray]:
    """Content, angle and shift of latents.

    The coordinates c are (down, left), a left-handed pair, and an image shows f(R(phi) c + d). R(phi) turns
    (down, left) clockwise on screen, and what is drawn counter-clockwise: the angle is phi. The object's
    centre, R(phi) c + d = 0, lies at c = -R(-phi) d, in units of half the width.
    """
    phi, d, _, content = vae.split_latent(z)
    described = {"content": content.numpy()}
    if "r" in vae.invariances:
        described["angle"] = phi.numpy()
    if "t" in vae.invariances:
        d = d * vae.t_prior
        cos, sin = phi.cos(), phi.sin()  # of 0 without "r"
        up, right = d[:, 0] * cos + d[:, 1] * sin, d[:, 1] * cos - d[:, 0] * sin
        half = (math.isqrt(len(vae.grid)) - 1) / 2
        described["shift"] = (torch.stack([right, up], dim=1) * half).numpy()
    return described


def decode(vae: iVAE, z: Tensor) -> Tensor:
    """Mean images of latents, flat, as in the package's own `model`."""
    phi, d, scale, content = vae.split_latent(z)
    if "t" in vae.invariances:
        d = (d * vae.t_prior).unsqueeze(1)
    grid = vae.grid.expand(len(z), *vae.grid.shape)
    return vae.decoder(transform_coordinates(grid, phi, d, scale), content).flatten(1)


@torch.no_grad()
def elbo(vae: iVAE, x: Tensor, z: Tensor, scale: Tensor, settings: dict) -> Tensor:
    """E_q log p(x|z) - KL(q || N(0, 1)) of each image, nats.

    The package trains with a fixed variance. It is scored at the one that is best for these very images,
    in its favour: their mean squared error.
    """
    kl = 0.5 * (z.square() + scale.square() - 1).sum(dim=1) - scale.log().sum(dim=1)
    errors = []
    for rows in torch.arange(len(x)).split(100):
        squared = torch.zeros(len(rows))
        for _ in range(settings["draws"]):
            drawn = z[rows] + scale[rows] * torch.randn_like(z[rows])
            squared += (x[rows].flatten(1) - decode(vae, drawn)).square().sum(dim=1)
        errors.append(squared / settings["draws"])
    squared, pixels = torch.cat(errors), x[0].numel()
    variance = squared.mean() / pixels
    return -0.5 * (pixels * (2 * math.pi * variance).log() + squared / variance) - kl


if __name__ == "__main__":
    main()
