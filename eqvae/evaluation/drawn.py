"""Samples of a model, held against what its data allow: a classifier, copies, and decoded posteriors.

Where the data lack what a score needs, the score has no value and says why.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from eqvae.distributions import concatenated, to_device
from eqvae.evaluation.encoding import BATCH
from eqvae.evaluation.findings import picked
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.generation import memorisation, public, ratio, recognition
from eqvae.metrics.generation.feature_sets import Features
from eqvae.metrics.generation.features import image_features, shuffled
from eqvae.metrics.generation.memorisation import memorisation_ratio
from eqvae.metrics.generation.ratio import distance_ratio
from eqvae.metrics.generation.recogniser import Recogniser
from eqvae.metrics.generation.recognition import recognised_share
from eqvae.metrics.generation.samples import feature_scores, real_features
from eqvae.metrics.intervals import Draws
from eqvae.metrics.score import Score

_PUBLIC = {"fast": 500, "full": 2000}  # images through the public network, 10 ms each
_RESAMPLES = 20  # of scores in its 320 features, where a distance takes 50 ms
_UNSEEN = "there are no training images to compare with"


@dataclass(frozen=True)
class Drawn:
    """As many samples as held-out images.

    Attributes:
        held_out: a model and the first images that samples are compared with.
        z: latents, (n, D).
    """

    held_out: HeldOut
    z: Tensor

    def __len__(self) -> int:
        return len(self.z)

    @property
    def real(self) -> Tensor:
        """Held-out images as square pixels."""
        return self.held_out.seen(self.held_out.images[: len(self)])

    @cached_property
    def samples(self) -> Tensor:
        return decoded(self.held_out, self.z)

    @cached_property
    def oracle(self) -> Tensor:
        """Decoded draws of the posteriors of training images, as a perfect prior would give them."""
        held_out = self.held_out
        train = held_out.train[: len(self)]
        starts = held_out.watch(range(0, len(train), BATCH), "encoding training images")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(held_out.seed)
            parts = [train[i : i + BATCH].to(held_out.device) for i in starts]
            q = concatenated(
                [to_device(held_out.model.encode(part).condensed(), "cpu") for part in parts]
            )
            z = q.rsample(torch.Generator().manual_seed(held_out.seed))
        return decoded(held_out, z)

    def draws(self, n: int) -> Draws:
        """Sources of the first n held-out images, and the seed."""
        return {"groups": picked(self.held_out.groups, slice(n)), "seed": self.held_out.seed}


def recognition_scores(drawn: Drawn) -> dict[str, Score]:
    """Whether a classifier of the training images knows the samples for something."""
    train, labels = drawn.held_out.train, drawn.held_out.labels
    reason = _UNSEEN if train is None else ""
    if train is not None and (labels is None or _classes(train.label) < 2):
        reason = "the data have no labels of two classes"
    if reason:
        return {"recognised_share": Score.null(reason, page=recognition.PAGE)}
    judge = Recogniser.trained(drawn.held_out.seen(train.image), train.label, drawn.held_out.seed)
    n, seed = len(drawn), torch.Generator().manual_seed(drawn.held_out.seed)
    return recognised_share(
        judge.probabilities(drawn.real),
        judge.probabilities(drawn.samples),
        judge.columns(labels[:n]),
        judge.probabilities(shuffled(drawn.real, seed)),
        **drawn.draws(n),
    )


def feature_scores_of(drawn: Drawn) -> dict[str, Score]:
    """Everything that is measured in features, of the shipped network and of a public one."""
    posed = _Described.of(drawn, len(drawn))
    scores = posed.scores | _copies(drawn, posed)
    if reason := public.missing():
        null = Score.null(reason, better="lower", page="frechet-distance")
        return scores | {f"fd_{public.NAME}": null}
    few = min(len(drawn), _PUBLIC[drawn.held_out.effort])
    return scores | _Described.of(drawn, few, public.load_public(), public.NAME).scores


@dataclass(frozen=True)
class _Described:
    """Images as features of one network, each (n, F), and how scores of them are drawn.

    Attributes:
        real, destroyed: held-out images, and the same with shuffled pixels.
        samples: of the prior.
        oracle: see `Drawn.oracle`; None without training images.
        again: reconstructions of the held-out images, of the first of them.
        how: keywords of every score.
    """

    real: np.ndarray
    destroyed: np.ndarray
    samples: np.ndarray
    oracle: np.ndarray | None
    again: np.ndarray
    how: Features

    @classmethod
    def of(
        cls, drawn: Drawn, n: int, network: nn.Module | None = None, name: str = "posed"
    ) -> "_Described":
        """The first n images of each kind."""
        real, destroyed = real_features(drawn.real[:n], network, drawn.held_out.seed)
        again = drawn.held_out.seen(drawn.held_out.encoding.reconstruction[:n]).clamp(0, 1)
        sets = [
            drawn.samples[:n],
            None if drawn.held_out.train is None else drawn.oracle[:n],
            again,
        ]
        found = [None if images is None else image_features(images, network) for images in sets]
        how = {"name": name, **drawn.draws(n)}
        if network is not None:
            how["resamples"] = _RESAMPLES
        return cls(real, destroyed, *found, how)

    @property
    def scores(self) -> dict[str, Score]:
        return (
            feature_scores(self.real, self.samples, destroyed=self.destroyed, **self.how)
            | self._ratios()
        )

    def _ratios(self) -> dict[str, Score]:
        """Of equally many images of each kind: distances depend on how many there are."""
        if self.oracle is None:
            names = [f"fd_{self.how['name']}/{name}" for name in ratio.NAMES]
            return Score.nulls(names, _UNSEEN, better="lower", page=ratio.PAGE)
        sets = (self.real, self.samples, self.oracle, self.again)
        n = min(map(len, sets))
        groups = picked(self.how["groups"], slice(n))
        how = {**self.how, "destroyed": self.destroyed[:n], "groups": groups}
        return distance_ratio(*(part[:n] for part in sets), **how)


def _copies(drawn: Drawn, posed: _Described) -> dict[str, Score]:
    """Whether samples are copies of training images."""
    train, how = drawn.held_out.train, {**posed.how, "destroyed": posed.destroyed}
    if train is None:
        null = Score.null(_UNSEEN, better="neither", page=memorisation.PAGE)
        return {f"memorisation_ratio_{how['name']}": null}
    return memorisation_ratio(
        posed.real, posed.samples, image_features(drawn.held_out.seen(train.image)), **how
    )


@torch.no_grad()
def decoded(held_out: HeldOut, z: Tensor) -> Tensor:
    """Images of latents, as square pixels in [0, 1]."""
    parts = z.to(held_out.device).split(BATCH)
    drawn = [held_out.seen(held_out.model.decode(part)).cpu() for part in parts]
    return torch.cat(drawn).clamp(0, 1)


def _classes(labels: Tensor | None) -> int:
    """How many classes there are; 0 unless all labels are known."""
    known = labels is not None and bool((labels >= 0).all())
    return len(np.unique(labels)) if known else 0
