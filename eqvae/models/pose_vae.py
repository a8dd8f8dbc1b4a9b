"""A VAE of content and pose: what the object is, apart from where it is and which way it points.

    x -> localiser -> position t -> view: coordinates of x about t
                                     |-> encoder -> q(c | x) -> c -> decoder -> template
                                     '-> inference(view, template) -> q(g | x, c)

    ELBO = E_q(c|x) [ log p(x | c) ] - KL(q(c | x) || p(c)),    log p(x | c) = log sum_g p(g) p(x | c, g)

with the sum over poses exact (`pose.exact`) or bounded by an amortised q(g | x). Content is invariant by
construction, since the encoder sees the object from its own position and answers the same at every angle;
the pose is found by comparing the image with what the content says it should look like.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.distributions.content import ContentPosterior
from eqvae.distributions.posed import PosedPosterior, from_latent
from eqvae.distributions.priors import PosedPrior
from eqvae.models.vae import VAE, VAEOutput
from eqvae.pose.inference import PoseInference
from eqvae.pose.likelihood import TemplateLikelihood
from eqvae.pose.space import TemplateSpace, View
from eqvae.pose.symmetrise import symmetrised


@dataclass(frozen=True)
class PoseVAEOutput(VAEOutput):
    """The same, and what the model saw.

    Attributes:
        coefficients: of the images about their positions, before any deformation, (B, C, dim).
        content: q(c | x), of deformed images in training.
    """

    coefficients: Tensor
    content: ContentPosterior


class PoseVAE(VAE):
    """Content and pose, inferred apart and rendered together.

    Args:
        encoder: coefficients of images seen from a position -> content: `ContentEncoder`.
        decoder: has `.template(content)` -> coefficients, and renders latents: `TemplateDecoder` or
            `HarmonicDecoder`.
        prior: `PosedPrior`.
        likelihood: `TemplateLikelihood`.
        localiser: images -> positions (B, 2).
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

    uses_optics = True

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
        ours, theirs = encoder.harmonics, decoder.harmonics
        if (ours.degree, ours.width) != (theirs.degree, theirs.width):
            raise ValueError(
                f"encoder and decoder must share one basis; got degree and width {ours.degree}, "
                f"{ours.width:.3g} and {theirs.degree}, {theirs.width:.3g}. Give both the same degree "
                "and radius."
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
        self.localiser = localiser
        self.inference = inference
        self.passes = passes
        self.refinements = refinements
        self.symmetry_tolerance = symmetry_tolerance
        self.deform = deform
        self.space = TemplateSpace(encoder.harmonics, decoder.channels)
        prior.content.bind(encoder)

    def encode(self, x: Tensor, transfer: Tensor | None = None) -> PosedPosterior:
        """q(c, g | x) for images (B, C, H, H), with radial transfer functions (B, Q) of their optics."""
        t = self.localiser(x)
        for _ in range(self.refinements):
            view, posterior = self._seen(x, t, transfer, fine=True)
            t = posterior.pose.mode[:, 2:]
        return posterior

    def template(self, content: Tensor) -> Tensor:
        """What objects of content (B, m) look like, as coordinates in `space`, (B, dim)."""
        return self.space.extend(self.decoder.template(content))

    def forward(
        self, x: Tensor, *, sample: bool = True, transfer: Tensor | None = None
    ) -> PoseVAEOutput:
        """Score images, with content drawn from q(c | x) (its mean, if not `sample`)."""
        view = self.space.look(x, self._position(x, transfer), transfer)
        coefficients = self.coefficients(view)
        deformed = self.training and self.deform is not None
        q = self.encoder(self.deform(coefficients) if deformed else coefficients)
        c = q.rsample() if sample else q.loc
        return self._output(view, coefficients, q, c, sample)

    @torch.no_grad()
    def elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        """ELBO of images with the content that standard normal noise (B, D) makes, (B,), nats."""
        view = self.space.look(x, self._position(x, None))
        coefficients = self.coefficients(view)
        q = self.encoder(coefficients)
        noise, _ = from_latent(self.representation, noise)
        c = q.loc + q.log_scale.exp() * noise
        return self._output(view, coefficients, q, c, sample=False).elbo

    def _output(
        self, view: View, coefficients: Tensor, q: ContentPosterior, c: Tensor, sample: bool
    ) -> PoseVAEOutput:
        x, transfer = view.image, view.transfer
        score = self.inference.score(view, self.template(c), self.likelihood, self.prior.pose)
        size, variance = x[0].numel(), self.likelihood.variance
        error = 2 * variance * (self.likelihood.constant(x) - score.log_likelihood)
        return PoseVAEOutput(
            log_likelihood=score.log_likelihood,
            kl={"psi0": self.prior.content.kl(q, c), "pose": score.kl},
            squared_error=error.clamp(min=0, max=1e3 * size),
            infer=lambda: self.encode(x, transfer),
            draw=lambda posterior: posterior.rsample() if sample else posterior.mode,
            decode=lambda posterior, z: self._rendered(x, z, transfer),
            coefficients=coefficients,
            content=q,
        )

    def reconstruct(
        self, x: Tensor, posterior: PosedPosterior, transfer: Tensor | None = None
    ) -> Tensor:
        """Images at the mode of the posterior, with each image's own brightness, background and optics."""
        return self._rendered(x, posterior.mode, transfer)

    def content_of(
        self, x: Tensor, transfer: Tensor | None = None
    ) -> tuple[Tensor, ContentPosterior]:
        """Coefficients (B, C, dim) of images about their positions, and q(c | x), as training sees them."""
        view = self.space.look(x, self._position(x, transfer), transfer)
        coefficients = self.coefficients(view)
        return coefficients, self.encoder(coefficients)

    def log_prob(self, x: Tensor, z: Tensor, transfer: Tensor | None = None) -> Tensor:
        """log p(x | z) in nats, (B,)."""
        content, g = from_latent(self.representation, z)
        view = self.space.look(x, g[:, 2:], transfer)
        return self.likelihood.log_prob(view, self.template(content), g)

    def coefficients(self, view: View) -> Tensor:
        """What the encoder sees, (B, C, dim): without a varying background, the optics' signs undone."""
        flat = "background" in self.likelihood.nuisances
        a = self.space.coefficients(view.coordinates, flat=flat)
        if view.transfer is None:
            return a
        wiener = view.transfer / (view.transfer.square() + 0.1)  # for a signal-to-noise ratio of 10
        return self.space.coefficients(self.space.filter(self.space.extend(a), wiener))

    def _position(self, x: Tensor, transfer: Tensor | None) -> Tensor:
        """Where training looks from: the localiser's answer, mended by every pass but the last."""
        t = self.localiser(x)
        for _ in range(self.passes - 1):
            with torch.no_grad():
                t = self._seen(x, t, transfer, fine=False)[1].pose.mode[:, 2:]
        return t

    def _seen(
        self, x: Tensor, t: Tensor, transfer: Tensor | None, *, fine: bool
    ) -> tuple[View, PosedPosterior]:
        view = self.space.look(x, t, transfer)
        content = self.encoder(self.coefficients(view))
        template = self.template(content.loc)
        if not fine:
            pose = self.inference.infer(
                view, template, self.likelihood, self.prior.pose, fine=False
            )
            return view, PosedPosterior(self.representation, content, pose)
        exact = symmetrised(self.space, template, self.symmetry_tolerance)
        pose = self.inference.infer(view, exact.coordinates, self.likelihood, self.prior.pose)
        pose = pose.recentred(-exact.centre)
        return view, PosedPosterior(self.representation, content, pose)

    def _rendered(self, x: Tensor, z: Tensor, transfer: Tensor | None) -> Tensor:
        content, g = from_latent(self.representation, z)
        view = self.space.look(x, g[:, 2:], transfer)
        d = self.likelihood.fitted(view, self.template(content), g)
        return self.space.synthesise(self.space.turn(d, g[:, 1], g[:, 0]), g[:, 2:])
