"""The report: self-contained, complete, honest about what was not measured, safe with odd names."""

import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from PIL import Image

from eqvae.evaluation.evaluate import Evaluation
from eqvae.evaluation.findings import Findings
from eqvae.evaluation.report import Row, bar, explanations, number, render, slug, wide, write_report
from eqvae.metrics.score import Score

ACCURACY = Score(0.8, n=1200, floor=0.1, ceiling=1.0, interval=(0.7, 0.9), page="clustering")
ERROR = Score(2.0, n=50, better="lower", floor=90.0, ceiling=0.0, unit="degrees")


def run(name: str, **scores: Score) -> Evaluation:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot()
    found = Findings(scores, {"a picture": Image.new("RGB", (4, 4)), "a figure": figure})
    return Evaluation(name, {"data": "digits"}, {"pose": found}, {"pose": 1.0})


class Page(HTMLParser):
    """Tags that are opened and closed, and every address that is asked for."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.addresses, self.ids, self.text = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [v for k, v in attributes.items() if k in ("src", "href")]
        self.ids.add(attributes.get("id"))
        if tag not in ("meta", "link", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_well_formed_and_asks_for_nothing():
    text = render([run("one", accuracy=ACCURACY, error=ERROR)])
    page = Page(text)
    assert not page.open
    assert all(a.startswith(("data:", "#")) for a in page.addresses)
    assert "<script" not in text and "http" not in re.sub(
        r"<section.*?</section>", "", text, flags=re.S
    )
    anchors = {a[1:] for a in page.addresses if a.startswith("#")}
    assert anchors <= page.ids  # no link leads nowhere
    assert text.count("data:image/png") == 2


def test_every_score_shows_value_interval_chance_and_sample_size():
    said = " ".join(" ".join(Page(render([run("one", accuracy=ACCURACY)])).text).split())
    assert "accuracy ↑ 0.800 [0.700, 0.900]" in said
    assert "0.100 1.00 1,200" in said


def test_what_was_not_measured_says_why():
    text = render([run("one", accuracy=Score.null("the data have no labels"), error=ERROR)])
    assert "not measured: the data have no labels" in text
    assert 'href="#skipped"' in text
    assert 'href="#skipped"' not in render([run("one", error=ERROR)])


def test_several_runs_stand_side_by_side():
    better = Score(0.95, n=1200, floor=0.1, ceiling=1.0, interval=(0.92, 0.97))
    text = render([run("first", accuracy=ACCURACY), run("second", accuracy=better, error=ERROR)])
    assert "<th>first</th>" in text and "<th>second</th>" in text
    assert text.count('class="best"') == 1
    assert text.count("data:image/png") == 4


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([ACCURACY, Score(0.95, interval=(0.92, 0.97))], 1),
        ([ACCURACY, Score(0.85, interval=(0.82, 0.97))], None),
        ([ERROR, Score(5.0, better="lower")], 0),
        ([Score(1.0, better="neither"), Score(2.0, better="neither")], None),
        ([Score.null("no labels"), ACCURACY], None),
        ([None, ACCURACY], None),
        ([None, ACCURACY, Score(0.2)], 1),
        ([ACCURACY], None),
    ],
)
def test_the_best_run_lies_clear_of_the_others(scores, best):
    assert Row("score", scores).best == best


def test_names_are_escaped():
    evil = run("<script>alert(1)</script>", accuracy=Score.null("<b>bold</b>"))
    evil.about["data"] = "<img src=x>"
    text = render([evil])
    assert "<script" not in text and "<img src=x>" not in text and "<b>bold" not in text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0"),
        (12345.6, "12,346"),
        (-2343.2, "−2,343"),
        (123.45, "123"),
        (0.25, "0.250"),
        (-1.5, "−1.50"),
        (0.00314, "0.00314"),
        (0.0001234, "1.2·10⁻⁴"),
    ],
)
def test_numbers_are_short(value, said):
    assert number(value) == said


def test_bars_run_from_chance_to_perfect_whatever_the_direction():
    assert bar(ACCURACY)["value"] == pytest.approx(100 * 0.7 / 0.9)
    assert bar(ERROR)["value"] == pytest.approx(100 * 88 / 90)
    assert bar(Score(-1.0, floor=0.0, ceiling=1.0))["value"] == 0  # below chance: at the end
    vague = Score(0.05, floor=0.01, ceiling=0.0, interval=(0.03, 0.07))
    for score in (Score(1.0), Score.null("none"), Score(1.0, floor=1.0, ceiling=1.0), vague):
        assert bar(score) is None


def test_legacy_scores_are_folded_away():
    text = render([run("one", mig=Score(0.5, legacy=True), error=ERROR)])
    assert "Legacy scores, for comparison with the literature (1)" in text
    assert "<details>" not in render([run("one", error=ERROR)])


def test_layers_are_folded_away_and_wide_figures_take_the_width():
    page = render([Evaluation("one", suites={"e": Findings({"layers/a/shift": ERROR})})])
    assert "Layer by layer (1)" in page
    assert wide(Image.new("L", (1000, 500))) and not wide(Image.new("L", (500, 500)))
    assert wide(Figure(figsize=(9, 3))) and not wide(Figure(figsize=(6, 3.7)))


def test_the_page_is_written_and_needs_a_run(tmp_path):
    path = write_report([run("one", error=ERROR)], tmp_path / "deep" / "report.html", "a title")
    assert "<title>a title</title>" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="at least one run"):
        write_report([], path)


def test_explanations_are_the_sections_of_the_docs():
    assert slug("Importance-weighted bound") == "importance-weighted-bound"
    pages = explanations()
    assert "clustering" in pages and "<p>" in pages["clustering"]["html"]
