"""Where forces come from: the switch between a law that is built in, asked for, or left out.

    GradientForces          F = -dE/dx of an invariant energy: no curl, whatever the weights are        hard
    DirectForces            F_i = sum_c w_c(s_i) v_ic, with `CurlPenalty` in training                   soft
    DirectForces            the same without it                                                         none

A force has no curl if its Jacobian dF/dx is symmetric; then it does no work around any closed path.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqvae.three.energy.frames import check_positions
from eqvae.three.energy.network import Described, PairNetwork, PlainNetwork


@dataclass(frozen=True)
class Predicted:
    """Energies and forces of conformations.

    Attributes:
        forces: (B, N, 3), eV/Angstrom.
        energies: (B,), eV; None of a model that has no energy.
    """

    forces: Tensor
    energies: Tensor | None


class GradientForces(nn.Module):
    """E = sum_i w . silu(W s_i), F = -dE/dx.

    Args:
        width: F, scalars of an atom.
        hidden: width of its hidden layer.
    """

    vectors = False

    def __init__(self, width: int, hidden: int = 48):
        super().__init__()
        self.energy = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, 1, bias=False)
        )

    def forward(self, network: nn.Module, positions: Tensor) -> Predicted:
        with torch.enable_grad():
            x = positions if positions.requires_grad else positions.detach().requires_grad_(True)
            energies = self.energy(network(x).scalars).sum(dim=(1, 2))
            further = self.training or positions.requires_grad  # somebody differentiates the forces
            (slope,) = torch.autograd.grad(energies.sum(), x, create_graph=further)
        return Predicted(-slope, energies if further else energies.detach())


class DirectForces(nn.Module):
    """F_i = sum_c w_c(s_i) v_ic: a vector for each atom, of no energy.

    Args:
        width: F, scalars of an atom.
        channels: C, vectors of an atom.
        hidden: width of the hidden layer of w.
    """

    vectors = True

    def __init__(self, width: int, channels: int, hidden: int = 24):
        super().__init__()
        self.weights = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, channels)
        )

    def forward(self, network: nn.Module, positions: Tensor) -> Predicted:
        described: Described = network(positions)
        weights = self.weights(described.scalars)[:, :, None]
        return Predicted((weights * described.vectors).sum(-1), None)


class ForceField(nn.Module):
    """A network and a way to forces, in units of the data it was fitted to.

    Args:
        network: describes atoms, with vectors if `forces` takes them.
        forces: makes energies and forces of that.

    Raises:
        ValueError: if the network has no vectors and `forces` takes them, or the other way round.
    """

    def __init__(self, network: PairNetwork | PlainNetwork, forces: GradientForces | DirectForces):
        super().__init__()
        if network.vectors != forces.vectors:
            raise ValueError(
                f"vectors of the network must be {forces.vectors} for {type(forces).__name__}; got "
                f"{network.vectors}."
            )
        self.network, self.forces = network, forces
        self.register_buffer("scale", torch.tensor(1.0))  # eV/Angstrom and eV
        self.register_buffer("shift", torch.tensor(0.0, dtype=torch.float64))  # eV

    @property
    def elements(self) -> tuple[str, ...]:
        return self.network.elements

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def forward(self, positions: Tensor) -> Predicted:
        """Energies without the shift, which float32 could not hold beside their differences."""
        found = self.forces(self.network, positions)
        energies = None if found.energies is None else self.scale * found.energies
        return Predicted(self.scale * found.forces, energies)

    def predict(self, positions: Tensor, at_once: int = 200) -> Predicted:
        """Energies and forces of positions (B, N, 3), in float64 whatever the weights are, without gradients.

        Raises:
            ValueError: if positions have another number of atoms, are not finite or coincide.
        """
        check_positions(positions, self.elements)
        was, like = self.training, self.scale
        self.eval()
        with torch.no_grad():
            parts = [self(x.to(like)) for x in positions.split(at_once)]
        self.train(was)
        forces = torch.cat([part.forces for part in parts]).detach().double()
        if parts[0].energies is None:
            return Predicted(forces, None)
        energies = torch.cat([part.energies for part in parts]).detach().double()
        return Predicted(forces, energies + self.shift.double())


def force_field(
    kind: str, elements: tuple[str, ...], width: int = 48, channels: int = 16, seed: int = 0
) -> ForceField:
    """Force fields of nearly equal size, drawn from a seed.

    Args:
        kind: "gradient", "direct", "plain gradient" or "plain direct"; the last two know no symmetry.
        elements: chemical symbol of each atom.
        width, channels: of the networks with symmetry; plain ones get as many parameters.
        seed: of the weights.

    Raises:
        ValueError: for another kind.
    """
    kinds = ("gradient", "direct", "plain gradient", "plain direct")
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}; got {kind!r}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = kind.endswith("direct")
        made = _with_symmetry(elements, width, channels, vectors)
        return _plain(elements, vectors, made.num_parameters) if "plain" in kind else made


def _with_symmetry(
    elements: tuple[str, ...], width: int, channels: int, vectors: bool
) -> ForceField:
    network = PairNetwork(elements, width, channels, vectors=vectors)
    if not vectors:
        return ForceField(network, GradientForces(width, hidden=width))
    energy = width * (width + 2)  # what the energy has; the vectors' gates have C (F + 1) already
    hidden = round((energy - channels * (width + 2)) / (width + channels + 1))
    return ForceField(network, DirectForces(width, channels, max(1, hidden)))


def _plain(elements: tuple[str, ...], vectors: bool, size: int) -> ForceField:
    """The widest one that is no larger."""

    def of(hidden: int) -> ForceField:
        network = PlainNetwork(elements, hidden=hidden, vectors=vectors)
        head = (
            DirectForces(network.width, network.channels)
            if vectors
            else GradientForces(network.width)
        )
        return ForceField(network, head)

    hidden = 8
    while of(hidden + 1).num_parameters <= size:
        hidden += 1
    return of(hidden)


def frozen(model: ForceField) -> ForceField:
    """The model in float64 without parameters to train, for audits; a copy."""
    made = copy.deepcopy(model).double().eval()
    return made.requires_grad_(False)
