"""The suites of the orbit benchmark: one function for each, one cell for each seed.

A cell trains, fits the prior, measures held-out images and returns a flat dictionary of numbers. Recipes
stand here in full: nothing is chosen on test data.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measures import (
    generation,
    likelihood_gain,
    poses,
    trained,
    understanding,
    wrong_frames,
)
from recipes import GALAXIES, NUCLEI, PARTICLES, REAL, SPRITES

from eqvae.distributions.orbit import Latents, OrbitMixture
from eqvae.distributions.orbit.fit import fit_components
from eqvae.evaluation.held_out import HeldOut
from eqvae.symmetry import PlaneMotions, Representation

OPEN_DIGITS = (2, 3, 4, 5, 7)  # digits that look like no turned copy of themselves
SHIFTED = ["data/pose=rotated_shifted", "data.pose.shift_scale=2.0", "data.pose.max_shift=4.0"]
HARMONIC = ["image.radius=28", "model.prior.position_scale=2.0"]


def mnist5k(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The default experiment, as `make train` runs it, for each seed of weights."""
    vae, data, found = trained([f"seed={seed}"], folder)
    held_out = HeldOut.of(vae, data, seed=seed)
    found |= likelihood_gain(folder) | generation(vae, data, seed)
    return found | poses(held_out) | understanding(vae, data, seed)


def sprites(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Generated sprites of known pose and symmetry, model=harmonic."""
    return _known_poses(["data=sprites", f"data.source.seed={seed}"], seed, folder)


def sprites_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The same, model=pose."""
    recipe = ["model=pose", "data=sprites", f"data.source.seed={seed}"]
    return _known_poses(recipe, seed, folder)


def sprites_noisy_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Sprites in noise 0.2, model=pose, as benchmarks/pose_content trains it."""
    seeds = [f"data.{part}seed={seed}" for part in ("", "source.", "pose.")]
    return _known_poses([*SPRITES, *seeds], seed, folder)


def particles(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Projections of 4 conformations behind a contrast transfer function, as much noise as signal."""
    recipe = ["data=particles", "data.source.num_images=5000", "data.source.defocus=[1.0,2.0]"]
    recipe += [*SHIFTED, "image.radius=24", "model.prior.position_scale=2.0"]
    return _particles(recipe, seed, folder)


def particles_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The same, model=pose."""
    return _particles([*PARTICLES, "trainer.max_epochs=6"], seed, folder)


def _particles(recipe: list[str], seed: int, folder: Path) -> dict[str, float]:
    seeds = [f"data.{part}seed={seed}" for part in ("", "source.", "pose.")]
    return _known_poses([*recipe, *seeds, "data.source.snr=1.0"], seed, folder)


def _known_poses(recipe: list[str], seed: int, folder: Path) -> dict[str, float]:
    vae, data, found = trained([*recipe, f"seed={seed}"], folder)
    held_out = HeldOut.of(vae, data, seed=seed)
    found |= likelihood_gain(folder) | poses(held_out) | generation(vae, data, seed)
    return found | understanding(vae, data, seed)


def mnist_u(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """60,000 digits in any pose, model=harmonic, 8 epochs."""
    recipe = ["data=mnist", f"data.source.root={options.data}", f"seed={seed}"]
    recipe += ["data.batch_size=256", "trainer.max_epochs=8"]
    return _mnist_u(recipe, seed, folder)


def mnist_u_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The same, experiment=mnist_u: model=pose with deformations and clusters."""
    recipe = ["experiment=mnist_u", f"data.source.root={options.data}", f"seed={seed}"]
    recipe += ["prior=orbit"]
    return _mnist_u(recipe, seed, folder)


def _mnist_u(recipe: list[str], seed: int, folder: Path) -> dict[str, float]:
    vae, data, found = trained(recipe, folder)
    found |= likelihood_gain(folder) | understanding(vae, data, seed)
    found |= wrong_frames(vae, data, OPEN_DIGITS)
    return found | generation(vae, data, seed)


def galaxies(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """SDSS galaxies, model=harmonic."""
    return _real([*GALAXIES, *HARMONIC], "galaxies", seed, folder, options)


def galaxies_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The same, model=pose."""
    recipe = [*REAL, *GALAXIES, "model.localiser._target_=eqvae.nn.Localiser"]
    return _real(recipe, "galaxies", seed, folder, options)


def nuclei(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Fluorescence nuclei, split by source image, model=harmonic."""
    return _real([*NUCLEI, *HARMONIC], "nuclei", seed, folder, options)


def nuclei_pose(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """The same, model=pose."""
    return _real([*REAL, *NUCLEI], "nuclei", seed, folder, options)


def _real(recipe: list[str], name: str, seed: int, folder: Path, options: Any) -> dict[str, float]:
    path = Path(options.data) / f"{name}.npz"
    seeds = [f"seed={seed}", f"data.seed={seed}", f"data.pose.seed={seed}"]
    vae, data, found = trained([*recipe, *seeds, f"data.source.path={path}"], folder)
    archive = dict(np.load(path))
    found |= likelihood_gain(folder) | generation(vae, data, seed)
    return found | understanding(vae, data, seed, archive=archive)


def fit_seconds(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """Seconds and memory of a fit of 100 components to latents drawn from a planted mixture."""
    import resource

    latent = Representation((16, 8, 6, 4, 4, 2, 2), position=False)
    torch.manual_seed(seed)
    planted = OrbitMixture(latent, PlaneMotions.so2(), 100).requires_grad_(False)
    planted.loc.normal_()
    planted.log_scale.fill_(-1.0)
    found = {}
    for n in options.counts:
        generator = torch.Generator().manual_seed(seed)
        v = torch.cat([planted.sample(50_000, generator) for _ in range(-(-n // 50_000))])[:n]
        latents = Latents(latent, v, torch.full((n, latent.num_copies), 0.1))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin = time.perf_counter()
        fit_components(latents, PlaneMotions.so2(), 100, 16, seed)
        found[f"n{n}"] = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found[f"n{n}_megabytes"] = after - before
    return found


def invariance(seed: int, folder: Path, options: Any) -> dict[str, float]:
    """|log p(g z) - log p(z)| of the prior of the default model: at grid angles and between them."""
    vae, data, _ = trained(["seed=0"], options.folder / "mnist5k-0")
    z = vae.encode(data.test[:200]).mode[:, vae.representation.slices.vector]
    mixture, found = vae.prior.mixture, {}
    act = mixture.representation.act
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        v = z.detach().to(dtype)
        still = mixture.log_prob(v)
        for where, offset in (("grid", 0.0), ("between", 0.5)):
            step = 2 * np.pi / mixture.angles
            turns = (torch.arange(len(v)).double() % mixture.angles + offset) * step
            g = torch.zeros(len(v), 4, dtype=torch.float64)
            g[:, 1] = turns
            moved = mixture.log_prob(act(g.to(dtype), v))
            found[f"{name}_{where}"] = float((moved - still).abs().max())
    v, kept = z.detach().double(), mixture.angles
    for angles in (16, 32, 64, 128, 256):
        mixture.angles = angles
        g = torch.zeros(len(v), 4, dtype=torch.float64)
        g[:, 1] = np.pi / angles
        gap = mixture.log_prob(act(g, v)) - mixture.log_prob(v)
        found[f"float64_between_{angles}_angles"] = float(gap.abs().max())
    mixture.angles = kept
    return found
