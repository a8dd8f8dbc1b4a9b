"""Models: the parts wired together, from images to latents and back."""

from eqvae.models.model import ELBO, Model
from eqvae.models.pose_vae import ContentELBO, PoseVAE
from eqvae.models.vae import VAE, LatentELBO

__all__ = ["ELBO", "VAE", "ContentELBO", "LatentELBO", "Model", "PoseVAE"]
