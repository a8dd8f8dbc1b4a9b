"""The canonical decoder: x = R D(c) + t, where D(c) is a template about its centroid in a frame of its own.

    D(c) = r + d(c),    sum_i d_i = 0,    sum_i r_i x d_i = 0

The second condition (Eckart's) takes out of the deformation d whatever would turn the template: the rotation
that fits D(c) best to the reference r is none, so that the frame can't drift with the content. With mirror
images D(0e, -0o) is D(0e, 0o) reflected in the plane z = 0: x and y are even in the handedness, z is odd.
"""

import torch
from torch import Tensor, nn

from eqvae.symmetry.space_motions import SpaceMotions
from eqvae.symmetry.space_representations import SpaceRepresentation
from eqvae.three.points import Points
from eqvae.three.vae.encoder import check_atoms, check_symmetry
from eqvae.three.vae.posed import check_posed, from_latent, handed_signs


class CanonicalDecoder(nn.Module):
    """Latents (B, D) to structures (B, 1, N, 3).

    Args:
        domain: the atoms.
        representation: of the latent.
        symmetry: SE(3), or E(3) with mirror images.
        hidden: width of both layers.
        scale: typical coordinate, Angstrom; `start` measures it.
        anchored: whether the frame is held to the reference, see above.

    Raises:
        ValueError: if there are fewer than three atoms, or E(3) without a copy of 0o.
    """

    channels = 1

    def __init__(
        self,
        domain: Points,
        representation: SpaceRepresentation,
        symmetry: SpaceMotions = SpaceMotions(),
        hidden: int = 128,
        scale: float = 10.0,
        anchored: bool = True,
    ):
        super().__init__()
        check_posed(representation)
        check_atoms(domain)
        check_symmetry(symmetry)
        signs = handed_signs(representation)
        if symmetry.parity and bool((signs > 0).all()):
            raise ValueError(
                f"representation must have handedness 0o where mirror images count; got {representation}. "
                "Add such as 2x0o to latent.text, or set symmetry=se3."
            )
        if hidden < 1 or not scale > 0:
            raise ValueError(f"hidden and scale must be positive; got {hidden} and {scale}.")
        self.domain, self.representation, self.symmetry = domain, representation, symmetry
        self.anchored = anchored
        self.register_buffer("signs", signs, persistent=False)
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.register_buffer("started", torch.zeros(()))
        self.reference = nn.Parameter(torch.randn(domain.num_atoms, 3))  # in units of scale
        size = 3 * domain.num_atoms
        self.straight = nn.Linear(len(signs), size, bias=False)
        self.bent = nn.Sequential(
            nn.Linear(len(signs), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, size),
        )
        with torch.no_grad():
            self.straight.weight.mul_(0.1)
            self.bent[-1].weight.mul_(0.1)
            self.bent[-1].bias.zero_()

    def forward(self, z: Tensor) -> Tensor:
        content, g = from_latent(self.representation, z)
        return self.domain.act(g, self.template(content)[:, None])

    def template(self, content: Tensor) -> Tensor:
        """D(c) about its centroid, (B, N, 3)."""
        moved, reference = self._deformation(content), self.reference.expand(len(content), -1, -1)
        if self.symmetry.parity:
            other = self._deformation(content * self.signs)
            moved = torch.cat([(moved + other)[..., :2], (moved - other)[..., 2:]], dim=-1) / 2
            handed = content[:, self.signs < 0].mean(dim=1)[:, None, None]
            reference = torch.cat([reference[..., :2], reference[..., 2:] * handed], dim=-1)
        r, d = (part - part.mean(dim=1, keepdim=True) for part in (reference, moved))
        return self.scale * (r + (without_turn(r, d) if self.anchored else d))

    def _deformation(self, content: Tensor) -> Tensor:
        d = self.straight(content) + self.bent(content)
        return d.unflatten(1, (-1, 3))

    @torch.no_grad()
    def start(self, aligned: Tensor, scale: float) -> None:
        """Take the mean of structures (F, N, 3), laid upon each other, as the reference.

        The linear part of the deformation starts as their principal motions, the largest one first, each with
        the size that it has there; coordinates of content beyond them start at rest.
        """
        mean = aligned.mean(dim=0)
        centre = mean.mean(dim=0)
        self.scale.fill_(scale)
        self.reference.copy_((mean - centre) / scale)
        count = min(int((self.signs > 0).sum()), len(aligned) - 1)
        _, size, motions = torch.linalg.svd((aligned - mean).flatten(1), full_matrices=False)
        self.straight.weight.zero_()
        principal = motions[:count] * size[:count, None] / (scale * len(aligned) ** 0.5)
        self.straight.weight[:, :count] = principal.T
        self.started.fill_(1.0)


def without_turn(reference: Tensor, moved: Tensor) -> Tensor:
    """The deformations (B, N, 3) less the infinitesimal rotation in them: sum_i r_i x d_i = 0."""
    r, d = reference, moved
    about = r.mT @ d  # sum_i r_i d_i^T: the cross products are its antisymmetric part
    turning = torch.stack(
        [
            about[:, 1, 2] - about[:, 2, 1],
            about[:, 2, 0] - about[:, 0, 2],
            about[:, 0, 1] - about[:, 1, 0],
        ],
        dim=1,
    )
    square = r.mT @ r
    size = square.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    eye = torch.eye(3, dtype=r.dtype, device=r.device)
    inertia = (1 + 1e-6) * size * eye - square  # a rod has no third axis
    x, y, z = torch.linalg.solve(inertia, turning).unbind(dim=1)
    none = torch.zeros_like(x)
    transposed = torch.stack([none, z, -y, -z, none, x, y, -x, none], dim=1).reshape(-1, 3, 3)
    return d - r @ transposed  # omega x r_i
