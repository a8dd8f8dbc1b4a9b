"""An ordinary convolutional VAE and augmentation: the symmetry is in the data, not in the network.

The parts of `configs/model/plain.yaml` with the latent sizes given, trained by the evidence lower bound on
training images that are turned and shifted anew at every step. Nothing ties a coordinate of the latent to
an irrep: those that are called psi_0 are no more invariant than the others, so the content is the whole
posterior mean but the position. The angle is that of psi_1, which the training never asks for: a control.
"""

import math
import time

import numpy as np
import torch
from torch import Tensor

from .result import PeerResult


def fit_transform(
    train: np.ndarray,
    val: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    seconds: float = 60.0,
    multiplicities: tuple[int, ...] = (16, 8, 6, 4),
    variance: float = 0.02,
    position_scale: float = 5.0,
    shift: float = 5.0,
    augment: bool = True,
    batch_size: int = 32,
    lr: float = 2e-3,
    width: int = 32,
    draws: int = 1,
    threads: int = 1,
) -> PeerResult:
    """Content: the posterior mean without the position; angle and shift read as from any eqvae model.

    Args:
        train, val, test: images, (N, C, H, H); val is not looked at.
        seed: of weights, batches, motions and noise.
        seconds: of the processor that training may take; the learning rate falls to zero over them as a
            half cosine.
        multiplicities: copies of psi_0, psi_1, ...; only their sum matters to the network.
        variance: sigma^2 of the Gaussian likelihood at the start; it is learned.
        position_scale: standard deviation of the prior of the position, pixels.
        shift: radius of the disc of the random shifts, pixels.
        augment: turn and shift the training images at random; False trains on them as they are.
        batch_size, lr: of AdamW.
        width: channels at full resolution.
        draws: posterior samples that the ELBO of a test image is averaged over.
        threads: of torch, set back afterwards.
    """
    from eqvae.distributions.frame import read_pose

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            vae = _build(train.shape, multiplicities, variance, position_scale, width)
            motions = shift if augment else None
            cpu = time.process_time()
            trained, seen = _train(vae, torch.from_numpy(train), seconds, motions, batch_size, lr)
            cpu = time.process_time() - cpu
            begin = time.perf_counter()
            z = _posterior_means(vae.eval(), torch.from_numpy(test))
            described = time.perf_counter() - begin
            elbo = _elbos(vae, torch.from_numpy(test), draws)
    finally:
        torch.set_num_threads(before)
    pose = read_pose(vae.representation, z)
    return PeerResult(
        content=z[:, 2:].numpy(),
        angle=pose.motion[:, 1].numpy(),
        shift=pose.motion[:, 2:].numpy(),
        seconds=trained + described,
        elbo=elbo.numpy(),
        images_per_second=seen / trained,
        notes=f"{seen / len(train):.2f} epochs, {'moved' if augment else 'unmoved'} training images, "
        f"{threads} threads, {seen / cpu:.1f} images per CPU second, "
        f"{sum(p.numel() for p in vae.parameters())} parameters; content is the whole posterior mean "
        "but the position, the angle is not trained for",
    )


def _build(shape, multiplicities, variance, position_scale, width):
    """The model of `configs/model/plain.yaml` for images of this shape (N, C, H, H)."""
    from eqvae.distributions import GaussianLikelihood, GaussianPrior
    from eqvae.domains import SquareGrid
    from eqvae.models.vae import VAE
    from eqvae.nn import PlainDecoder, PlainEncoder
    from eqvae.symmetry import PlaneMotions, Representation

    latent = Representation(multiplicities=tuple(multiplicities))
    domain, channels, so2 = SquareGrid(shape[-1]), shape[1], PlaneMotions.so2()
    return VAE(
        PlainEncoder(domain, channels, latent, so2, width),
        PlainDecoder(domain, channels, latent, width),
        GaussianPrior(latent, position_scale),
        GaussianLikelihood(variance, learnable=True),
    )


def _train(
    vae, images: Tensor, seconds: float, shift: float | None, batch_size: int, lr: float
) -> tuple[float, int]:
    """Train for the CPU time; wall seconds and images seen."""
    from eqvae.data.batch import Batch
    from eqvae.losses import Objective
    from eqvae.symmetry import PlaneMotions

    objective, so2 = Objective(), PlaneMotions.so2()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=lr, weight_decay=0.0, fused=True)
    step, seen, begin, cpu = 0, 0, time.perf_counter(), time.process_time()
    vae.train()
    while True:
        for rows in torch.randperm(len(images)).split(batch_size):
            spent = (time.process_time() - cpu) / seconds
            if spent >= 1:
                return time.perf_counter() - begin, seen
            for group in optimizer.param_groups:
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * spent))
            batch = Batch(images[rows])
            if shift is not None:
                batch = batch.act(so2.sample(len(batch), shift=shift), vae.domain)
                batch = batch.replace(image=batch.image.clamp(0, 1))
            optimizer.zero_grad()
            objective(vae, batch, step)[0].backward()
            torch.nn.utils.clip_grad_norm_(vae.parameters(), 1000.0)
            optimizer.step()
            step, seen = step + 1, seen + len(rows)


@torch.no_grad()
def _posterior_means(vae, images: Tensor) -> Tensor:
    return torch.cat([vae.encode(batch).mode for batch in _batches(images)])


@torch.no_grad()
def _elbos(vae, images: Tensor, draws: int) -> Tensor:
    """Mean over draws, (n,), nats."""
    return torch.cat(
        [sum(vae.score(b).elbo for _ in range(draws)) / draws for b in _batches(images)]
    )


def _batches(images: Tensor) -> list:
    from eqvae.data.batch import Batch

    return [Batch(x) for x in images.split(128)]
