"""Claims about pooling, dropout and dilation: what they keep, and what they take away.

The layers are those of `eqvae.nn.fields` and their controls, on fields of values on C4 or of vectors.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.claims.claim import Measured, claim
from eqvae.claims.draw import bars
from eqvae.claims.rows.layers import (
    C4,
    EXACT,
    SIZE,
    error,
    irreps,
    lifted,
    noise,
    one_draw,
    permuted,
    quarter,
    vectors,
)
from eqvae.domains.grid import pixel_coordinates
from eqvae.nn.fields import (
    FibreDropout,
    FieldDropout,
    MaxOverOrientations,
    MaxPool,
    NormMaxPool,
    NormOverOrientations,
)
from eqvae.nn.steerable.blocks import function_fields
from eqvae.testing import GaborScenes, controls, relative_error

SUBJECT = "Pooling, dropout, dilation"
FIELDS = function_fields(C4, 32)  # eight functions on C4
RATE = 0.3  # of dropout
DRAWS = 400


def pose_error(features: Tensor, orientations: int) -> float:
    """Mean error in degrees of turns that are read from the fibres at the centre of the image.

    Args:
        features: of an image turned by 0, 90, 180 and 270 degrees, in this order, (4, channels, H, H).
        orientations: channels of each function.

    Each turn is the one that moves the fibre of the first image best onto that of the other; turns that fit
    equally well are all guessed alike.
    """
    middle = features.shape[-1] // 2
    fibres = features[..., middle, middle].unflatten(1, (-1, orientations))
    total = 0.0
    for true, fibre in enumerate(fibres):
        moved = torch.stack([fibres[0].roll(turn, 1) for turn in range(4)])
        misfit = (moved - fibre).flatten(1).norm(dim=1)
        likely = (misfit <= misfit.min() + EXACT * fibre.norm()).nonzero()[:, 0]
        off = (likely - true + 2) % 4 - 2
        total += 90 * off.abs().double().mean().item()
    return total / len(fibres)


@claim(
    "12",
    subject=SUBJECT,
    title="The largest of the orientations",
    told="Taking the maximum over the orientation channels ends the equivariance.",
    found=(
        "What is left is a scalar field, which turns with the image exactly. What is gone is the "
        "fibre: the turn of an object is read from it without error before, and by guessing after; "
        "only of vectors does a maximum over components break the field itself."
    ),
    condition="if the pose is meant, which is lost; the scalar field stays equivariant",
)
def orientation_maximum(seed: int) -> Measured:
    """The scalar field's error, and the pose before and after."""
    _, lift = lifted(seed)
    x = noise(seed)
    scalar = MaxOverOrientations(function_fields(C4, 8), SIZE)
    turns = torch.cat([torch.rot90(x[:1], k, (-2, -1)) for k in range(4)])
    with torch.no_grad():
        before, after = pose_error(lift(turns), 4), pose_error(scalar(lift(turns)), 1)
    field = error(lambda x: scalar(lift(x)), x, quarter, quarter)
    h = noise(seed, channels=4)
    norm = error(NormOverOrientations(irreps(2), SIZE), h, vectors, quarter)
    mixed = error(controls.MaxOverChannels(), h, vectors, quarter)
    chance = 90.0  # the mean distance of two turns of C4
    return Measured(
        field,
        bound=EXACT,
        control=mixed,
        holds=field > EXACT,
        holds_if=before < 1 and abs(after - chance) < 1,
        others={
            "pose_error_before_degrees": before,
            "pose_error_after_degrees": after,
            "pose_error_chance_degrees": chance,
            "norm_of_vectors": norm,
        },
        draw=bars(
            {"max of orientations": field, "norm of vectors": norm, "max of components": mixed}
        ),
    )


@claim(
    "13",
    subject=SUBJECT,
    title="The largest in a window",
    told="Max-pooling over positions is fine as long as every orientation channel is pooled by itself.",
    found=(
        "On a grid whose windows turn onto each other it is exact. Where a row of pixels is left "
        "over, the windows of the turned image are others and the error is large even at 90 degrees; "
        "and of vectors the longest has to be chosen, for the largest component depends on the axes."
    ),
    condition="on grids that turn onto themselves, and of vectors by their length",
)
def spatial_maximum(seed: int) -> Measured:
    """Aligned and misaligned windows, components and lengths."""
    wide = noise(seed, channels=32)
    pairs = noise(seed, channels=4)
    found = {
        "33 by 3, aligned": error(MaxPool(FIELDS, SIZE, 3), wide, permuted, permuted),
        "32 by 3/2, off": error(
            controls.MaxPoolEverywhere(3, 2), wide[..., :-1, :-1], permuted, permuted
        ),
        "vectors by length": error(NormMaxPool(irreps(2), SIZE, 3), pairs, vectors, vectors),
        "vectors by component": error(controls.MaxPoolEverywhere(3, 3), pairs, vectors, vectors),
    }
    aligned, off, length, component = found.values()
    smooth = F.avg_pool2d(wide[..., :-1, :-1], 5, 1, 2)  # neighbours are alike, as in images
    return Measured(
        max(aligned, length),
        bound=EXACT,
        control=min(off, component),
        holds=off < EXACT and component < EXACT,
        holds_if=max(aligned, length) < EXACT,
        others={
            "misaligned": off,
            "misaligned_on_smooth_features": error(
                controls.MaxPoolEverywhere(3, 2), smooth, permuted, permuted
            ),
            "components_of_vectors": component,
        },
        draw=bars(found),
    )


