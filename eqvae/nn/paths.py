"""Relaxed symmetry by paths: an equivariant network and beside it a plain one that no law binds.

    loc(x) = E_eq(x) + E_free(x),   log_scale alike,   D(z) = D_eq(z) + D_free(z)

The last layer of each free path is zero at the start, so that training begins equivariant; a prior on its
weights, `eqvae.losses.ResidualPenalty`, makes the data pay for what breaks the symmetry. As the free path
is a convolutional network, the sum can say what a plain model of its width can.

References: Finzi, Benton, Wilson, Residual pathway priors for soft equivariance constraints (2021),
https://arxiv.org/abs/2112.01388, there with both maps in every layer.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from eqvae.distributions import GaussianPosterior
from eqvae.nn.network import Wrapper
from eqvae.nn.plain import PlainDecoder, PlainEncoder


class FreePath(nn.Module):
    """A network whose last layer says how much of it is used; silent at the start.

    What the last layer reads is brought to one size, `gain` (root mean square over each image's features),
    so that its weights alone set how loud the path is, and a price on them can't be escaped by louder
    features.

    Args:
        network: any network with a linear layer or convolution `last`, which is set to zero.
        gain: size of what the last layer reads. Adam moves every weight by its rate; at a size of 1 that is
            too fast beside the equivariant path, at 0.1 the path comes too late.
    """

    def __init__(self, network: nn.Module, gain: float = 0.3):
        super().__init__()
        self.network = network
        self.gain = gain
        nn.init.zeros_(network.last.weight)
        nn.init.zeros_(network.last.bias)
        network.last.register_forward_pre_hook(partial(_to_size, gain))

    @property
    def freedom(self) -> int:
        """Number of weights of the last layer."""
        last = self.network.last
        return last.weight.numel() + last.bias.numel()

    def residual(self) -> Tensor:
        """gain^2 |W|^2 + |b|^2 of the last layer, zero where the path is silent."""
        last = self.network.last
        return self.gain**2 * last.weight.square().sum() + last.bias.square().sum()

    def size(self) -> Tensor:
        """Number of outputs: the residual over it is about the mean square that the path adds to each."""
        weight = self.network.last.weight
        return weight.new_tensor(float(len(weight)))

    def forward(self, x: Tensor) -> GaussianPosterior | Tensor:
        """What the network says."""
        return self.network(x)


class RelaxedEncoder(Wrapper):
    """q(z|x) of an equivariant encoder, moved and rescaled by a plain one.

    Args:
        encoder: the equivariant path.
        free: the plain path, with the same latent space.
    """

    inner = "encoder"

    def __init__(self, encoder: nn.Module, free: PlainEncoder):
        super().__init__()
        self.encoder = encoder
        self.free = FreePath(free)

    def forward(self, x: Tensor) -> GaussianPosterior:
        """The posterior of images (B, C, H, H)."""
        q, free = self.encoder(x), self.free(x)
        return replace(q, loc=q.loc + free.loc, log_scale=q.log_scale + free.log_scale)


class RelaxedDecoder(Wrapper):
    """Images of an equivariant decoder and a plain one, added.

    Args:
        decoder: the equivariant path.
        free: the plain path, with the same latent space.
    """

    inner = "decoder"

    def __init__(self, decoder: nn.Module, free: PlainDecoder):
        super().__init__()
        self.decoder = decoder
        self.free = FreePath(free)

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, H) of latents (B, D)."""
        return self.decoder(z) + self.free(z)


def _to_size(size: float, layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    (h,) = inputs
    square = h.flatten(1).square().mean(dim=1).view(-1, *[1] * (h.dim() - 1))
    return (size * h * torch.rsqrt(square + 1e-6),)
