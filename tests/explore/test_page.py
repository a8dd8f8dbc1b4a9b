"""The page of `eqvae explore`: what its files say is what the table and the writers of formats say."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from eqvae.data import Star, Upright
from eqvae.data.batch import Batch
from eqvae.embedding import Embedding, embed
from eqvae.embedding.files import about_of
from eqvae.embedding.latents import upright_latents
from eqvae.embedding.upright import upright
from eqvae.embedding.write import FORMATS, Origin
from eqvae.explore.page import (
    Subsets,
    check_folder,
    principal,
    runtime,
    runtime_files,
    write_page,
)
from eqvae.explore.page.basis import mapped
from eqvae.explore.page.columns import packed
from eqvae.explore.page.lines import files_of
from eqvae.explore.page.sheets import SIDE
from tests.data.test_star import written
from tests.embedding.write.test_star import table as particles
from tests.export.models import images, small

GROUND = "image.background=[0.0]"
NOWHERE = Origin(None, None, None, 29)


def received(path):
    """What a data file hands over."""
    call, value = path.read_text(encoding="utf-8").split(",", 1)
    assert json.loads(call.removeprefix("explorer.receive(")) == path.stem
    return json.loads(value.rstrip().removesuffix(");"))


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def downloaded(file, chosen):
    """As the page does it: the text without the lines of images that were not chosen."""
    gone = set(file.rows) - {file.rows[row] for row in chosen}
    return "\n".join(line for i, line in enumerate(file.text.split("\n")) if i not in gone)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page without a decoder, its model, images and table."""
    model, x = small("harmonic", False, GROUND), images(12)
    few = Batch(x, label=torch.arange(12) % 3)
    names = [f"ä {i}" for i in range(12)]
    table = embed(model, few, names=names, classes=["b", "a", "c"], clusters=4)
    rows = torch.arange(300) % 12
    batch = few[rows]
    table = Embedding(table.table.take(rows.numpy()))
    table = Embedding(table.table.set_column(1, "name", pa.array([f"ä {i}" for i in range(300)])))
    folder = tmp_path_factory.mktemp("page") / "page"
    page = write_page(
        model,
        [batch[:130], batch[130:]],
        table,
        NOWHERE,
        folder,
        title="a <b>",
        runtime="not wanted.",
        subsets=Subsets("eqvae subset", {"data": "secret"}),
    )
    return page, model, batch, table


def test_a_page_is_one_folder_that_asks_for_nothing_outside(made):
    page = made[0]
    folder = page.index.parent
    assert not page.live and page.said == ["no live decoding: not wanted."]
    text = page.index.read_text()
    assert "<title>a &lt;b&gt;</title>" in text and "@title@" not in text
    for part in text.split('"'):
        if part.endswith((".js", ".css")):
            assert (folder / part).is_file(), part
    for file in [page.index, *(folder / "page").iterdir()]:
        assert "http" not in file.read_text().replace("<!doctype html>", ""), file
        assert "fetch(" not in file.read_text()
    about = received(folder / "data" / "about.js")
    assert about["count"] == 300 and about["latent"] is None and about["said"] == page.said
    assert not list((folder / "runtime").iterdir())


def test_the_data_of_a_page_equal_the_table(made):
    page, _, _, table = made
    columns = {c["name"]: c for c in received(page.index.parent / "data" / "table.js")}
    empty = {n for n in table.columns if table.table.column(n).null_count == len(table)}
    assert set(columns) == set(table.columns) - empty
    for name, column in columns.items():
        expected = table.column(name)
        if column["type"] == "number":
            np.testing.assert_array_equal(unpacked(column["data"], column["dtype"]), expected)
        elif column["type"] == "kind":
            found = [column["words"][i] for i in unpacked(column["data"], "i4")]
            assert found == [str(v).lower() if name == "pose_known" else str(v) for v in expected]
        else:
            assert column["words"] == expected.tolist()
    assert columns["name"]["type"] == "text" and columns["class"]["words"] == ["a", "b", "c"]


