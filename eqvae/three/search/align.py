"""One set of points laid upon another at unknown pose, without knowing which point is which."""

from dataclasses import replace

from torch import Tensor

from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_motions import with_translation
from eqvae.three.lift import Lift, centroid, reach, spanned
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
        target: (B, N, 3), Angstrom; or one set for all.
        moving: (B, M, 3), or one.
        target_weights: of each point in each channel, (N, C), such as `Points.channels`; None for one.
        moving_weights: (M, C).
        lmax: highest degree of the coefficients: finer, and more to compute.
        num_shells: radial functions.
        search: None for the best rotation alone.

    Returns:
        Elements of E(3), (B, k, 8), best first, with their scores.

    Raises:
        ValueError: as `Lift` and `RotationSearch`, or if points are not finite, or all lie in one place.

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
    _check(target, moving, lmax)
    count = max(len(target), len(moving))
    target, moving = (x.expand(count, -1, -1) for x in (target, moving))
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


def _check(target: Tensor, moving: Tensor, lmax: int) -> None:
    for name, points in (("target", target), ("moving", moving)):
        if points.dim() != 3 or points.shape[2] != 3 or 0 in points.shape:
            raise ValueError(
                f"{name} must be (B, N, 3) with at least one point; got {tuple(points.shape)}."
            )
        if not bool(points.isfinite().all()):
            raise ValueError(f"{name} must be finite; got NaN or infinity. Leave such points out.")
    if len(target) != len(moving) and 1 not in (len(target), len(moving)):
        raise ValueError(
            f"target and moving must be as many sets, or one of them one set; got {len(target)} and "
            f"{len(moving)}."
        )
    if not bool((spanned(target) > 0).any() | (spanned(moving) > 0).any()):
        raise ValueError(
            "target or moving must have points apart from each other, else no turn can be told; got sets in "
            "one place."
        )
    if lmax == 0:
        raise ValueError("lmax must be at least 1; got 0, of which every turn looks the same.")
