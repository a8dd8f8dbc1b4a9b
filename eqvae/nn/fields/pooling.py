"""Pooling over positions inside each orientation channel, on grids that turn onto themselves.

    values (regular fields)      h'(q, a) = max_{p in window(q)} h(p, a)
    vectors (irreps, functions)  h'(q) = h(p*),  p* = argmax_{p in window(q)} |h(p)|

A quarter turn takes windows to windows only if their grid shares the centre of the pixels: with
(size + 2 padding - window) divisible by the stride. Of vectors only the length may be compared: which of
their components is largest depends on the axes.
"""

import torch.nn.functional as F
from escnn.nn import FieldType
from torch import Tensor

from eqvae.nn.fields.layer import FieldLayer, check_equal_fields
from eqvae.nn.fields.orientations import check_values


class _Pool(FieldLayer):
    def __init__(
        self, field_type: FieldType, size: int, window: int, stride: int | None, padding: int
    ):
        stride = window if stride is None else stride
        out_size = pooled_size(size, window, stride, padding)
        super().__init__(field_type, size, out_size=out_size, step=stride)
        self.window, self.padding = window, padding


class MaxPool(_Pool):
    """The largest value in each window, for every channel by itself: exact at quarter turns and mirrors.

    Args:
        field_type: values that the group permutes (scalar and regular fields).
        size: side of the grid, pixels.
        window: side of the windows, pixels.
        stride: from one window to the next, pixels; the window if None.
        padding: rows around the grid that windows may reach over, at most half a window.

    Raises:
        ValueError: if the fields are no values, or the windows' grid does not turn onto itself.
    """

    def __init__(
        self,
        field_type: FieldType,
        size: int,
        window: int = 3,
        stride: int | None = None,
        padding: int = 0,
    ):
        super().__init__(field_type, size, window, stride, padding)
        check_values(field_type, "MaxPool", "NormMaxPool")

    def forward(self, h: Tensor) -> Tensor:
        """(B, channels, size, size) to (B, channels, out_size, out_size)."""
        return F.max_pool2d(h, self.window, self.step, self.padding)


class NormMaxPool(_Pool):
    """The longest vector in each window, for every field by itself: exact at quarter turns and mirrors.

    Args:
        field_type: fields of one size, of any kind: irreps, functions on SO(2), regular ones.
        size, window, stride, padding: as of `MaxPool`.

    Raises:
        ValueError: if fields differ in size, or the windows' grid does not turn onto itself.
    """

    def __init__(
        self,
        field_type: FieldType,
        size: int,
        window: int = 3,
        stride: int | None = None,
        padding: int = 0,
    ):
        super().__init__(field_type, size, window, stride, padding)
        self.fibre = check_equal_fields(field_type, "NormMaxPool")

    def forward(self, h: Tensor) -> Tensor:
        """(B, channels, size, size) to (B, channels, out_size, out_size)."""
        fields = h.unflatten(1, (-1, self.fibre))
        squares = fields.square().sum(dim=2)
        _, longest = F.max_pool2d(
            squares, self.window, self.step, self.padding, return_indices=True
        )
        chosen = longest.flatten(2)[:, :, None].expand(-1, -1, self.fibre, -1)
        picked = fields.flatten(3).gather(3, chosen)
        return picked.unflatten(3, longest.shape[2:]).flatten(1, 2)


def pooled_size(size: int, window: int, stride: int, padding: int = 0) -> int:
    """Windows along a side, (size + 2 padding - window) / stride + 1.

    Raises:
        ValueError: if a count is none, the padding is too large, or the windows' grid is off the centre.
    """
    for name, count, least in (
        ("window", window, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
    ):
        if not isinstance(count, int) or isinstance(count, bool) or count < least:
            raise ValueError(f"{name} must be a whole number of pixels >= {least}; got {count!r}.")
    if 2 * padding > window:
        raise ValueError(
            f"padding must be at most half of window={window}; got {padding}. Use {window // 2}."
        )
    over = size + 2 * padding - window
    if over < 0:
        raise ValueError(
            f"window must be at most the {size + 2 * padding} pixels of the padded grid; got {window}."
        )
    rest = over % stride
    if rest:
        fitting = [n for n in (size - rest, size - rest + stride) if n + 2 * padding >= window]
        raise ValueError(
            f"window={window}, stride={stride} and padding={padding} leave {rest} of {size} pixels over, so "
            "that the windows don't turn onto each other: (size + 2 padding - window) must be divisible by "
            f"the stride. Use a size of {' or '.join(map(str, fitting))}."
        )
    return over // stride + 1
