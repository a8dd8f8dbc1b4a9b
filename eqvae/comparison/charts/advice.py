"""The figure of the chooser."""

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eqvae.comparison.advice import Advice, Support
from eqvae.comparison.charts.style import FAINT, INK, style


def advice_figure(advice: Advice, support: Sequence[Support]) -> Figure:
    """What the pilots of `scripts/advise.py` found: nats behind the best arm, and what motions cost."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    arms = list(advice.behind)[::-1]
    left.barh(
        arms, [advice.behind[a] for a in arms], xerr=[advice.error[a] for a in arms],
        color=[style(a)["color"] for a in arms],
    )  # fmt: skip
    left.set_xlabel("held-out ELBO behind the best arm (nats), bars: \u00b1 s.e.")
    left.set_title(f"Best: {advice.arm}, in {100 * advice.chance[advice.arm]:.0f} % of samples")
    names = [s.symmetry for s in support][::-1]
    right.barh(
        names,
        [s.loss for s in support][::-1],
        xerr=[2 * s.error for s in support][::-1],
        color=FAINT,
    )
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_xlabel("nats lost, bars: \u00b1 2 s.e.")
    right.set_title("Moved images, without symmetry")
    return figure
