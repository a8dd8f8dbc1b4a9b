"""The suites of an evaluation: which scores the data allow, from one shared `HeldOut`.

    suite              needs                       answers
    likelihood         nothing                     how well does the model explain held-out images?
    generation         nothing                     do reconstructions and samples look like the data?
    equivariance       nothing                     does the law f(g x) = g f(x) hold, and where does it break?
    pose               an angle in the latent;     how far off is the pose, and does it know?
                       true poses for errors
    segmentation       a model with masks;         does it know which pixels are the object, and
                       true masks for Dice         does its mask move with the object?
    content            nothing; true poses for     does content ignore pose?
                       the leak
    clustering         labels                      do classes fall out of the content?
    disentanglement    two known factors           does each irrep block carry its own factor?

A suite is a module of this package with a function of the module's own name, `HeldOut -> Findings`, and a
number `PLACE`, its place in the report. Nothing else need be changed for a new one. What the data do not
allow becomes a score without a value and with a reason.
"""

from importlib import import_module
from pkgutil import iter_modules

from eqvae.evaluation.findings import Suite


def registered() -> dict[str, Suite]:
    """The suites by name, in the order of the report."""
    names = [module.name for module in iter_modules(__path__)]
    modules = {name: import_module(f"{__name__}.{name}") for name in names}
    ordered = sorted(names, key=lambda name: modules[name].PLACE)
    return {name: getattr(modules[name], name) for name in ordered}


SUITES: dict[str, Suite] = registered()
