"""Group convolutions on a lattice: regular fields of C6 on hexagonal points, of C4 on square ones.

A field has one map for each orientation s of the n turns that keep the lattice, (B, C, n, H, H), and moves by

    (g f)(s, p) = f(s - 1, R^-1 p)    for one step g of the group, R its turn.

    lifting  f(s, p) = sum_u psi(R^-s u) x(p + u)
    group    h(s, p) = sum_t sum_u psi(t - s, R^-s u) f(t, p + u)

both commute with it. A turned kernel is the same numbers at other neighbours: 6 around a point and 12
around those on hexagonal points, so that nothing is interpolated. On other angles than the group's they are
as wrong as the lattice is coarse.

Reference: Hoogeboom, Peters, Cohen, Welling: HexaConv (2018), https://arxiv.org/abs/1803.02108, sections 4
and 5.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqvae.domains import HexagonalGrid, SquareGrid
from eqvae.domains.lattice import TURN, steps_from_middle
from eqvae.symmetry.motions import motion

_QUARTER = ((0, -1), (1, 0))  # (x, y) -> (-y, x)


class LatticeConvolution(nn.Module):
    """What lifting and group convolutions share: the neighbours of a point, and where turns take them.

    Args:
        domain: of the images; it says which turns there are.
        steps: the kernel reaches so many neighbours far: 1 (7 points, 9 on square ones) or 2 (19, 25).

    Attributes:
        order: n, turns of the group.

    Raises:
        ValueError: if steps is not 1 or 2.
    """

    def __init__(self, domain: HexagonalGrid | SquareGrid, steps: int = 1):
        super().__init__()
        if steps not in (1, 2):
            raise ValueError(
                f"steps must be 1 or 2, how many neighbours a kernel reaches; got {steps!r}."
            )
        hexagonal = isinstance(domain, HexagonalGrid)
        self.order, self.steps = (6, steps) if hexagonal else (4, steps)
        offsets = _neighbours(steps, hexagonal)
        turned = _turns(offsets, TURN if hexagonal else _QUARTER, self.order)
        inside = domain.hexagon() if hexagonal else torch.ones(domain.shape)
        self.num_points = len(offsets)
        self.register_buffer(
            "turned", turned, persistent=False
        )  # (n, K): R^-s u_k is u_turned[s, k]
        # a place in the kernel's array: rows run down
        places = (steps - offsets[:, 1]) * (2 * steps + 1) + offsets[:, 0] + steps
        self.register_buffer("places", places, persistent=False)
        # beyond the hexagon there is nothing that a turn could bring
        self.register_buffer("inside", inside, persistent=False)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Maps (B, I, H, H) and kernels (O, n, I, K), biases (O,) -> fields (B, O, n, H, H)."""
        outputs, width = weight.shape[0], 2 * self.steps + 1
        kernels = weight.new_zeros(outputs * self.order, x.shape[1], width * width)
        kernels = kernels.index_copy(2, self.places, weight.flatten(0, 1))
        kernels = kernels.unflatten(2, (width, width))
        bias = bias.repeat_interleave(self.order)
        out = F.conv2d(x, kernels, bias, padding=self.steps) * self.inside
        return out.unflatten(1, (outputs, self.order))


class LiftingConvolution(LatticeConvolution):
    """Images (B, I, H, H) -> regular fields (B, O, n, H, H): f(g x) = g f(x) for the turns of the lattice.

    Args:
        domain, steps: as of `LatticeConvolution`.
        in_channels: of the images.
        out_channels: of the fields.
    """

    def __init__(
        self,
        domain: HexagonalGrid | SquareGrid,
        in_channels: int,
        out_channels: int,
        steps: int = 1,
    ):
        super().__init__(domain, steps)
        scale = 1 / math.sqrt(in_channels * self.num_points)
        self.weight = nn.Parameter(scale * torch.randn(out_channels, in_channels, self.num_points))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.weight[:, :, self.turned].movedim(2, 1)  # (O, n, I, K)
        return self.convolved(x * self.inside, kernels, self.bias)


class GroupConvolution(LatticeConvolution):
    """Regular fields (B, I, n, H, H) -> regular fields (B, O, n, H, H): f(g h) = g f(h).

    Args: as of `LiftingConvolution`.
    """

    def __init__(
        self,
        domain: HexagonalGrid | SquareGrid,
        in_channels: int,
        out_channels: int,
        steps: int = 1,
    ):
        super().__init__(domain, steps)
        scale = 1 / math.sqrt(in_channels * self.order * self.num_points)
        shape = (out_channels, in_channels, self.order, self.num_points)
        self.weight = nn.Parameter(scale * torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        s = torch.arange(self.order)
        self.register_buffer("shifted", (s - s[:, None]) % self.order, persistent=False)  # t - s

    def forward(self, f: Tensor) -> Tensor:
        kernels = torch.stack(
            [
                self.weight[:, :, shifted][..., turned]
                for shifted, turned in zip(self.shifted, self.turned, strict=True)
            ],
            dim=1,
        )  # (O, n, I, n, K)
        return self.convolved(f.flatten(1, 2), kernels.flatten(2, 3), self.bias)


def turned_field(f: Tensor, steps: int, domain: HexagonalGrid | SquareGrid) -> Tensor:
    """g f for regular fields (B, C, n, H, H): orientations go on by so many steps, and maps turn by them."""
    order = f.shape[2]
    g = motion(angle=2 * math.pi * steps / order, dtype=f.dtype).expand(len(f), -1)
    return domain.act(g, f.flatten(1, 2)).view_as(f).roll(steps, dims=2)


def _neighbours(steps: int, hexagonal: bool) -> Tensor:
    """Offsets on the lattice that a kernel reaches, (K, 2)."""
    axis = torch.arange(-steps, steps + 1)
    offsets = torch.cartesian_prod(axis, axis)
    return offsets[steps_from_middle(offsets) <= steps] if hexagonal else offsets


def _turns(offsets: Tensor, turn: tuple[tuple[int, int], ...], order: int) -> Tensor:
    """Which offset each one comes from under so many turns, (order, K)."""
    back, rows = torch.tensor(turn).double().inverse().round().long(), []
    moved = offsets
    for _ in range(order):
        rows.append((moved[:, None] == offsets).all(dim=2).long().argmax(dim=1))
        moved = moved @ back.T
    return torch.stack(rows)
