"""What a peer gives back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PeerResult:
    """Content and pose of n test images, and what they cost.

    Attributes:
        content: description that should not depend on the pose, (n, D).
        angle: of the pose, radians counter-clockwise on screen, (n,); None if the peer has none. Where the
            zero lies is the peer's choice.
        shift: position of the object, pixels, x to the right and y up from the image centre, (n, 2).
        seconds: wall time of learning and of describing the test images; not of imports or of the ELBO.
        elbo: lower bound on log p(x) of each test image, nats, (n,), Gaussian likelihood.
        images_per_second: throughput of training; None if there is none to speak of.
        notes: settings, and what one has to know to read the numbers.
    """

    content: np.ndarray
    angle: np.ndarray | None
    shift: np.ndarray | None
    seconds: float
    elbo: np.ndarray | None
    images_per_second: float | None
    notes: str
