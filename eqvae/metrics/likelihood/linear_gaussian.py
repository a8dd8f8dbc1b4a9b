"""A latent model whose evidence and posterior are known exactly: the oracle for likelihood bounds.

    z ~ N(0, I),   x | z ~ N(W z + b, s^2 I)
    =>   x ~ N(b, W W^T + s^2 I),   z | x ~ N(S W^T (x - b) / s^2, S),   S = (I + W^T W / s^2)^-1

With the exact posterior every log weight equals log p(x), so that one draw gives the evidence; with a
shifted and stretched one the bound falls short, less and less with the number of draws.

Reference: Bishop, Pattern recognition and machine learning (2006), section 12.2.
"""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal


class LinearGaussian:
    """Images drawn from a random linear-Gaussian model, in float64.

    Args:
        latent: dimension of z.
        pixels: dimension of x.
        images: how many.
        sigma: s.
        seed: of the model, the images and all draws.

    Example:
        >>> model = LinearGaussian()
        >>> bool((model.log_weights(1) - model.evidence).abs().max() < 1e-10)
        True
    """

    def __init__(
        self, latent: int = 2, pixels: int = 5, images: int = 50, sigma: float = 0.5, seed: int = 0
    ):
        self._generator = torch.Generator().manual_seed(seed)
        self.weight, self.bias, self.sigma = (
            self._normal(pixels, latent),
            self._normal(pixels),
            sigma,
        )
        clean = self._normal(images, latent) @ self.weight.T + self.bias
        self.images = clean + sigma * self._normal(images, pixels)
        precision = torch.eye(latent, dtype=torch.float64) + self.weight.T @ self.weight / sigma**2
        self.covariance = torch.linalg.inv(precision)
        self.means = (self.images - self.bias) @ self.weight @ self.covariance / sigma**2

    @property
    def evidence(self) -> Tensor:
        """log p(x) of every image, nats, (images,)."""
        noise = self.sigma**2 * torch.eye(len(self.bias), dtype=torch.float64)
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + noise).log_prob(
            self.images
        )

    def log_weights(self, k: int, shift: float = 0.0, stretch: float = 1.0) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) of k draws of every image, nats, (k, images).

        Args:
            k: draws.
            shift: added to every coordinate of the exact posterior's mean.
            stretch: factor of its standard deviations.
        """
        q = MultivariateNormal(self.means + shift, self.covariance * stretch**2)
        z = q.mean + self._normal(k, *q.mean.shape) @ q.scale_tril[0].T
        likelihood = Normal(z @ self.weight.T + self.bias, self.sigma).log_prob(self.images)
        return likelihood.sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64)
