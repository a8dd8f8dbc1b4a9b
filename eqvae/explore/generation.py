"""Images drawn from the prior of a model: what is shown, and the pose it is shown in.

    k ~ pi,    u ~ N(mu_k, T S_k),    g ~ p(g),    x = D(g . u)

A fitted prior knows components k, objects u upright at the image centre, and a temperature T of their
spread: T = 0 gives the middle of each component. An angle or a position that is asked for stands in place of
the one that would be drawn, and changes nothing else: the same seed shows the same objects. The prior that a
model was trained with knows neither components nor frames, so that its draws come as they are.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqvae.distributions.orbit import OrbitPosedPrior, OrbitPrior
from eqvae.distributions.posed import from_latent, to_latent
from eqvae.distributions.priors import PosedPrior
from eqvae.models.model import Model
from eqvae.symmetry.motions import identity, motion, reflection_of, shift_of, with_angle, with_shift
from eqvae.watch import Watch, unwatched

_AT_ONCE = 250  # images
_FIT = "Fit one with scripts/fit_prior.py"


@dataclass(frozen=True)
class Wish:
    """What is to be drawn.

    Args:
        n: number of images.
        components: of the fitted prior that are drawn from, by their numbers; none for all of them.
        angle: of every object, radians; None draws it from the prior. A given angle shows no mirror images.
        shift: (x, y) of every object, pixels; None draws it from the prior.
        temperature: of the spread about the middle of each component, at least 0; 1 is the prior's own.
        seed: of all draws.
        rounds: of `Model.settle`; None for as many as the prior asks for.

    Raises:
        ValueError: if a number is out of its range.
    """

    n: int = 16
    components: tuple[int, ...] = ()
    angle: float | None = None
    shift: tuple[float, float] | None = None
    temperature: float = 1.0
    seed: int = 0
    rounds: int | None = None

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1 image; got {self.n}.")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(
                f"temperature must be a number of at least 0; got {self.temperature}. 1 is the prior's own."
            )
        if self.angle is not None and not math.isfinite(self.angle):
            raise ValueError(f"angle must be a finite number; got {self.angle}.")
        if self.shift is not None and not all(map(math.isfinite, self.shift)):
            raise ValueError(f"shift must be two finite numbers x, y; got {self.shift}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1; got {self.seed}.")

    def check(self, model: Model) -> None:
        """Refuse what a model can't draw.

        Raises:
            ValueError: if it lacks a fitted prior, a component or a position that the wish names.
        """
        prior = model.prior
        if not is_fitted(prior):
            if self.components:
                raise ValueError(f"clusters needs a fitted prior, which this model lacks. {_FIT}.")
            if self.temperature != 1:
                raise ValueError(
                    f"temperature needs a fitted prior, which this model lacks. {_FIT}."
                )
            if self.angle is not None and not isinstance(prior, PosedPrior):
                raise ValueError(
                    f"angle needs the frames of a fitted prior, which this model lacks. {_FIT}."
                )
        elif unknown := [k for k in self.components if not 0 <= k < len(prior.weights)]:
            raise ValueError(
                f"clusters must be components of the fitted prior, from 0 to {len(prior.weights) - 1}; "
                f"got {unknown[0]}."
            )
        if self.shift is not None and not model.representation.position:
            raise ValueError("shift needs a position in the latent, which this model lacks.")
        reach = model.image_shape[-1] / 2
        if self.shift is not None and max(map(abs, self.shift)) > reach:
            raise ValueError(
                f"shift must keep the object's centre in the image, up to {reach:g} pixels either way; "
                f"got {self.shift[0]:g}, {self.shift[1]:g}."
            )


@dataclass(frozen=True)
class Samples:
    """What was drawn.

    Attributes:
        z: latents, (n, D).
        component: of the fitted prior, (n,) int64; -1 where there is none.
        pose: motions from the upright object to the image, (n, 4); their angles NaN where nothing says
            which way is upright.
        log_prob: log p(z), nats, (n,).
        temperature: that they were drawn at.
        images: (n, C, H, H), as the decoder gives them, mostly in [0, 1].
    """

    z: Tensor
    component: Tensor
    pose: Tensor
    log_prob: Tensor
    temperature: float
    images: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z)


def is_fitted(prior: torch.nn.Module) -> bool:
    """Whether a prior has components and their frames."""
    return isinstance(prior, OrbitPrior | OrbitPosedPrior)


@torch.no_grad()
def draw(model: Model, wish: Wish) -> Samples:
    """Latents drawn from the prior, without their images.

    Raises:
        ValueError: if the model can't draw what is asked for.
    """
    wish.check(model)
    prior, latent = model.prior, model.representation
    generator = torch.Generator().manual_seed(wish.seed)
    component = torch.full((wish.n,), -1)
    if is_fitted(prior):
        component = _components(prior.weights, wish, generator)
        still = prior.draw_upright(component, generator, wish.temperature)
        if wish.temperature > 0 and wish.rounds != 0:  # the middle of a component is no draw
            still = _upright(model, model.settle(still, generator, rounds=wish.rounds))
        pose = _asked(_posed(prior, wish.n, generator).to(still), wish)
        z = latent.act(pose, still)
        _warn_of_no_turns(prior, wish)
    elif isinstance(prior, PosedPrior):
        content, pose = from_latent(latent, prior.sample(wish.n, generator))
        pose = _asked(pose, wish)
        z = to_latent(latent, content, pose)
    else:
        z = prior.sample(wish.n, generator)
        pose = identity(wish.n).to(z)
        if latent.position:
            pose = with_shift(pose, z[:, latent.slices.position])
        there = _asked(pose, wish)
        z = latent.act(with_shift(pose, shift_of(there) - shift_of(pose)), z)
        pose = with_angle(there, torch.full_like(z.sum(1), torch.nan))
    return Samples(z, component, pose, prior.log_prob(z), wish.temperature)


def _upright(model: Model, z: Tensor) -> Tensor:
    """Settled latents at the image centre; content whose pose was found anew, in its own frame again."""
    latent, z = model.representation, z.clone()
    if isinstance(model.prior, PosedPrior):
        content, _ = from_latent(latent, z)
        return to_latent(latent, content, identity(len(z)).to(z))
    z[:, latent.slices.position] = 0
    return z


def generate(model: Model, wish: Wish, watch: Watch = unwatched) -> Samples:
    """Images drawn from the prior.

    Args:
        model: in eval mode.
        wish: what to draw.
        watch: wraps the decoding with a progress bar.

    Raises:
        ValueError: if the model can't draw what is asked for.

    Example:
        samples = generate(eqvae.load_vae("runs/.../best.ckpt"), Wish(n=64, angle=0.0, shift=(0.0, 0.0)))
    """
    samples = draw(model, wish)
    return replace(samples, images=decoded(model, samples.z, watch))


@torch.no_grad()
def decoded(model: Model, z: Tensor, watch: Watch = unwatched) -> Tensor:
    """Images of latents (n, D), a part of them at a time, on the CPU, (n, C, H, H)."""
    parts = watch(z.split(_AT_ONCE), "decoding")
    return torch.cat([model.decode(part).float().cpu() for part in parts])


def gallery(
    model: Model,
    groups: Sequence[Sequence[int]] = (),
    columns: int = 10,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Upright draws of groups of components, a row for each: title -> images (columns, C, H, H).

    Args:
        model: with a fitted prior.
        groups: components that a row is drawn from, by their weights; none for a row for each of the
            largest twelve components.
        columns: images in a row.
        temperature, seed: as in `Wish`.

    Raises:
        ValueError: if the model has no fitted prior, or not these components.
    """
    wish = Wish(columns, (), 0.0, None, temperature, seed)
    wish = replace(wish, shift=(0.0, 0.0)) if model.representation.position else wish
    if not is_fitted(model.prior):
        raise ValueError(f"a gallery needs a fitted prior, which this model lacks. {_FIT}.")
    weights = model.prior.weights
    largest = weights.argsort(descending=True)[:12].tolist()
    rows = {}
    for group in groups or [[k] for k in largest]:
        samples = generate(model, replace(wish, components=tuple(group)))
        share = 100 * float(weights[list(group)].sum())
        names = "+".join(map(str, group)) if len(group) < 4 else f"{group[0]}+{len(group) - 1} more"
        rows[f"{names}: {share:.1f} %"] = samples.images
    return rows


