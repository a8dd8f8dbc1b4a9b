"""What others would use for content and pose, each behind the same call.

    fit_transform(train, val, test, *, seed, **budget) -> PeerResult

Images are (N, C, H, H) float32 in [0, 1]. Every peer learns from `train`, may look at `val`, and describes
`test`; none sees a label or a pose. The peers, cheapest first:

    power_spectrum   angular magnitudes of the power spectrum: the cheap invariant
    zernike          magnitudes of Zernike moments, by mahotas
    aligned_kmeans   images aligned to class averages in turns: classical 2-D classification
    plain_vae        an ordinary VAE trained on moved images: invariance by augmentation
    pyroved_peer     rotationally and translationally invariant VAE of pyroVED

mahotas and pyroVED live in an environment of their own: `python peers/environment.py FOLDER` makes it, and
`python=` names its interpreter. `published.json` holds numbers that are quoted, not measured.
"""

from .result import PeerResult

__all__ = ["PeerResult"]
