"""What a convolutional network can be built for, checked before anything is built.

Halving keeps a grid's centre: (n + 1) / 2 points of n pixels for odd n, n / 2 for even n. Strided
convolutions with padding keep it for odd n only; `GaussianResample` does for every n, so that the
steerable networks are exact at quarter turns for any square image that is large enough.
"""

from eqvae.domains import Domain, HexagonalGrid, SquareGrid


def coarser(size: int) -> int:
    """Points of the half-resolution grid: (n + 1) / 2 for odd n, n / 2 for even n."""
    return (size + 1) // 2


def check_plain_size(domain: SquareGrid | HexagonalGrid, channels: int, width: int) -> None:
    """Refuse images that three halvings would leave without structure.

    Raises:
        ValueError: if their side is below 16 pixels, or channels or width is not a whole number >= 1.
    """
    _check_counts(channels=channels, width=width)
    _check_side(domain, 16, "16 for a network that halves three times")


def check_steerable_size(domain: Domain, channels: int, kernel_size: int, **counts: int) -> None:
    """Refuse images and kernels that a steerable network can't treat.

    Args:
        domain: of the images.
        channels: of the images.
        kernel_size: of the convolutions.
        counts: other settings that must be whole numbers >= 1, by name.

    Raises:
        ValueError: if the images are on no square grid, a kernel is even or too small for the features'
            angular frequencies, the image is below two kernels at half resolution, or a count is not a
            whole number >= 1.
    """
    if isinstance(domain, HexagonalGrid):
        raise ValueError(
            "domain must be a SquareGrid for a steerable network, whose kernels are made for square "
            "pixels; got "
            "a HexagonalGrid. Use domain=square, or model=harmonic, pose, canonicalised or plain."
        )
    _check_counts(channels=channels, **counts)
    if not isinstance(kernel_size, int) or kernel_size % 2 == 0 or kernel_size < 5:
        raise ValueError(
            f"kernel_size must be odd, to have a centre pixel, and at least 5, to hold the angular "
            f"frequencies of the features; got {kernel_size!r}. Use 5 or 7."
        )
    smallest = 4 * kernel_size
    _check_side(domain, smallest, f"4 * kernel_size = {smallest} for a steerable network")


def _check_side(domain: SquareGrid | HexagonalGrid, smallest: int, reason: str) -> None:
    if domain.size < smallest:
        raise ValueError(
            f"domain must have a size of at least {reason}; got {domain.size}. Pad the images to "
            f"{smallest} or more."
        )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number >= 1; got {count!r}.")
