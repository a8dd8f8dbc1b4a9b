"""Steerable convolutions around exact disk harmonics; escnn's types stay inside this folder."""

from eqvae.nn.steerable.decoder import SteerableDecoder
from eqvae.nn.steerable.encoder import SteerableEncoder

__all__ = ["SteerableDecoder", "SteerableEncoder"]
