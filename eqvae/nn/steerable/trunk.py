"""The convolutional part of the steerable networks, with the layers that were handed to them."""

from collections.abc import Sequence

from escnn.nn import FieldType
from torch import nn

from eqvae.nn.fields.layer import FieldLayer, LayerPart, build_layer, build_layers
from eqvae.nn.steerable.blocks import SteerableConv, block, function_fields
from eqvae.symmetry.plane import PlaneMotions


def trunk(
    symmetry: PlaneMotions,
    in_type: FieldType,
    hidden_type: FieldType,
    out_type: FieldType,
    *,
    depth: int,
    kernel_size: int,
    size: int,
    pool: FieldLayer | None = None,
    layers: Sequence[LayerPart] = (),
) -> nn.Sequential:
    """[convolution, norm, SiLU, layers] x depth, convolution.

    Args:
        symmetry: of the fields.
        in_type, hidden_type, out_type: of what comes in, of what each convolution but the last makes, and
            of what comes out.
        depth: number of non-linear layers.
        kernel_size: of the convolutions.
        size: side of the grid that the layers live on, pixels.
        pool: from another grid to this one, behind the first non-linear layer.
        layers: constructors of layers that keep the grid.

    Raises:
        ValueError: if a layer can't treat the fields.
    """
    stack: list[nn.Module] = []
    for number in range(depth):
        step = block(symmetry, in_type, hidden_type, kernel_size)
        if pool is not None and number == 0:
            step.append(pool)
        made, in_type = build_layers(layers, hidden_type, size, "layers")
        stack.append(step.extend(made))  # weights keep their names with and without layers
    return nn.Sequential(*stack, SteerableConv(in_type, out_type, kernel_size))


def feature_pool(
    pool: LayerPart | None, symmetry: PlaneMotions, width: int, size: int, kernel_size: int
) -> FieldLayer | None:
    """The layer that makes features coarser, None without one.

    Raises:
        ValueError: if it can't treat them, changes their type, or leaves too few points for the kernels.
    """
    if pool is None:
        return None
    fields = function_fields(symmetry, width)
    layer = build_layer(pool, fields, size, "pool")
    if layer.out_type != fields:
        raise ValueError(
            "pool must keep the kind of its fields, which pooling over orientations does not. Put it into "
            "layers."
        )
    if layer.out_size < 2 * kernel_size:
        raise ValueError(
            f"pool must leave at least 2 * kernel_size = {2 * kernel_size} points a side; got "
            f"{layer.out_size} of {size}. Take a smaller stride or larger images."
        )
    return layer
