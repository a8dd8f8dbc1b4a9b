"""pyroVED: a variational autoencoder whose decoder draws on turned and shifted coordinates (trVAE).

The decoder is a network f(c, z) of a coordinate c and the content z, x(c) = f(R(phi) c + d, z). Angle,
shift and content are posterior means of one fully connected encoder, which has to learn how they move.

What pyroVED fixes: the prior of the angle is N(0, 1) radians, so that half of a turn is 3 sigma away; the
prior of the content N(0, 1); one channel. What is set here: a Gaussian likelihood with the variance of
eqvae's, and a prior of the shift as wide as the data's.

References: Ziatdinov, Kalinin et al., https://github.com/ziatdinovmax/pyroVED, version 0.3.0; the decoder is
that of Bepler et al., spatial-VAE (2019), https://arxiv.org/abs/1909.11663.
"""

import math
from pathlib import Path

import numpy as np

from .images import grey
from .result import PeerResult
from .worker import run_worker


def fit_transform(
    train: np.ndarray,
    val: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    python: str | Path,
    seconds: float = 60.0,
    epochs: int | None = None,
    latent_dim: int = 2,
    invariances: tuple[str, ...] = ("r", "t"),
    variance: float = 0.02,
    shift_scale: float = 5.0,
    batch_size: int = 100,
    lr: float = 1e-3,
    draws: int = 1,
    threads: int = 1,
) -> PeerResult:
    """Content, angle and shift: posterior means of a trained trVAE.

    Args:
        train, val, test: images, (N, C, H, H), of which the mean over channels is taken; val is not
            looked at.
        seed: of weights, batches and noise.
        python: interpreter with pyroved, see `environment.py`.
        seconds: of the processor, of all threads together, that training may take.
        epochs: train so many epochs instead.
        latent_dim: dimensions of the content.
        invariances: ("r", "t") for trVAE, ("r",) for rVAE, which has no shift.
        variance: sigma^2 of the Gaussian likelihood in training; the ELBO is taken at the best one.
        shift_scale: standard deviation of the prior of the shift, pixels.
        batch_size, lr: of Adam; the package's own.
        draws: posterior samples that the ELBO of a test image is averaged over.
        threads: of torch.
    """
    settings = {
        "seed": seed,
        "seconds": seconds,
        "epochs": epochs,
        "latent_dim": latent_dim,
        "invariances": list(invariances),
        "variance": variance,
        "shift_scale": shift_scale,
        "batch_size": batch_size,
        "lr": lr,
        "draws": draws,
        "threads": threads,
    }
    found = run_worker(
        python, "pyroved_worker.py", settings, threads, train=grey(train), test=grey(test)
    )
    channels, rate = train.shape[1], float(found["images_per_second"])
    return PeerResult(
        content=found["content"],
        angle=found.get("angle"),
        shift=found.get("shift"),
        seconds=float(found["seconds"]),
        # of the mean of the channels it would not be a bound on the image's density
        elbo=found["elbo"] if channels == 1 else None,
        images_per_second=None if math.isnan(rate) else rate,
        notes=f"{'+'.join(invariances)}, {latent_dim} dimensions, {float(found['epochs']):.2f} epochs, "
        f"{threads} threads, {float(found['images_per_cpu_second']):.1f} images per CPU second, "
        f"{int(found['parameters'])} parameters",
    )


def throughput(
    python: str | Path,
    *,
    size: int = 50,
    seconds: float = 20.0,
    batch_size: int = 100,
    threads: int = 1,
) -> dict[str, float]:
    """Training images per second and per CPU second on noise, over `seconds` after one batch of warm-up."""
    settings = {
        "seed": 0,
        "seconds": seconds,
        "epochs": None,
        "latent_dim": 2,
        "invariances": ["r", "t"],
        "variance": 0.02,
        "shift_scale": 5.0,
        "batch_size": batch_size,
        "lr": 1e-3,
        "draws": 1,
        "threads": threads,
    }
    noise = np.random.default_rng(0).random((10 * batch_size, size, size), dtype=np.float32)
    found = run_worker(
        python, "pyroved_worker.py", settings, threads, train=noise, test=noise[:batch_size]
    )
    return {name: float(found[name]) for name in ("images_per_second", "images_per_cpu_second")}
