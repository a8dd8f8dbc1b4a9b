"""How large the objects in images are and on what ground they lie, to compare with what a model can draw."""

import torch
from torch import Tensor

from eqvae.domains.domain import Domain
from eqvae.domains.grid import border, pixel_coordinates

_BLACK = 0.02


def object_radius(
    images: Tensor, share: float = 0.98, domain: Domain | None = None
) -> float | None:
    """Radius about each object's centre that holds this share of the squares of all objects, pixels.

        sum_i sum_{|p - c_i| <= R} m_i(p)^2 = share sum_i sum_p m_i(p)^2,  c_i = sum_p m_i(p) p / sum_p m_i(p)

    with m the brightness above the background, which is the median b of the image's border, where it is
    more than four standard deviations of that border (1.48 of the median distance from b), 0 elsewhere.
    An image with fewer than 20 such pixels has no say: in strong noise they are not the object's.
    Where most images have none, neither has the answer any meaning.

    Args:
        images: (N, C, H, H); channels are averaged.
        share: of the squares, between 0 and 1.
        domain: where the images live; the square grid if None.

    Returns:
        The radius, to a tenth of a pixel; None where fewer than half of the images have a say.

    Raises:
        ValueError: if `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1; got {share}.")
    x = images.double().mean(dim=1)
    edge = border(x)
    ground = edge.median(dim=1, keepdim=True).values
    noise = 1.48 * (edge - ground).abs().median(dim=1, keepdim=True).values
    m = x.flatten(1) - ground
    above = m > 4 * noise
    clear = above.sum(dim=1) >= 20
    if clear.double().mean() < 0.5:
        return None
    m = torch.where(above, m, 0.0)[clear]
    if domain is None:
        points = pixel_coordinates(*x.shape[1:], dtype=x.dtype).flatten(0, 1)
    else:
        points = domain.points(dtype=x.dtype).flatten(0, 1)
    centre = (m @ points) / m.sum(dim=1, keepdim=True)
    tenths = ((points - centre[:, None]).norm(dim=2) * 10).long()
    squares = torch.bincount(tenths.flatten(), weights=m.square().flatten())
    held = squares.cumsum(dim=0)
    return float(torch.searchsorted(held, share * held[-1]) + 1) / 10


def ground(images: Tensor) -> list[float]:
    """The grey of the ground of images (N, C, H, W) by channel: the median of all images' borders.

    Below 0.02 it counts as black, 0.
    """
    edges = border(images).transpose(0, 1).flatten(1)
    grey = [round(float(level), 4) for level in edges.median(dim=1).values]
    return [level if level >= _BLACK else 0.0 for level in grey]
