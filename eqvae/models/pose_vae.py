"""A VAE of content and pose: what the object is, apart from where it is and which way it points.

    x -> localiser -> position t -> view: coordinates of x about t
                                     |-> encoder -> q(c | x) -> c -> decoder -> template
                                     '-> inference(view, template) -> q(g | x, c)

    ELBO = E_q(c|x) [ log p(x | c) ] - KL(q(c | x) || p(c)),    log p(x | c) = log sum_g p(g) p(x | c, g)

with the sum over poses exact (`pose.exact`) or bounded by an amortised q(g | x). Content is invariant by
construction, since the encoder sees the object from its own position and answers the same at every angle;
the pose is found by comparing the image with what the content says it should look like. Where the latent has
a scale, t comes with a log-scale, that of `AdaptiveMoments`, and coordinates are those of the object whatever
its size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.data.batch import Batch
from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.orbit import OrbitFit, OrbitPosedPrior, Templates
from eqvae.distributions.posed import PosedPosterior, from_latent, to_latent
from eqvae.distributions.priors import PosedPrior
from eqvae.models.model import ELBO, Model
from eqvae.nn.views import AdaptiveMoments
from eqvae.nn.views import View as Place
from eqvae.pose.inference import PoseInference, PoseQuery
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import TemplateSpace, View
from eqvae.pose.symmetrise import symmetrised
from eqvae.symmetry.motions import (
    angle_of,
    compose,
    has_scale,
    log_scale_of,
    reflection_of,
    shift_of,
)
from eqvae.symmetry.plane import PlaneMotions


@dataclass(frozen=True)
class ContentELBO(ELBO):
    """The ELBO with the pose summed out, and what the model saw.

    Attributes:
        coefficients: of the images about their positions, before any deformation, (B, C, dim).
        content: q(c | x), of deformed images in training.
    """

    coefficients: Tensor
    content: ContentPosterior


class PoseVAE(Model):
    """Content and pose, inferred apart and rendered together.

    Args:
        encoder: coefficients of images seen from a position -> content: `ContentEncoder`.
        decoder: has `.template(content)` -> coefficients, and renders latents: `TemplateDecoder` or
            `HarmonicDecoder`.
        prior: `PosedPrior`.
        likelihood: `TemplateLikelihood`.
        localiser: images -> positions (B, 2); with a scale the first guess of `AdaptiveMoments`.
        inference: how poses are found, a `PoseInference`.
        passes: how often position and content are found anew, each from the other's last answer, before
            training looks at them. 1 where the localiser is right to a pixel, 2 where images are noisy.
        refinements: the same, when poses are asked for.
        symmetry_tolerance: how far a template may be from a symmetry that is made exact when poses are
            asked for, see `symmetrised`; 0 takes every template as it is.
        deform: changes what the encoder sees in training, as `RandomDeformation`; None for nothing.

    Raises:
        ValueError: if the parts speak different representations or see images in different bases.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: PosedPrior,
        likelihood: TemplateLikelihood,
        localiser: nn.Module,
        inference: PoseInference,
        passes: int = 1,
        refinements: int = 2,
        symmetry_tolerance: float = 0.04,
        deform: nn.Module | None = None,
    ):
        super().__init__(encoder, decoder, prior, likelihood)
        for name, part in {"decoder": decoder, "inference": inference}.items():
            theirs = getattr(part, "harmonics", encoder.harmonics)
            if theirs != encoder.harmonics:
                raise ValueError(
                    f"encoder and {name} must share one basis; got {encoder.harmonics} and {theirs}. "
                    "Give both the same harmonics."
                )
        if passes < 1 or refinements < 1:
            raise ValueError(
                f"passes and refinements must be at least 1; got {passes} and {refinements}."
            )
        mirrors = getattr(inference, "reflections", False)
        if mirrors != bool(self.representation.sign):
            raise ValueError(
                f"inference.reflections must be {bool(self.representation.sign)} for a latent with "
                f"sign={self.representation.sign}; got {mirrors}. Mirrors need all of symmetry=o2, "
                "latent.sign=1, model/inference=exact and model.inference.reflections=true."
            )
        scaled = getattr(inference, "has_scales", False)
        if scaled != self.representation.scale:
            raise ValueError(
                f"inference must search scales for a latent with a scale, and for no other; got a search "
                f"{'with' if scaled else 'without'} scales and {self.representation}. Scales need all of "
                "symmetry=sim2, latent.scale=true and model/inference=exact."
            )
        self.localiser = localiser
        self.moments = AdaptiveMoments(encoder.harmonics) if scaled else None
        self.inference = inference
        self.passes = passes
        self.refinements = refinements
        self.symmetry_tolerance = symmetry_tolerance
        self.deform = deform
        self.space = TemplateSpace(encoder.harmonics)
        prior.content.bind(encoder)

    def encode(self, batch: Batch) -> PosedPosterior:
        """q(c, g | x): content, and a search for the pose."""
        where = self._first(batch)
        for _ in range(self.refinements):
            posterior = self._seen(batch, where, fine=True)
            where = _place(posterior.pose.mode)
        return posterior

    def template(self, content: Tensor) -> Tensor:
        """What objects of content (B, m) look like, as coordinates in `space`, (B, dim)."""
        template, h = self.space.extend(self.decoder.template(content)), self._frame(content)
        return template if h is None else self.space.turn(template, angle_of(h), reflection_of(h))

    def framed(self, z: Tensor) -> Tensor:
        content, g = from_latent(self.representation, z)
        h = self._frame(content)
        return z if h is None else to_latent(self.representation, content, compose(g, h))

    def fitted_prior(
        self,
        q: PosedPosterior,
        held_out: PosedPosterior,
        fit: OrbitFit,
        symmetry: PlaneMotions | None = None,
    ) -> OrbitPosedPrior:
        templates = Templates(
            self.encoder.harmonics.representation,
            symmetry or self.symmetry.ambient.linear,
            lambda content: self.encoder.harmonics.by_irrep(self.decoder.template(content)),
        )
        return OrbitPosedPrior.fitted(q, held_out, fit, templates)

    def _frame(self, content: Tensor) -> Tensor | None:
        """Which turn brings the templates of contents (B, m) into one frame, if the prior knows, (B, 4)."""
        frames = self.prior.frames
        return None if frames is None else frames.turn[self.prior.kinds(content).argmax(1)]

    def score(self, batch: Batch, *, sample: bool = True, by_block: bool = True) -> ContentELBO:
        """The ELBO with content drawn from q(c | x) (its mean, if not `sample`) and the pose summed out."""
        view, coefficients = self._look(batch)
        deformed = self.training and self.deform is not None
        q = self.encoder(self.deform(coefficients) if deformed else coefficients)
        return self._score(view, coefficients, q, q.rsample() if sample else q.loc)

    @torch.no_grad()
    def elbo(self, batch: Batch, noise: Tensor) -> Tensor:
        view, coefficients = self._look(batch)
        q = self.encoder(coefficients)
        noise, _ = from_latent(self.representation, noise)
        return self._score(view, coefficients, q, q.loc + q.log_scale.exp() * noise).elbo

    def _score(
        self, view: View, coefficients: Tensor, q: ContentPosterior, c: Tensor
    ) -> ContentELBO:
        x = view.image
        score = self.inference.score(self._query(view, self.template(c)))
        size, variance = x[0].numel(), self.likelihood.variance
        error = 2 * variance * (self.likelihood.constant(x) - score.log_likelihood)
        kl = dict(zip(self.prior.blocks, (self.prior.content.kl(q, c), score.kl), strict=True))
        return ContentELBO(
            log_likelihood=score.log_likelihood,
            kl=kl,
            squared_error=error.clamp(min=0, max=1e3 * size),
            coefficients=coefficients,
            content=q,
        )

    def reconstruct(self, batch: Batch, posterior: PosedPosterior) -> Tensor:
        """Images at the mode of the posterior, with each image's own brightness, background and optics."""
        content, g = from_latent(self.representation, posterior.mode)
        where = _place(g)
        view = self._view(batch, where)
        d = self.likelihood.fitted(view, self.template(content), g)
        turned = self.space.turn(d, angle_of(g), reflection_of(g))
        return self.space.synthesise(turned, where.position, where.log_scale)

    def content_of(self, batch: Batch) -> tuple[Tensor, ContentPosterior]:
        """Coefficients (B, C, dim) of images about their positions, and q(c | x), as training sees them."""
        _, coefficients = self._look(batch)
        return coefficients, self.encoder(coefficients)

    def log_prob(self, batch: Batch, z: Tensor) -> Tensor:
        content, g = from_latent(self.representation, z)
        return self.likelihood.log_prob(self._view(batch, _place(g)), self.template(content), g)

    def coefficients(self, view: View) -> Tensor:
        """What the encoder sees, (B, C, dim): without a varying background, the optics' signs undone."""
        flat = "background" in self.likelihood.nuisances
        a = self.space.coefficients(view.own_coordinates, flat=flat)
        transfer = view.own_transfer
        if transfer is None:
            return a
        wiener = transfer / (transfer.square() + 0.1)  # for a signal-to-noise ratio of 10
        return self.space.coefficients(self.space.filter(self.space.extend(a), wiener))

    def _look(self, batch: Batch) -> tuple[View, Tensor]:
        """Images from where training looks, and their coefficients.

        That is the localiser's answer, mended by every pass but the last.
        """
        where = self._first(batch)
        for _ in range(self.passes - 1):
            with torch.no_grad():
                where = _place(self._seen(batch, where, fine=False).pose.mode)
        view = self._view(batch, where)
        return view, self.coefficients(view)

    def _first(self, batch: Batch) -> Place:
        """Where objects are before anything is compared, and at which scale if they have one."""
        first = Place(self.localiser(batch.image))
        return first if self.moments is None else self.moments(batch.image, first)

    def _view(self, batch: Batch, where: Place) -> View:
        return self.space.look(batch.image, where.position, batch.transfer, where.log_scale)

    def _seen(self, batch: Batch, where: Place, *, fine: bool) -> PosedPosterior:
        view = self._view(batch, where)
        content = self.encoder(self.coefficients(view))
        template = self.template(content.loc)
        if not fine:
            pose = self.inference.infer(self._query(view, template), fine=False)
            return PosedPosterior(self.representation, content, pose)
        exact = symmetrised(self.space, template, self.symmetry_tolerance)
        pose = self.inference.infer(self._query(view, exact.coordinates))
        pose = pose.recentred(-exact.centre)
        kinds = self.prior.content.log_kinds(content.loc)
        if self.prior.frames is not None:
            pose = pose.widened(self.prior.frames.scale[kinds.argmax(1)])
        return PosedPosterior(self.representation, content, pose, kinds)

    def _query(self, view: View, template: Tensor) -> PoseQuery:
        return PoseQuery(view, template, self.likelihood, self.prior.pose)


def _place(g: Tensor) -> Place:
    """Where motions (B, 4) or (B, 5) put an object, and at which scale."""
    return Place(shift_of(g), log_scale_of(g) if has_scale(g) else None)
