"""Pooling over orientations: what is left is a scalar field, s(p) = max_a h(p, a), or the mean, or the norm.

A scalar field moves as an image does, [g s](p) = s(g^-1 p): it still turns with the object. What is gone is
the fibre, which said which way the object points at p. Pool late, after the pose has been read.
"""

from escnn.group import Representation
from escnn.nn import FieldType
from torch import Tensor, linalg

from eqvae.nn.fields.layer import FieldLayer, check_equal_fields, field_sizes


class _OverOrientations(FieldLayer):
    """Fields -> as many scalar fields, by an invariant of each fibre."""

    def __init__(self, field_type: FieldType, size: int):
        gspace = field_type.gspace
        scalars = FieldType(gspace, [gspace.trivial_repr] * len(field_type))
        super().__init__(field_type, size, out_type=scalars)
        self.fibre = check_equal_fields(field_type, type(self).__name__)

    def fibres(self, h: Tensor) -> Tensor:
        """(B, fields * fibre, H, H) to (B, fields, fibre, H, H)."""
        return h.unflatten(1, (-1, self.fibre))


class MaxOverOrientations(_OverOrientations):
    """The largest value of each function on a finite group, at every position.

    Args:
        field_type: values at the group's elements (regular fields of C_N and D_N).
        size: side of the grid, pixels.

    Raises:
        ValueError: if the fields are coefficients, whose largest means nothing.
    """

    def __init__(self, field_type: FieldType, size: int):
        super().__init__(field_type, size)
        check_values(field_type, "MaxOverOrientations", "NormOverOrientations")

    def forward(self, h: Tensor) -> Tensor:
        """(B, fields * |H|, H, H) to (B, fields, H, H)."""
        return self.fibres(h).amax(dim=2)


class MeanOverOrientations(_OverOrientations):
    """The mean of each function on the group, at every position.

    Args:
        field_type: regular fields of C_N and D_N, or band-limited functions on SO(2) and O(2), whose first
            coefficient is their mean.
        size: side of the grid, pixels.

    Raises:
        ValueError: if the fields are none of these.
    """

    def __init__(self, field_type: FieldType, size: int):
        super().__init__(field_type, size)
        self.first = not _are_values(field_type)
        if self.first and not all(map(_fixes_its_first, field_type.representations)):
            raise ValueError(
                "field_type must hold functions on the group for MeanOverOrientations, with a mean to keep; "
                f"got {_named(field_type)}. Use NormOverOrientations."
            )

    def forward(self, h: Tensor) -> Tensor:
        """(B, fields * fibre, H, H) to (B, fields, H, H)."""
        fibres = self.fibres(h)
        return fibres[:, :, 0] if self.first else fibres.mean(dim=2)


class NormOverOrientations(_OverOrientations):
    """The length of each field at every position, for representations that are orthogonal, as escnn's are.

    Args:
        field_type: of any kind, fields of one size.
        size: side of the grid, pixels.

    Raises:
        ValueError: if the fields differ in size.
    """

    def forward(self, h: Tensor) -> Tensor:
        """(B, fields * fibre, H, H) to (B, fields, H, H)."""
        return linalg.vector_norm(self.fibres(h), dim=2)


def check_values(field_type: FieldType, what: str, instead: str) -> None:
    """Refuse fields that the group mixes, where only values that it permutes can be compared.

    Raises:
        ValueError: if one is no scalar or regular field.
    """
    if not _are_values(field_type):
        raise ValueError(
            f"field_type must hold values that the group permutes for {what} (scalar or regular fields); got "
            f"{_named(field_type)}. Use {instead}."
        )


def _are_values(field_type: FieldType) -> bool:
    return all("pointwise" in r.supported_nonlinearities for r in field_type.representations)


def _fixes_its_first(representation: Representation) -> bool:
    """Whether the group leaves the first coordinate as it is: a one there, in an orthogonal matrix."""
    elements = representation.group.testing_elements()
    return all(abs(representation(g)[0, 0] - 1) < 1e-6 for g in elements)


def _named(field_type: FieldType) -> str:
    names = sorted({r.name for r in field_type.representations})
    return f"{', '.join(names)[:60]} of sizes {sorted(set(field_sizes(field_type)))}"
