"""Images as tiles on paper: titled panels of them, one below the other."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

INK, PAPER = (30, 30, 30), (255, 255, 255)
_GAP = 3  # pixels between tiles
_MARGIN = 12  # pixels around panels
_TEXT = 15  # pixels, height of the letters
_LABELS = 148  # pixels, width of the column of row labels


def scale_of(size: int) -> int:
    """How many screen pixels a pixel gets: tiles of about 140."""
    return max(2, round(140 / size))


def tile(image: Tensor, scale: int) -> Image.Image:
    """(C, H, H) in [0, 1] -> RGB, every pixel `scale` wide; three channels are colours."""
    image = image if len(image) == 3 else image.mean(dim=0, keepdim=True).expand(3, -1, -1)
    array = (image.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    array = np.repeat(np.repeat(array.cpu().numpy(), scale, axis=0), scale, axis=1)
    return Image.fromarray(array)


def panel(
    rows: list[tuple[str, Tensor]],
    title: str,
    heads: list[str] | None = None,
    scale: int | None = None,
) -> Image.Image:
    """A titled grid of images, one labelled row for each batch (B, C, H, H)."""
    size = rows[0][1].shape[-1]
    scale = scale or scale_of(size)
    step = size * scale + _GAP
    middle = size * scale // 2
    left = _LABELS if any(label for label, _ in rows) else _GAP
    top = 2 * _TEXT + (_TEXT + 6 if heads else 0)
    width = left + max(len(images) for _, images in rows) * step
    picture = Image.new("RGB", (width, top + len(rows) * step), PAPER)
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT - 3)
    draw.text((left, _TEXT), title, INK, font, anchor="lm")
    for column, head in enumerate(heads or []):
        x = left + column * step + middle
        draw.text((x, top - _TEXT // 2 - 2), head, INK, small, anchor="mm")
    for row, (label, images) in enumerate(rows):
        y = top + row * step
        draw.text((left - 10, y + middle), label, INK, font, anchor="rm")
        for column, image in enumerate(images):
            picture.paste(tile(image, scale), (left + column * step, y))
    return picture


def stack(panels: list[Image.Image]) -> Image.Image:
    """Panels one below the other."""
    width = max(panel.width for panel in panels) + 2 * _MARGIN
    height = sum(panel.height + _MARGIN for panel in panels) + _MARGIN
    picture, y = Image.new("RGB", (width, height), PAPER), _MARGIN // 2
    for part in panels:
        picture.paste(part, (_MARGIN, y))
        y += part.height + _MARGIN
    return picture


def is_coloured(picture: Image.Image) -> bool:
    array = np.asarray(picture).astype(int)
    return bool(np.ptp(array, axis=-1).max() > 2)
