"""One set of points laid upon another at unknown pose, without knowing which point is which."""

from dataclasses import replace

from torch import Tensor

from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_motions import with_translation
from eqvae.three.lift import Lift, centroid, reach
from eqvae.three.search.poses import Poses
from eqvae.three.search.rotations import RotationSearch


def align(
    target: Tensor,
    moving: Tensor,
    target_weights: Tensor | None = None,
    moving_weights: Tensor | None = None,
    *,
    lmax: int = 12,
    num_shells: int = 10,
    search: RotationSearch | None = None,
) -> Poses:
    """The motions that bring sets of points onto others: centroid on centroid, and the best rotations.

    Args:
        target: (B, N, 3), Angstrom.
        moving: (B, M, 3).
        target_weights: of each point in each channel, (N, C), such as `Points.channels`; None for one.
        moving_weights: (M, C).
        lmax: highest degree of the coefficients: finer, and more to compute.
        num_shells: radial functions.
        search: None for the best rotation alone.

    Returns:
        Elements of E(3), (B, k, 8), best first, with their scores.

    Raises:
        ValueError: as `Lift` and `RotationSearch`.

    Example:
        >>> import torch
        >>> from eqvae.symmetry import SpaceMotions
        >>> points = torch.randn(1, 30, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> g = SpaceMotions().sample(1, shift=9.0).double()
        >>> found = align(SpaceMotions().act(g, points), points).best
        >>> bool(
        ...     (SpaceMotions().act(found, points) - SpaceMotions().act(g, points)).abs().max()
        ...     < 1e-5
        ... )
        True
    """
    target, moving = target.double(), moving.double()
    of_target, of_moving = centroid(target), centroid(moving)
    target, moving = target - of_target, moving - of_moving
    lift = Lift.covering(max(reach(target), reach(moving)), num_shells, lmax)
    search = RotationSearch() if search is None else search
    found = search(lift(target, target_weights), lift(moving, moving_weights))
    turns = found.elements
    k = turns.shape[-2]
    flat = turns.flatten(0, -2)
    moved = SpaceRotations(parity=True).act(flat, of_moving.repeat_interleave(k, dim=0)[:, 0])
    shift = of_target[:, 0].repeat_interleave(k, dim=0) - moved
    return replace(found, elements=with_translation(flat, shift).unflatten(0, (-1, k)))
