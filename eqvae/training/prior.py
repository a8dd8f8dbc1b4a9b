"""The last stage of a run: fit the prior that the latents of the trained encoder really have.

Training compares latents with N(0, I), which knows nothing of how they lie. Afterwards, with encoder and
decoder as they are, a prior is fitted to draws of q(z | x) of the training images, the number of its
components chosen by validation images, and stored in the checkpoint beside the weights: what comes back
from `load_vae` samples from it and reads content, pose and clusters with it.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eqvae.data import ImageDataModule, PosedImages, StreamedImages
from eqvae.data.batch import Batch
from eqvae.distributions import concatenated
from eqvae.distributions.orbit import OrbitFit
from eqvae.distributions.posterior import Posterior
from eqvae.models.model import Model
from eqvae.nn.views import View
from eqvae.symmetry.group import Group
from eqvae.training.checkpoint import has_prior, load_vae, store_prior
from eqvae.watch import Watch, unwatched, watched

_AT_ONCE = 250  # images
_LOOKED_AT = 200  # validation images, for symmetries
_PERIODIC = 0.9  # of the energy of a symmetric object, in multiples of its order
_MANY = 0.05  # of the objects
_COMPARED = 2000  # test images that two priors are compared on, at most


class PriorStage(ABC):
    """What happens to the prior when training is over."""

    @abstractmethod
    def __call__(self, model: Model, data: ImageDataModule, watch: Watch) -> nn.Module | None:
        """The prior that the model shall have from now on; None for the one that it was trained with."""


class KeepPrior(PriorStage):
    """The model keeps the prior that it was trained with."""

    def __call__(self, model: Model, data: ImageDataModule, watch: Watch) -> None:
        return None


class FitOrbitPrior(PriorStage):
    """Fit an orbit mixture, see `eqvae.distributions.orbit`.

    Args:
        components: K; None for as many as make validation images likeliest.
        rank: of the components' covariances beyond one variance for each irrep copy.
        symmetry: whose orbits the latents lie on; None for that of the model, or none at all where held-out
            latents are likelier so, as those of a plain network.
        images: training images that it is fitted to, at most; None for all.
        seed: of the fit.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        components: int | None = None,
        rank: int = 16,
        symmetry: Group | None = None,
        images: int | None = None,
        seed: int = 0,
    ):
        if images is not None and images < 1:
            raise ValueError(f"images must be at least 1, or null for all; got {images}.")
        self.fit = OrbitFit(components, rank, seed)
        self.symmetry = symmetry
        self.images = images

    def __call__(self, model: Model, data: ImageDataModule, watch: Watch = unwatched) -> nn.Module:
        count = len(data.train) if self.images is None else min(self.images, len(data.train))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.fit.seed)
            q = encoded(model, data.train, count, watch)
            held_out = encoded(model, data.val, min(count, len(data.val)), watch)
            warn_of_symmetries(model, data.val[:_LOOKED_AT], held_out)
            fit = replace(self.fit, watch=watch)
            return model.fitted_prior(q, held_out, fit, self.symmetry)


@torch.no_grad()
def warn_of_symmetries(model: Model, batch: Batch, q: Posterior) -> None:
    """Say that objects have a symmetry that the latent is too coarse for: their angle can't be told.

    Of an object that looks the same after a turn by 2 pi / k only the frequencies k, 2 k, ... are not zero,
    in its images and in its latent; where all of those lie above the latent's, only what is still is left.
    """
    harmonics, latent = getattr(model.encoder, "harmonics", None), model.representation
    if harmonics is None or latent.max_frequency == 1 or not latent.position:
        return
    like = next(model.parameters())
    view = View.of(latent, q.mode[: len(batch)].to(like))
    a = harmonics.analyse(batch.image.to(like), view.position, view.log_scale)
    a = harmonics.by_irrep(a)
    blocks = [block for block in harmonics.representation.blocks if block.frequency > 0]
    energy = torch.stack([a[:, block.slice].square().sum(1) for block in blocks], dim=1)
    share = [energy[:, k - 1 :: k].sum(1) / energy.sum(1).clamp_min(1e-12) for k in range(1, 13)]
    order = (torch.stack(share, dim=1) > _PERIODIC).int().cumsum(1).argmax(1) + 1
    above = order > latent.max_frequency
    many = float(above.float().mean())
    if many > _MANY:
        found = int(order[above].mode().values)
        warnings.warn(
            f"{100 * many:.0f} % of the objects look the same after 1/{found} of a turn, and the latent ends "
            f"at frequency {latent.max_frequency}: their angles can't be told. Give latent.multiplicities "
            f"{found + 1} numbers.",
            stacklevel=2,
        )


@torch.no_grad()
def encoded(
    model: Model, images: PosedImages | StreamedImages, count: int, watch: Watch = unwatched
) -> Posterior:
    """Posteriors of the first `count` images, a part at a time."""
    like = next(model.parameters())
    rows = watch(images.reading_order(count).split(_AT_ONCE), "encoding")
    batches = (images.__getitems__(some.tolist()) for some in rows)
    return concatenated([model.encode(batch.to(like)).condensed() for batch in batches])


def fit_prior(
    stage: PriorStage,
    path: Path,
    data: ImageDataModule,
    watch: Watch = watched,
    device: torch.device | str = "cpu",
) -> tuple[Model, dict[str, float]]:
    """Fit the prior of a stored model and store it, unless the checkpoint has one already.

    Args:
        stage: how.
        path: of the checkpoint.
        data: that its model was trained on.
        watch: wraps what takes long with a progress bar.
        device: to work on.

    Returns:
        The model with its fitted prior, and `test/prior_gap` with its parts, see `prior_gap`: nothing where
        the stage keeps the prior of training.

    Raises:
        ValueError: if no prior can be fitted to the latents.
    """
    model = load_vae(path, device, fitted=False)
    if has_prior(path):
        prior = load_vae(path, device).prior
    else:
        prior = stage(model, data, watch)
        if prior is None:
            return model, {}
        store_prior(path, prior)
    gap = prior_gap(model, prior, data.test_dataloader, seed=0)
    model.prior = prior
    return model, {f"test/{name}": value for name, value in gap.items()}


@torch.no_grad()
def prior_gap(
    model: Model, prior: nn.Module, batches: Callable[[], Any], seed: int
) -> dict[str, float]:
    """The ELBO of the first test images with another prior, and how much higher it is, from the same draws.

    Args:
        model: with the prior that it was trained with.
        prior: the other one.
        batches: makes an iterable of test batches.
        seed: of the draws.

    Returns:
        `fitted/elbo`, `fitted/kl`, `fitted/kl/<block>` and `prior_gap`, nats.
    """
    trained, sums, found = model.prior, [], {}
    for p in (trained, prior):
        model.prior = p
        total: dict[str, float] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for batch in batches():
                if total.get("count", 0) >= _COMPARED:
                    break
                score = model.score(batch.to(next(model.parameters())))
                parts = {"elbo": score.elbo, "kl": score.kl_total}
                parts |= {f"kl/{name}": value for name, value in score.kl.items()}
                for name, value in {**parts, "count": torch.ones_like(score.elbo)}.items():
                    total[name] = total.get(name, 0.0) + float(value.double().sum())
        count = total.pop("count")
        sums.append({name: value / count for name, value in total.items()})
    model.prior = trained
    found = {f"fitted/{name}": value for name, value in sums[1].items()}
    return found | {"prior_gap": sums[1]["elbo"] - sums[0]["elbo"]}
