"""`eqvae explore` as a user meets it, and its page as a browser shows it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from eqvae.cli.explore import OWN, main
from eqvae.cli.subset import main as subset
from eqvae.config import CONFIG_DIR
from eqvae.embedding import Embedding
from eqvae.embedding.dataset import InOrder
from eqvae.explore.page import runtime
from eqvae.symmetry.motions import motion
from eqvae.training.checkpoint import load_vae
from tests.data.test_cs import written as written_cs

SCRIPT = CONFIG_DIR.parent / "scripts" / "explore.py"


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def received(path: Path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split(",", 1)[1].rstrip().removesuffix(");"))


def test_help_names_every_option_and_answers_without_torch():
    code = f"import runpy, sys; sys.argv = ['explore.py', '--help']; runpy.run_path({str(SCRIPT)!r}, None, "
    code += "'__main__'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("ckpt", "data", *OWN):
        assert f"{option}=" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["map=tsne"], "map must be one of pca, umap; got 'tsne'"),
        (["most=0"], "most must be a whole number >= 1; got '0'"),
        (["runtime=nowhere.tgz"], "nowhere.tgz"),
        (["out=."], "out must be a new folder or an earlier page"),
    ],
)
def test_mistakes_end_in_one_sentence(arguments, sentence, tiny_run, monkeypatch, capsys):
    monkeypatch.chdir(tiny_run)
    with pytest.raises(SystemExit) as stop:
        run(f"ckpt={tiny_run}", "most=20", "clusters=0", *arguments)
    assert stop.value.code == 2 and sentence in capsys.readouterr().err


def test_umap_that_is_not_installed_is_named_before_the_work(tiny_run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(SystemExit):
        run(f"ckpt={tiny_run}", "map=umap")
    assert 'map=umap needs umap-learn: pip install "eqvae[umap]"' in capsys.readouterr().err


def test_without_network_the_page_is_there_and_one_line_says_what_is_missing(
    tiny_run, tmp_path, monkeypatch, capsys
):
    def refused(url, timeout):
        raise OSError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runtime.urllib.request, "urlopen", refused)
    for _ in range(2):  # an earlier page is replaced
        run(f"ckpt={tiny_run}", "most=50", "clusters=3")
    said = capsys.readouterr()
    (line,) = set(said.err.strip().splitlines())
    assert "no live decoding" in line and runtime.URL in line and "runtime=FILE.tgz" in line
    assert str(tiny_run / "explorer" / "index.html") in said.out.replace("\n", "")
    about = received(tiny_run / "explorer" / "data" / "about.js")
    assert about["count"] == 50 and about["title"] == "first" and not about["latent"]


def test_an_embedding_that_exists_is_taken(tiny_run, tmp_path):
    from eqvae.cli.embed import main as embed

    embed([f"ckpt={tiny_run}", "averages=false", "clusters=2"])
    table = Embedding.read(tiny_run / "embedding")
    out = tmp_path / "page"
    arguments = [f"table={tiny_run / 'embedding'}", "runtime=none", f"out={out}"]
    run(f"ckpt={tiny_run}", "most=30", "seed=3", *arguments)
    columns = {column["name"]: column for column in received(out / "data" / "table.js")}
    from tests.explore.test_page import unpacked

    index = unpacked(columns["index"]["data"], "f8").astype(int)
    assert len(set(index)) == 30 and sorted(index) == index.tolist() != list(range(30))
    angle = unpacked(columns["angle_degrees"]["data"], "f4")
    np.testing.assert_array_equal(angle, table.column("angle_degrees")[index])


def test_some_particles_of_cryosparc_are_written_from_the_table_of_the_page(
    _trained_run, tmp_path, monkeypatch
):
    path, _, _ = written_cs(tmp_path, size=33)
    data = ["data=cs", f"data.source.path={path}", "clusters=2"]
    run(f"ckpt={_trained_run}", *data, "runtime=none", f"out={tmp_path / 'page'}")
    about = received(tmp_path / "page" / "data" / "about.js")
    assert [file["name"] for file in about["elsewhere"]["files"]] == ["cs", "h5ad", "fits"]
    listed = [f"{row:06d}@J3/extract/a_particles.mrc\n" for row in (2, 5)]
    (tmp_path / "rows.txt").write_text("".join(listed))
    monkeypatch.chdir(tmp_path)
    subset([f"table={about['elsewhere']['folder']}", "rows=rows.txt", "write=cs", "out=some"])
    found, before = np.load(tmp_path / "some" / "particles.cs"), np.load(path)
    assert found["uid"].tolist() == before["uid"][[1, 4]].tolist()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that is installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    with api.sync_playwright() as player:
        own = player.chromium.executable_path
        path = found or (own if Path(own).is_file() else None)
        if path is None:
            pytest.skip("no Chromium is installed")
        opened = player.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def shown(browser):
    """Opens a page; an error in it fails the test."""
    context, errors = browser.new_context(viewport={"width": 1280, "height": 800}), []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.extend(re.findall(r"^(?:http|ws).*", request.url)))
    yield page
    context.close()
    assert errors == []


def lasso(page, rows):
    """Draw a rectangle around images; returns which are in it."""
    at = np.array([page.evaluate(f"explorer.map.where({row})") for row in rows])
    box = page.locator("#overlay").bounding_box()
    (left, top), (right, low) = at.min(0) - 6, at.max(0) + 6
    corners = [(left, top), (right, top), (right, low), (left, low)]
    x, y = box["x"], box["y"]
    page.keyboard.down("Shift")
    page.mouse.move(x + left, y + top)
    page.mouse.down()
    for a, b in corners[1:]:
        page.mouse.move(x + a, y + b, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    places = page.evaluate(
        "Array.from({length: explorer.table.count}, (_, i) => explorer.map.where(i))"
    )
    inside = (np.array(places) > [left, top]) & (np.array(places) < [right, low])
    return np.flatnonzero(inside.all(axis=1))


def test_a_browser_shows_turns_selects_and_saves(tiny_run, shown, tmp_path, monkeypatch):
    cached = runtime._kept()  # no test uses the network
    live = "" if cached else "runtime=none"
    run(f"ckpt={tiny_run}", "clusters=3", *filter(None, [live]))
    shown.goto((tiny_run / "explorer" / "index.html").as_uri())
    shown.locator("#legend button").first.wait_for()
    for name in ("angle_degrees", "cluster"):  # whose legends are wide and narrow
        frames = shown.evaluate("explorer.frames")
        shown.select_option("#colour", name)
        shown.wait_for_function(f"explorer.frames > {frames}")
        left = "Math.min(...Array.from(explorer.table.values('index'), (_, i) => explorer.map.where(i)[0]))"
        assert shown.evaluate(
            f"{left} > element('legend').offsetLeft + element('legend').offsetWidth"
        )

    chosen = lasso(shown, [3, 40])
    assert shown.locator("#chosen").inner_text() == f"{len(chosen)} of 120"
    for label, head in (("List", 0), ("CSV", 1)):
        with shown.expect_download() as download:
            shown.get_by_role("button", name=label, exact=True).click()
        lines = Path(download.value.path()).read_text().splitlines()
        assert len(lines) == len(chosen) + head
        assert [int(line.split(",")[0]) for line in lines[head:]] == chosen.tolist()
    with shown.expect_download() as download:
        shown.get_by_role("button", name="H5AD", exact=True).click()
    download.value.save_as(tmp_path / "rows.txt")
    command = shlex.split(shown.locator("#elsewhere code").inner_text())
    monkeypatch.chdir(tmp_path)
    assert command[-3:] == ["rows=rows.txt", "write=h5ad", "out=selection"]
    subset([*command[-4:], "write=parquet"])
    assert Embedding.read("selection").column("index").tolist() == chosen.tolist()
    shown.keyboard.press("Escape")
    assert shown.locator("#chosen").inner_text() == "none"
    assert not shown.locator("#elsewhere").is_visible()
    shown.locator("#legend button").nth(1).click()
    kind = shown.evaluate("Array.from(explorer.table.values('cluster'))")
    assert shown.locator("#chosen").inner_text() == f"{kind.count(1)} of 120"
    if not cached:
        pytest.skip("onnxruntime-web is not in the cache: run eqvae explore once with a network")

    shown.wait_for_function("explorer.live", timeout=30_000)
    model = load_vae(tiny_run)
    from eqvae.training.runs import subject_of

    batch = next(iter(InOrder(subject_of(tiny_run).data, "all", 120)))
    with torch.no_grad():
        z = model.encode(batch).mode
    x, y = shown.evaluate("explorer.map.where(40)")
    box = shown.locator("#overlay").bounding_box()
    shown.keyboard.press("Escape")
    shown.mouse.click(box["x"] + x, box["y"] + y)
    row = int(shown.locator("#which").inner_text())

    def decoded():
        shown.wait_for_timeout(150)
        values = shown.evaluate("Array.from(explorer.pixels)")
        return torch.tensor(values).unflatten(0, model.image_shape)

    with torch.no_grad():
        assert (decoded() - model.decode(z[[row]])[0]).abs().max() < 1e-3
    track = shown.locator("#slider-angle").bounding_box()
    before = float(shown.locator("#slider-angle").input_value())
    y = track["y"] + track["height"] / 2
    shown.mouse.move(track["x"] + track["width"] * (before + 180) / 360, y)
    shown.mouse.down()
    shown.mouse.move(track["x"] + track["width"] * 0.3, y, steps=5)
    shown.mouse.up()
    after = float(shown.locator("#slider-angle").input_value())
    exact = shown.evaluate(f"explorer.latent.read({row}).angle")
    assert abs(after + 72) < 10 and after != before
    g = motion(angle=np.deg2rad(after - exact).item())
    there = model.representation.act(g.to(z), z[[row]])
    there[:, model.representation.slices.position] = z[row, model.representation.slices.position]
    with torch.no_grad():  # about the object, not about the middle
        assert (decoded() - model.decode(there)[0]).abs().max() < 1e-3
        assert (decoded() - model.decode(z[[row]])[0]).abs().max() > 1e-3  # a control
    shown.screenshot(path=tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000
