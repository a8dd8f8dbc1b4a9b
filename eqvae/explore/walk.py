"""A walk from one object to another: content changes along a straight line, the pose stays.

    x(s) = D(g . ((1 - s) c_1 + s c_2)),    c_i the canonical content of q(z | x_i),  0 <= s <= 1

Contents are compared in the frame that the model's reader knows, so that nothing turns on the way.
"""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from eqvae.data.batch import Batch
from eqvae.distributions.posed import PosedPosterior, to_latent
from eqvae.distributions.posterior import Posterior
from eqvae.distributions.reader import place_of
from eqvae.drawing.tiles import panel, scale_of, stack
from eqvae.models.model import Model
from eqvae.symmetry.motions import identity, motion, shift_of, with_shift

_TILES = 9  # of the picture


@dataclass(frozen=True)
class ContentWalk:
    """Images on the way from one content to another.

    Attributes:
        ends: the two images, (2, C, H, H).
        content: (S, m), the first and the last those of the two images.
        pose: of all images on the way, (1, 4).
        images: (S, C, H, H).
    """

    ends: Tensor
    content: Tensor
    pose: Tensor
    images: Tensor


@torch.no_grad()
def content_walk(
    model: Model,
    batch: Batch,
    steps: int = 33,
    angle: float | None = None,
    shift: tuple[float, float] | None = None,
) -> ContentWalk:
    """From the content of one image to that of another.

    Args:
        model: in eval mode.
        batch: two images.
        steps: images on the way, both ends included, at least 2.
        angle: of all images, radians; None for that of the first image.
        shift: of all images, pixels; None for the position of the first image.

    Raises:
        ValueError: if there are not two images, or fewer than 2 steps.
    """
    if len(batch) != 2 or steps < 2:
        raise ValueError(
            f"a walk goes between two images in at least 2 steps; got {len(batch)} and {steps}."
        )
    q = model.encode(batch)
    ends, pose = q.content.loc, _pose(q)[:1]
    if angle is not None:
        pose = motion(angle, shift_of(pose), dtype=pose.dtype).to(pose)
    if shift is not None:
        pose = with_shift(pose, pose.new_tensor([shift]))
    way = torch.linspace(0, 1, steps).to(ends)[:, None]
    content = torch.lerp(ends[:1], ends[1:], way)
    images = model.decode(latent_of(q, content, pose.expand(steps, 4)))
    images = model.domain.to_pixels(images)
    return ContentWalk(model.domain.to_pixels(batch.image), content, pose, images)


def latent_of(q: Posterior, content: Tensor, g: Tensor) -> Tensor:
    """Latents (n, D) of objects of content (n, m), as `q.content` has it, at poses (n, 4)."""
    latent = q.representation
    if isinstance(q, PosedPosterior):
        still = to_latent(latent, content, identity(len(content)).to(content))
    else:
        still = content.new_zeros(len(content), latent.dim)
        still[:, latent.slices.vector] = content
    return latent.act(g, still)


def walk_picture(walk: ContentWalk, title: str) -> Image.Image:
    """The two images, and some of those on the way."""
    steps = len(walk.images)
    shown = torch.linspace(0, steps - 1, min(_TILES, steps)).round().long()
    ways = [f"{100 * i / (steps - 1):.0f} %" for i in shown.tolist()]
    size = scale_of(walk.ends.shape[-1])
    ends = panel([("", walk.ends)], "from, to", scale=size)
    return stack([ends, panel([("", walk.images[shown])], title, ways)])


def walk_frames(walk: ContentWalk) -> list[Image.Image]:
    """There and back again: frames of a GIF without end."""
    there = list(range(len(walk.images)))
    steps = len(there) - 1
    return [
        stack([panel([("", walk.images[i : i + 1])], f"{100 * i / steps:.0f} %")])
        for i in [*there, *there[-2:0:-1]]
    ]


def _pose(q: Posterior) -> Tensor:
    """The likeliest motions, (B, 4); turned by nothing where the latent tells no angle."""
    if q.has_pose:
        return q.pose.mode
    return place_of(q)[0]
