"""Descriptions of models that older versions wrote, told in today's words.

Format 1, of eqvae 0.1: parts in other modules, and every network with its own image_size, channels, degree
and radius. The weights have kept their names.
"""

import inspect
from typing import Any

from eqvae.config import TARGET, resolve

_MOVED = {
    "eqvae.vae.VAE": "eqvae.models.VAE",
    "eqvae.posevae.PoseVAE": "eqvae.models.PoseVAE",
    "eqvae.symmetry.Symmetry": "eqvae.symmetry.PlaneMotions",
    "eqvae.symmetry.LatentRepresentation": "eqvae.symmetry.Representation",
}
_MOVED_MODULES = {"eqvae.priors.": "eqvae.distributions.priors."}
_ARGUMENTS = {"eqvae.nn.SteerableEncoder": {"degree": "readout_degree"}}
_WITHOUT_SYMMETRY = ("eqvae.nn.PlainDecoder", "eqvae.pose.template.TemplateDecoder")
_BASIS = (
    "channels",
    "degree",
    "radius",
)  # what networks on disk harmonics were told beside the size


def upgraded(model: Any) -> Any:
    """The description of a model by format 1 as one by format 2: nested dicts, lists and numbers.

    Raises:
        ValueError: if it names a part that is no longer there.
    """
    if isinstance(model, list):
        return [upgraded(part) for part in model]
    if not isinstance(model, dict):
        return model
    node = {key: upgraded(part) for key, part in model.items()}
    if TARGET not in node:
        return node
    node[TARGET] = _moved(node[TARGET])
    names = _ARGUMENTS.get(node[TARGET], {})
    node = {names.get(key, key): part for key, part in node.items()}
    if node[TARGET] in _WITHOUT_SYMMETRY:
        node.pop("symmetry", None)
    if "image_size" in node:
        domain = {TARGET: "eqvae.domains.SquareGrid", "size": node.pop("image_size")}
        accepted = inspect.signature(resolve(node[TARGET], ("eqvae.",))).parameters
        if "harmonics" in accepted:
            told = {key: node.pop(key) for key in _BASIS if key in node}
            node["harmonics"] = {TARGET: "eqvae.nn.DiskHarmonics", "domain": domain, **told}
        else:
            node["domain"] = domain
    return node


def _moved(target: str) -> str:
    for old, new in _MOVED_MODULES.items():
        if str(target).startswith(old):
            return new + target.removeprefix(old)
    return _MOVED.get(target, target)