def test_columns_of_a_source_have_colours_unless_they_name_each_image():
    row = np.arange(300)
    own = {
        "field": [f"f{i}" for i in row // 5],  # 60 of them
        "well": [f"w{i}" for i in row // 2],
        "uid": row.astype("u8") + np.uint64(2**63),
        "far": np.where(row % 7, row / 2, np.inf),
    }
    columns = {c["name"]: c for c in packed(Embedding(pa.table({"index": row, **own})))}
    assert columns["field"]["words"] == sorted(set(own["field"]))
    assert unpacked(columns["field"]["data"], "i4")[5:10].tolist() == [1] * 5
    assert columns["well"]["type"] == "text" and columns["well"]["words"] == own["well"]
    for name in ("uid", "far"):
        found = unpacked(columns[name]["data"], columns[name]["dtype"])
        np.testing.assert_array_equal(found, own[name].astype(float))


def test_the_table_of_a_page_is_that_of_the_images_and_tells_no_path(made):
    page, _, _, table = made
    about = received(page.index.parent / "data" / "about.js")["elsewhere"]
    assert [file["name"] for file in about["files"]] == ["h5ad", "fits"]
    assert about["command"] == "eqvae subset" and "secret" not in str(about)
    assert Embedding.read(about["folder"]).table.equals(table.table) and not about_of(
        Path(about["folder"])
    )


def test_thumbnails_are_the_images_as_they_are_and_upright(made):
    page, model, batch, table = made
    _, moved, grey = upright(batch, table.pose, model.domain)
    row = 2 * SIDE + 5 + SIDE * SIDE  # of the second sheet
    for kind, whole in (("image", batch.image), ("upright", moved + grey)):
        sheets = sorted((page.index.parent / "thumbnails").glob(f"{kind}-*.webp"))
        assert len(sheets) == 2
        sheet = np.asarray(Image.open(sheets[1]).convert("L")).astype(float)
        y, x = 29 * (row % 256 // SIDE), 29 * (row % SIDE)
        expected = 255 * whole[row, 0].clamp(0, 1).numpy()
        off = np.abs(sheet[y : y + 29, x : x + 29] - expected).mean()
        other = 255 * whole[row - 1, 0].clamp(0, 1).numpy()
        assert (
            off < 0.6 * np.abs(expected - other).mean()
        )  # WebP is lossy, but the image is that one


@pytest.mark.parametrize(("family", "fitted"), [("harmonic", True), ("pose", False)])
def test_the_pose_of_the_table_moves_its_content_to_the_latent(family, fitted):
    model, x = small(family, fitted, GROUND), images(8)
    table, latent = embed(model, x, clusters=0), model.representation
    z = upright_latents(latent, torch.from_numpy(table.content))
    moved = latent.act(table.pose.float(), z)
    assert torch.allclose(moved, model.encode(Batch(x)).mode, atol=1e-4)


def test_directions_are_those_of_the_variance():
    random = np.random.default_rng(0)
    content = random.normal(size=(500, 5)) * [1, 5, 0, 3, 0.1] + 7
    basis = principal(content)
    assert len(basis.sd) == 3  # the others hold less than 1 %
    np.testing.assert_allclose(np.abs(basis.directions[0]), [0, 1, 0, 0, 0], atol=0.1)
    flat = mapped(content, basis, "pca")
    np.testing.assert_allclose(flat.std(axis=0), basis.sd[:2])
    assert mapped(np.ones((4, 1)), principal(np.ones((4, 1))), "pca").shape == (4, 2)


def test_files_of_some_images_equal_those_that_are_written(tmp_path):
    path, _, _ = written(tmp_path, n=8)
    origin, rows = Origin(Star(str(path)), Upright(), 24, 24), [0, 2, 3, 5, 7]
    names = pa.array([f"{row + 1:06d}@Extract/a.mrcs" for row in rows])
    whole = Embedding(particles(rows).table.append_column("name", names))
    found, said = files_of(whole, origin)
    assert said == [] and [file.name for file in found] == ["list", "csv", "star"]
    chosen = [1, 4]
    some = Embedding(whole.table.take(chosen))
    for file in found:
        FORMATS[file.name].write(some, origin, tmp_path / file.file)
        assert downloaded(file, chosen) == (tmp_path / file.file).read_text(), file.name
        assert downloaded(file, [0, 1, 2, 3]) != (tmp_path / file.file).read_text()  # a control


def test_a_name_that_breaks_lines_is_said(made):
    table = made[3].table.slice(0, 2)
    place = table.schema.get_field_index("name")
    table = table.set_column(place, "name", pa.array(["a\nb", "c"]))
    found, said = files_of(Embedding(table), NOWHERE)
    assert not found and all("a name holds a line break" in line for line in said)


def test_a_folder_of_other_things_is_not_replaced(tmp_path, made):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="out must be a new folder or an earlier page"):
        check_folder(tmp_path)
    check_folder(made[0].index.parent)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A package of that name whose checksums are known, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = {name: name.encode() for name in runtime.FILES}
    path = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in parts.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha512(path.read_bytes()).digest()
    monkeypatch.setattr(runtime, "SHA512", base64.b64encode(digest).decode())
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    monkeypatch.setattr(runtime, "FILES", sums)
    return path, parts


def test_the_runtime_is_fetched_once_and_kept(archive, monkeypatch):
    path, parts = archive
    asked = []

    def opened(url, timeout):
        asked.append(url)
        return path.open("rb")

    monkeypatch.setattr(runtime.urllib.request, "urlopen", opened)
    assert runtime_files() == runtime_files() == parts
    assert asked == [runtime.URL]
    (runtime.kept_folder() / next(iter(parts))).write_bytes(b"damaged")
    assert runtime_files() == parts and len(asked) == 2


def test_another_archive_is_refused(archive, tmp_path):
    assert runtime_files(archive[0]) == archive[1]
    (tmp_path / "other.tgz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(ValueError, match="runtime must be onnxruntime-web-"):
        runtime_files(tmp_path / "other.tgz")
