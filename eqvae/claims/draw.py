"""The picture that most experiments need: a bar for each number."""

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes

_LEAST = 1e-17  # of a logarithmic axis; what is smaller is 0 and has no bar
_BLUE, _ORANGE = "#2a6ab0", "#c05621"


def bars(
    numbers: Mapping[str, float],
    xlabel: str = "relative error",
    *,
    log: bool = True,
    bound: float | None = None,
) -> Callable[[Axes], None]:
    """Bars with their numbers beside them, from top to bottom.

    Args:
        numbers: by name.
        xlabel: what they are.
        log: whether the axis is logarithmic, from what rounding leaves to chance.
        bound: those above it are drawn in another colour; None for 1e-6 on a logarithmic axis.
    """
    bound = 1e-6 if bound is None and log else bound

    def draw(axes: Axes) -> None:
        values = list(numbers.values())
        shown = [max(value, _LEAST) for value in values] if log else values
        colours = [_BLUE if bound is None or value <= bound else _ORANGE for value in values]
        drawn = axes.barh(list(numbers), shown, color=colours)
        told = ["0" if value == 0 else f"{value:.2g}" for value in values]
        axes.bar_label(drawn, told, padding=3, fontsize=8)
        axes.set(xlabel=xlabel)
        if log:
            axes.set(xscale="log", xlim=(_LEAST, 1e3))
        else:
            axes.margins(x=0.15)
        axes.invert_yaxis()

    return draw
