"""One self-contained page about one or several runs: tables, figures and what every score means.

`report.html` needs no network, no scripts and no other file. Each score is drawn between chance and
perfect, with its interval; scores that the data did not allow say why. The explanations at the bottom are
the sections of docs/metrics.md that the scores name.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eqvae.drawing.png import png
from eqvae.evaluation.evaluate import Evaluation
from eqvae.files import write_whole
from eqvae.metrics.score import Score
from eqvae.resources import docs

DOCS = docs() / "metrics.md"
HEADLINES = {
    "likelihood/elbo": "ELBO",
    "equivariance/scenes/encoder/rotation": "encoder error under rotation",
    "equivariance/decoder/rotation": "decoder error under rotation",
    "pose/error/angle_median": "pose error, median",
    "pose/error/scale_median": "scale error, median",
    "pose/consistency/angle_median": "pose consistency, median",
    "content/leak/angle/best": "angle leaked into content",
    "content/leak/scale/best": "scale leaked into content",
    "content/cluster_change/rotation": "cluster changes under rotation",
    "clustering/gaussian_mixture/accuracy": "clustering accuracy",
    "generation/fd_posed": "FD-posed of samples",
    "reconstruction/rmsd/turned": "RMSD at random rotations",
    "content/change/relative": "content changes under motions",
    "generation/nearest/samples": "RMSD of samples to the nearest",
}


@dataclass(frozen=True)
class Row:
    """One score of every run."""

    name: str
    scores: list[Score | None]

    @property
    def known(self) -> list[Score]:
        return [s for s in self.scores if s is not None]

    @property
    def layer(self) -> bool:
        return self.name.startswith("layers/")

    @property
    def legacy(self) -> bool:
        return any(s.legacy for s in self.known)

    @property
    def first(self) -> Score:
        """The score that says what they all share: page, unit and direction."""
        measured = [s for s in self.known if s.value is not None]
        return (measured or self.known)[0]

    @property
    def best(self) -> int | None:
        """The run whose interval lies clear of all others, None if there is none."""
        measured = [s for s in self.known if s.value is not None]
        if len(measured) < 2 or self.first.better == "neither":
            return None
        sign = 1 if self.first.better == "higher" else -1
        low, high = [], []
        for score in self.scores:
            if score is None or score.value is None:
                low.append(-float("inf")), high.append(-float("inf"))
                continue
            ends = sorted(sign * end for end in (score.interval or (score.value, score.value)))
            low.append(ends[0]), high.append(ends[1])
        winner = max(range(len(low)), key=low.__getitem__)
        others = [h for i, h in enumerate(high) if i != winner]
        return winner if low[winner] > max(others) else None


def write_report(
    evaluations: Sequence[Evaluation], path: str | Path, title: str = "Evaluation"
) -> Path:
    """Write the page.

    Args:
        evaluations: one run, or several to be shown side by side.
        path: of the HTML file.
        title: of the page.

    Raises:
        ValueError: if there is no evaluation.
    """
    if not evaluations:
        raise ValueError("evaluations must hold at least one run; got none.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render(evaluations, title))
    return path


def render(evaluations: Sequence[Evaluation], title: str = "Evaluation") -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "bar": bar, "picture": picture, "wide": wide}
    suites = list(dict.fromkeys(name for e in evaluations for name in e.suites))
    pages = explanations()
    used = {s.page for e in evaluations for s in e.scores.values()}
    return environment.get_template("report.html.j2").render(
        title=title,
        runs=evaluations,
        about=list(dict.fromkeys(key for e in evaluations for key in e.about)),
        headlines=_headlines(evaluations),
        suites=[(name, _rows(evaluations, name), _figures(evaluations, name)) for name in suites],
        skipped=_skipped(evaluations),
        pages={name: page for name, page in pages.items() if name in used},
    )


def number(value: float | None) -> str:
    """Three significant digits, as people write numbers."""
    if value is None:
        return "\u2013"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000:
        return f"{value:,.0f}".replace("-", "\u2212")
    if size >= 1e-3:
        digits = max(0, 2 - math.floor(math.log10(size)))
        return f"{value:.{digits}f}".replace("-", "\u2212")
    mantissa, exponent = f"{value:.1e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}\u00b710{power}".replace("-", "\u2212")


def bar(score: Score) -> dict[str, float] | None:
    """Where the value and its interval lie between chance (0) and perfect (100).

    None if that is not known, or if the interval is as wide as the whole scale.
    """
    if score.value is None or score.floor is None or score.ceiling is None:
        return None
    if score.better == "neither":  # too much may be as bad as too little
        return None
    span = score.ceiling - score.floor
    width = score.interval[1] - score.interval[0] if score.interval else 0.0
    if abs(span) <= max(width, 1e-12):
        return None

    def place(value: float) -> float:
        return 100 * min(max((value - score.floor) / span, 0.0), 1.0)

    ends = sorted(map(place, score.interval or (score.value, score.value)))
    return {"value": place(score.value), "low": ends[0], "width": ends[1] - ends[0]}


def picture(figure: Any) -> str:
    """A matplotlib figure or PIL image as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def wide(figure: Any) -> bool:
    """Whether a figure needs the whole width of the page to be read."""
    if hasattr(figure, "get_size_inches"):
        width, height = figure.get_size_inches()
    else:
        width, height = figure.size
    return width > 900 and width > 1.05 * height if width > 50 else width > 1.9 * height


@cache
def explanations() -> dict[str, dict[str, str]]:
    """Sections of docs/metrics.md by slug: heading and HTML. Empty where the file is not installed."""
    if not DOCS.is_file():
        return {}
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    sections = {}
    for part in ("\n" + DOCS.read_text(encoding="utf-8")).split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        body = body.split("\n# ")[0]  # the next family's title
        sections[slug(heading)] = {"heading": heading.strip(), "html": reader.render(body)}
    return sections


def slug(heading: str) -> str:
    """The anchor of a heading: lower case, spaces as hyphens."""
    return heading.strip().lower().replace(" ", "-")


def _rows(evaluations: Sequence[Evaluation], suite: str) -> list[Row]:
    findings = [e.suites.get(suite) for e in evaluations]
    names = dict.fromkeys(n for f in findings if f for n in f.scores)
    return [Row(name, [f.scores.get(name) if f else None for f in findings]) for name in names]


def _figures(evaluations: Sequence[Evaluation], suite: str) -> list[tuple[str, list[Any]]]:
    findings = [e.suites.get(suite) for e in evaluations]
    captions = dict.fromkeys(caption for f in findings if f for caption in f.figures)
    return [(c, [f.figures.get(c) if f else None for f in findings]) for c in captions]


def _headlines(evaluations: Sequence[Evaluation]) -> list[tuple[str, Row]]:
    scores = [e.scores for e in evaluations]
    rows = [(label, Row(name, [s.get(name) for s in scores])) for name, label in HEADLINES.items()]
    return [(label, row) for label, row in rows if any(s.value is not None for s in row.known)]


def _skipped(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    return [
        (evaluation.name, name, score.reason)
        for evaluation in evaluations
        for name, score in evaluation.scores.items()
        if score.value is None
    ]