def dropout_errors(seed: int) -> dict[str, dict[str, float]]:
    """Each kind of dropout in one draw: under turns of the image, and of the fibres alone."""
    h = noise(seed, channels=32)

    def fibre(h: Tensor) -> Tensor:
        return h.unflatten(1, (-1, 4)).roll(1, 2).flatten(1, 2)

    kinds = {
        "whole fields": FieldDropout(FIELDS, SIZE, RATE),
        "fibres": FibreDropout(FIELDS, SIZE, RATE),
        "single numbers": controls.ElementwiseDropout(RATE),
    }
    return {
        name: {
            "turns": error(one_draw(layer, seed), h, permuted, permuted),
            "fibres": error(one_draw(layer, seed), h, fibre, fibre),
            "mean": relative_error(mean_of_draws(layer, h[:1, :, :9, :9], seed), h[:1, :, :9, :9]),
        }
        for name, layer in kinds.items()
    }


def mean_of_draws(layer: nn.Module, h: Tensor, seed: int) -> Tensor:
    """The mean output of many draws."""
    return one_draw(layer, seed)(h.expand(DRAWS, -1, -1, -1)).mean(dim=0, keepdim=True)


@claim(
    "14",
    subject=SUBJECT,
    title="Dropping single numbers",
    told="Ordinary dropout makes holes in the fields that don't move with the image.",
    found=(
        "The same draw drops numbers of an image and of the turned image. Dropping single ones "
        "commutes with nothing, dropping a whole field at all its positions with every motion."
    ),
)
def plain_dropout(seed: int) -> Measured:
    """One draw of ordinary dropout and of whole fields."""
    found = dropout_errors(seed)
    whole, single = found["whole fields"]["turns"], found["single numbers"]["turns"]
    return Measured(
        whole,
        bound=EXACT,
        control=single,
        holds=whole < EXACT < single,
        ceiling=math.sqrt(2 * RATE),
        others={"single_numbers_on_fibres": found["single numbers"]["fibres"]},
        draw=bars({name: values["turns"] for name, values in found.items()}),
    )


@claim(
    "15",
    subject=SUBJECT,
    title="Dropping a whole fibre",
    told="Dropping all orientation channels of a position together keeps a layer equivariant.",
    found=(
        "A mask for each position commutes with turning the fibres where they are, but turning the "
        "image moves the positions and leaves the mask. One mask for all positions commutes with "
        "both; the mean over many draws hides the difference."
    ),
    condition="on the fibres alone; for turns of the image the mask has to be the same at all positions",
)
def fibre_dropout(seed: int) -> Measured:
    """A mask for each position, and one for all."""
    found = dropout_errors(seed)
    whole, fibres = found["whole fields"], found["fibres"]
    exact = max(whole["turns"], whole["fibres"], fibres["fibres"])
    return Measured(
        whole["turns"],
        bound=EXACT,
        control=fibres["turns"],
        holds=fibres["turns"] < EXACT,
        holds_if=exact < EXACT,
        others={
            "fibre_mask_on_fibres": fibres["fibres"],
            "field_mask_on_fibres": whole["fibres"],
            f"fibre_mask_mean_of_{DRAWS}": fibres["mean"],
        },
        draw=bars(
            {
                f"{name}, {how}": found[name][how]
                for name in ("whole fields", "fibres")
                for how in ("turns", "fibres")
            }
        ),
    )


def dilated_error(scale: float, seed: int) -> float:
    """|f_s(s x)(s p) - f(x)(p)| / |f(x)|: a dilated kernel on an enlarged image, where both have a pixel."""
    scenes = GaborScenes(8, seed, size=SIZE, band=0.3, dtype=torch.float64)
    kernel = noise(seed, size=5, images=4)
    points = pixel_coordinates(2 * SIZE + 1, 2 * SIZE + 1, dtype=torch.float64).reshape(-1, 2)
    images = [scenes.evaluate(points / s).unflatten(-1, (2 * SIZE + 1, -1)) for s in (1.0, scale)]
    with torch.no_grad():
        small = controls.Dilation(kernel)(images[0])
        large = controls.Dilation(kernel, scale)(images[1])
    middle, reach = SIZE, 12
    near = torch.arange(-reach, reach + 1, 2)  # s p lies on a pixel for s = 1, 1.5, 2
    far = (scale * near).round().long()
    return relative_error(
        large[..., middle + far[:, None], middle + far],
        small[..., middle + near[:, None], middle + near],
    )


@claim(
    "18",
    subject=SUBJECT,
    title="Kernels with holes",
    told="Dilating its kernels makes a convolution follow the scale of an image.",
    found=(
        "An image is enlarged as a formula and seen by the kernel with its taps as many times as far "
        "apart. Twice the size is exact; at one and a half times there is no such kernel, and the "
        "nearest one sees something else."
    ),
    condition="for whole-number scales",
)
def dilation(seed: int) -> Measured:
    """Scales of 2 and 1.5."""
    whole, between = dilated_error(2.0, seed), dilated_error(1.5, seed)
    return Measured(
        whole,
        bound=EXACT,
        control=between,
        holds=between < EXACT,
        holds_if=whole < EXACT,
        draw=bars({"twice": whole, "one and a half": between}),
    )
