"""Latents of content, upright and in the middle."""

from torch import Tensor

from eqvae.distributions.posed import to_latent
from eqvae.symmetry.motions import identity
from eqvae.symmetry.representations import Representation


def upright_latents(representation: Representation, content: Tensor) -> Tensor:
    """Latents (B, D) of content (B, m) as embeddings have it, where no motion has moved the object yet.

    Moved by the pose that the embedding says they are the latents of the images.
    """
    if content.shape[1] == representation.vector.dim:  # all of v, with its pose undone
        z = content.new_zeros(len(content), representation.dim)
        z[:, representation.slices.vector] = content
        return z
    return to_latent(representation, content, identity(len(content)).to(content))
