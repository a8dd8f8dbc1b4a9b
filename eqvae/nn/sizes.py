"""Which image sizes a network can treat, checked before anything is built.

A grid of n pixels maps to itself under quarter turns about its centre, so every coarser grid must share
that centre: odd n keeps every second point, (n + 1) / 2 of them, and even n the midpoints of pairs, n / 2.
Halving k times exactly therefore takes n = 2^k m, or odd sizes all the way, n = 2^k m + 1; one change from
even to odd (50 -> 25 -> 13) is fine too, each grid being centred.
"""


def coarser(size: int) -> int:
    """Points of the half-resolution grid with the same centre: (n + 1) / 2 for odd n, n / 2 for even."""
    return (size + 1) // 2


def check_plain_size(image_size: int, channels: int, width: int) -> None:
    """Refuse images that three halvings would leave without structure.

    Raises:
        ValueError: if image_size < 16, channels < 1 or width < 1.
    """
    _check_counts(channels=channels, width=width)
    if image_size < 16:
        raise ValueError(
            f"image_size must be at least 16 for a network that halves three times; got {image_size}. "
            f"Pad the images to 16 or more."
        )


def check_steerable_size(image_size: int, channels: int, kernel_size: int, **counts: int) -> None:
    """Refuse images and kernels that a steerable network can't treat exactly.

    Raises:
        ValueError: if a kernel is even or too small for its harmonics, or the half-resolution grid is
            smaller than two kernels.
    """
    _check_counts(channels=channels, **counts)
    if kernel_size % 2 == 0 or kernel_size < 5:
        raise ValueError(
            f"kernel_size must be odd, to have a centre pixel, and at least 5, to hold the angular "
            f"frequencies of the features; got {kernel_size}. Use 5 or 7."
        )
    smallest = 4 * kernel_size
    if image_size < smallest:
        raise ValueError(
            f"image_size must be at least 4 * kernel_size = {smallest} for a steerable network at half "
            f"resolution; got {image_size}. Pad the images to {smallest} or more."
        )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number >= 1; got {count!r}.")
