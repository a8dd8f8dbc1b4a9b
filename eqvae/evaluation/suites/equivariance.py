"""Does the law f(g x) = g f(x) hold, and where does it break?"""

from eqvae.drawing.audit import layer_figure, polar_figure
from eqvae.drawing.pictures import orbit_picture
from eqvae.evaluation.findings import Findings
from eqvae.evaluation.held_out import HeldOut
from eqvae.metrics.equivariance.audit import SymmetryAudit
from eqvae.testing import GaussianScenes

PLACE = 30


def equivariance(held_out: HeldOut) -> Findings:
    """The symmetry audit: errors at every angle and of every layer."""
    n = min(len(held_out.batch), 16 if held_out.fast else 32)
    batch = held_out.batch[:n].to(held_out.device)
    x = batch.image
    domain = held_out.model.domain
    how = {"size": x.shape[-1], "channels": x.shape[1], "domain": domain}
    scenes = GaussianScenes(n, seed=held_out.seed, **how)
    audit = SymmetryAudit.of(held_out.model)
    found = audit.run(batch, scenes=scenes, preset=held_out.effort, seed=held_out.seed)
    one = held_out.batch[_asymmetric(held_out)].to(held_out.device)
    shown = {
        "Equivariance error at every angle": polar_figure(found),
        "Orbit of one image": orbit_picture(held_out.model, one),
    }
    if found.layers:
        shown["Equivariance error of the layers"] = layer_figure(found)
    ordered = dict(sorted(found.scores.items(), key=lambda item: item[0].count("/")))
    return Findings(ordered | found.layer_scores, shown)


def _asymmetric(held_out: HeldOut) -> slice:
    """The first image whose orbit can be seen, as a slice of one."""
    first = 0
    if isinstance(held_out.orders, dict):
        orders = [held_out.orders[int(c)] for c in held_out.labels]
        first = orders.index(1) if 1 in orders else 0
    return slice(first, first + 1)
