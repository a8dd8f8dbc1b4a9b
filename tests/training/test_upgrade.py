"""Models that eqvae 0.1 described come back with the same weights, for every family."""

from pathlib import Path
from typing import Any

import pytest
import torch

from eqvae.config import build
from eqvae.training.checkpoint import DESCRIPTION, load_vae, weights
from eqvae.training.upgrade import upgraded

SIZE = 33
LATENT = {
    "_target_": "eqvae.symmetry.LatentRepresentation",
    "multiplicities": [4, 2],
    "sign": 0,
    "position": True,
}
CONTENT = {**LATENT, "multiplicities": [4, 1]}
SO2 = {"_target_": "eqvae.symmetry.Symmetry", "rotations": None, "reflections": False}
IMAGES = {"image_size": SIZE, "channels": 1}
DISC = {**IMAGES, "degree": 12, "radius": None}
PRIOR = {
    "_target_": "eqvae.distributions.GaussianPrior",
    "representation": LATENT,
    "position_scale": 5.0,
}
LIKELIHOOD = {"_target_": "eqvae.distributions.GaussianLikelihood", "variance": 0.02}


def part(name: str, latent: dict[str, Any] = LATENT, **more: Any) -> dict[str, Any]:
    return {"_target_": f"eqvae.{name}", "representation": latent, "symmetry": SO2, **more}


def vae(encoder: dict[str, Any], decoder: dict[str, Any]) -> dict[str, Any]:
    return {
        "_target_": "eqvae.vae.VAE",
        "encoder": encoder,
        "decoder": decoder,
        "prior": PRIOR,
        "likelihood": LIKELIHOOD,
    }


PLAIN = [part(f"nn.Plain{side}", width=8, **IMAGES) for side in ("Encoder", "Decoder")]
HARMONIC = [part(f"nn.Harmonic{side}", hidden=8, **DISC) for side in ("Encoder", "Decoder")]
OLD = {
    "plain": vae(*PLAIN),
    "harmonic": vae(*HARMONIC),
    "steerable": vae(
        *(
            part(f"nn.Steerable{side}", maps=4, hidden=4, width=12, **IMAGES)
            for side in ("Encoder", "Decoder")
        )
    ),
    "canonicalised": vae(
        {
            "_target_": "eqvae.nn.CanonicalEncoder",
            "canonicaliser": {"_target_": "eqvae.nn.Canonicaliser", "localiser": None, **DISC},
            "encoder": PLAIN[0],
        },
        {"_target_": "eqvae.nn.CanonicalDecoder", "decoder": PLAIN[1]},
    ),
    "pose": {
        "_target_": "eqvae.posevae.PoseVAE",
        "encoder": part("pose.template.ContentEncoder", CONTENT, hidden=8, **DISC),
        "decoder": part("pose.template.TemplateDecoder", CONTENT, hidden=8, **DISC),
        "prior": {
            "_target_": "eqvae.priors.PosedPrior",
            "representation": CONTENT,
            "position_scale": 5.0,
            "content": {
                "_target_": "eqvae.priors.VampContent",
                "dim": 4,
                "components": 3,
                **DISC,
            },
        },
        "likelihood": {"_target_": "eqvae.pose.likelihood.TemplateLikelihood", "variance": 0.02},
        "localiser": {"_target_": "eqvae.nn.CentreOfMass", **IMAGES},
        "inference": {"_target_": "eqvae.pose.exact.ExactPose", "angles": 16, "fine_angles": 16},
        "deform": {"_target_": "eqvae.pose.deform.RandomDeformation", "image_size": SIZE},
    },
}


def checkpoint(folder: Path, description: dict[str, Any], state: dict[str, torch.Tensor]) -> Path:
    path = folder / "old.ckpt"
    about = {"eqvae_version": "0.1.0", "format": 1, "model": description}
    torch.save({DESCRIPTION: about, "state_dict": {f"vae.{k}": v for k, v in state.items()}}, path)
    return path


@pytest.mark.parametrize("family", OLD)
def test_a_checkpoint_of_format_1_loads(family, tmp_path):
    model = build(upgraded(OLD[family]), path="model").eval()
    again = load_vae(checkpoint(tmp_path, OLD[family], weights(model)))
    z = model.prior.sample(2)
    with torch.no_grad():
        torch.testing.assert_close(again.decode(z), model.decode(z), rtol=0, atol=0)
    assert again.image_shape == (1, SIZE, SIZE)


def test_the_basis_of_old_is_the_basis_of_new():
    harmonics = build(upgraded(HARMONIC[0])).harmonics
    assert (harmonics.domain.size, harmonics.degree, harmonics.channels) == (SIZE, 12, 1)


def test_a_part_that_is_gone_is_named(tmp_path):
    gone = vae(part("nn.Vanished", **IMAGES), PLAIN[1])
    with pytest.raises(ValueError, match=r"old.ckpt.* can't be rebuilt: .*nn.Vanished"):
        load_vae(checkpoint(tmp_path, gone, {}))