def _components(weights: Tensor, wish: Wish, generator: torch.Generator) -> Tensor:
    """Components by their weights, (n,)."""
    chosen = torch.tensor(wish.components or range(len(weights))).unique()
    # a component without any weight is drawn all the same if nothing else was asked for
    share = weights.detach().cpu()[chosen].double() + 1e-30
    return chosen[torch.multinomial(share, wish.n, replacement=True, generator=generator)]


def _posed(prior: OrbitPrior | OrbitPosedPrior, n: int, generator: torch.Generator) -> Tensor:
    """Motions as the prior has them, (n, 4)."""
    if isinstance(prior, OrbitPosedPrior):
        return from_latent(prior.representation, prior.sample(n, generator))[1]
    mixture, pose = prior.mixture, identity(n)
    if not mixture.is_trivial:
        pose = mixture.symmetry.sample(n, generator=generator)
    return pose if prior.place is None else with_shift(pose, prior.place.sample(n, generator).cpu())


def _asked(pose: Tensor, wish: Wish) -> Tensor:
    """Poses (n, 4) with the angle and the position that were asked for."""
    if wish.angle is not None:
        turned = motion(wish.angle, shift_of(pose), dtype=pose.dtype)
        pose = turned.to(pose)
    if wish.shift is not None:
        pose = with_shift(pose, shift_of(pose).new_tensor(wish.shift).expand(len(pose), 2))
    return pose


def _warn_of_no_turns(prior: OrbitPrior | OrbitPosedPrior, wish: Wish) -> None:
    still = isinstance(prior, OrbitPrior) and prior.mixture.is_trivial
    if still and wish.angle:
        warnings.warn(
            "angle turns latents whose fitted prior knows no turns, so that the images need not follow: "
            "train a model with a symmetry for images at a given angle.",
            stacklevel=4,
        )


def mirrored(pose: Tensor) -> Tensor:
    """Whether poses (n, 4) show mirror images, (n,)."""
    return reflection_of(pose) > 0.5
