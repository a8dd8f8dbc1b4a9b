"""What a layer between feature fields is, and how a network builds the layers that it was handed.

A field of type rho moves as [g h](p) = rho(g) h(g^-1 p). A layer f obeys f(g h) = g f(h), where the types on
its two sides may differ: `in_type` and `out_type`.
"""

from collections.abc import Callable, Sequence

from escnn.nn import FieldType
from torch import nn

LayerPart = Callable[..., "FieldLayer"]  # (field_type, size) -> layer


class FieldLayer(nn.Module):
    """A layer on fields (B, channels, H, H) that keeps their symmetry.

    Args:
        in_type: of the fields that come in.
        size: H of the grid that they live on, pixels.
        out_type: of those that come out; the same if None.
        out_size: side of their grid; the same if None.
        step: distance of its points, in pixels of the grid that comes in; both share their centre.
    """

    def __init__(
        self,
        in_type: FieldType,
        size: int,
        *,
        out_type: FieldType | None = None,
        out_size: int | None = None,
        step: int = 1,
    ):
        super().__init__()
        self.in_type, self.out_type = in_type, out_type or in_type
        self.in_size, self.out_size = size, out_size or size
        self.step = step


def build_layer(part: LayerPart, field_type: FieldType, size: int, name: str) -> FieldLayer:
    """The layer that a part makes for these fields.

    Args:
        part: a constructor that waits for fields and size.
        field_type, size: of what comes in.
        name: of the argument, for messages.

    Raises:
        ValueError: if the part makes no layer of fields, or refuses these.
    """
    kind = getattr(part, "func", part)
    known = callable(part) and (not isinstance(kind, type) or issubclass(kind, FieldLayer))
    layer = part(field_type, size) if known else None
    if not isinstance(layer, FieldLayer):
        raise ValueError(
            f"{name} must be layers of eqvae.nn.fields that wait for their fields, such as "
            f"{{_target_: eqvae.nn.FieldDropout, _partial_: true, rate: 0.1}}; got {_said(part)}."
        )
    return layer


def build_layers(
    parts: Sequence[LayerPart], field_type: FieldType, size: int, name: str
) -> tuple[list[FieldLayer], FieldType]:
    """Layers one behind the other that keep the grid, and the type of what leaves the last of them.

    Raises:
        ValueError: as of `build_layer`, or if one changes the size of the grid.
    """
    layers = []
    for part in parts:
        layers.append(build_layer(part, field_type, size, name))
        if layers[-1].out_size != size:
            raise ValueError(
                f"{name} must keep the {size}x{size} grid; {_said(part)} makes it "
                f"{layers[-1].out_size}x{layers[-1].out_size}. Give a stride of 1 and a padding of half the "
                "window, or hand it to the encoder as its pool."
            )
        field_type = layers[-1].out_type
    return layers, field_type


def field_sizes(field_type: FieldType) -> list[int]:
    """Channels of each field."""
    return [representation.size for representation in field_type.representations]


def check_equal_fields(field_type: FieldType, what: str) -> int:
    """The number of channels that every field has.

    Raises:
        ValueError: if they differ.
    """
    sizes = set(field_sizes(field_type))
    if len(sizes) != 1:
        raise ValueError(
            f"field_type must hold fields of one size for {what}; got sizes {sorted(sizes)}. Treat each "
            "kind by a layer of its own."
        )
    return sizes.pop()


def _said(part: object) -> str:
    target = getattr(part, "func", part)
    return getattr(target, "__name__", None) or repr(target)[:80]
