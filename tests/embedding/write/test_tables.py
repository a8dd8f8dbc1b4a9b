"""Tables of other fields, read again by each field's own reader: every number and word survives."""

import numpy as np
import pyarrow as pa
import pytest

from eqvae.data import Npz, Upright
from eqvae.embedding.columns import record
from eqvae.embedding.table import Embedding
from eqvae.embedding.write import FORMATS, Origin, checked_formats

N = 7
RANDOM = np.random.default_rng(0)
ORIGIN = Origin(Npz("images.npz"), Upright(), 24, 24)
NAMES = ["a b.png", "größe.png", "日本.png", "x,y.png", '"q".png', "p/7.png", "'.png"]
KNOWN = {
    "index": np.arange(N) * 3,
    "name": NAMES,
    "label": np.ma.MaskedArray(np.arange(N), mask=np.arange(N) == 2),
    "class": ["cell", None, "größe", "cell", "", "NaN", "cell"],
    **{f"content_{i}": RANDOM.normal(size=N).astype("f4") for i in range(3)},
    "angle_degrees": RANDOM.uniform(0, 360, N).astype("f4"),
    "x_pixels": RANDOM.normal(size=N).astype("f4"),
    "y_pixels": RANDOM.normal(size=N).astype("f4"),
    "pose_known": np.ma.MaskedArray(np.arange(N) % 2 == 0, mask=np.arange(N) == 3),
    "log_likelihood": np.ma.MaskedArray(RANDOM.normal(size=N).astype("f4"), mask=np.arange(N) == 1),
    "cluster": np.array([0, 1, 10, 2, 1, 0, 2]),
    "cluster_probability": RANDOM.uniform(size=N).astype("f4"),
}
EMBEDDING = Embedding(pa.Table.from_batches([record(KNOWN, N)]))
REALS = [name for name, values in KNOWN.items() if getattr(values, "dtype", None) == "f4"]


def write(name, tmp_path, embedding=EMBEDDING):
    path = tmp_path / FORMATS[name].file
    FORMATS[name].write(embedding, ORIGIN, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    return path


def test_anndata_reads_what_the_embedding_says(tmp_path):
    anndata = pytest.importorskip("anndata")
    found = anndata.read_h5ad(write("h5ad", tmp_path))
    np.testing.assert_array_equal(found.X, EMBEDDING.content)
    np.testing.assert_array_equal(found.obsm["content"], EMBEDDING.content)
    np.testing.assert_array_equal(found.obsm["spatial"][:, 1], KNOWN["y_pixels"])
    assert list(found.obs_names) == NAMES and list(found.var_names) == [
        f"content_{i}" for i in range(3)
    ]
    obs = found.obs
    for name in set(REALS) - set(found.var_names):
        np.testing.assert_array_equal(obs[name], EMBEDDING.column(name))
    assert [None if v != v else v for v in obs["class"]] == KNOWN["class"]
    assert list(obs["cluster"]) == [str(k) for k in KNOWN["cluster"]]
    assert list(obs["cluster"].cat.categories) == ["0", "1", "2", "10"]
    assert list(obs["label"].isna()) == [i == 2 for i in range(N)] and obs["label"].iloc[4] == 4
    assert list(obs["pose_known"].isna()) == [i == 3 for i in range(N)]
    assert obs["pose_known"].iloc[2] and not obs["pose_known"].iloc[1]
    assert "reflected" not in obs and "name" not in obs and list(obs["index"]) == [*range(0, 21, 3)]
    some = found[obs["cluster"] == "1"].copy()
    assert list(some.obs_names) == [NAMES[1], NAMES[4]]


def test_names_that_repeat_or_lack_become_numbers(tmp_path):
    anndata = pytest.importorskip("anndata")
    for names in (["a"] * N, None):
        twice = Embedding(pa.Table.from_batches([record(KNOWN | {"name": names}, N)]))
        found = anndata.read_h5ad(write("h5ad", tmp_path, twice))
        assert list(found.obs_names) == [str(3 * i) for i in range(N)]


def test_astropy_reads_what_the_embedding_says(tmp_path):
    from astropy.table import Table

    found = Table.read(write("fits", tmp_path), character_as_bytes=False)
    assert found["angle_degrees"].unit == "deg" and found["x_pixels"].unit == "pix"
    assert found["cluster"].unit is None and "reflected" not in found.colnames
    for name in REALS:
        np.testing.assert_array_equal(np.ma.filled(found[name], np.nan), EMBEDDING.column(name))
    for name in ("index", "cluster"):
        assert list(found[name]) == list(KNOWN[name])
    assert list(found["label"].mask) == [i == 2 for i in range(N)] and found["label"][4] == 4
    words = [str(word).encode().decode("unicode_escape") for word in found["name"]]
    assert words == NAMES
    assert str(found["class"][0]) == "cell" and found["class"][2] == "gr\\xf6\\xdfe"
    assert list(found["pose_known"].filled(-1)) == [1, 0, 1, -1, 1, 0, 1]


def test_pandas_and_text_read_the_same(tmp_path):
    import pandas

    table = pandas.read_parquet(write("parquet", tmp_path))
    assert list(table["name"]) == NAMES and table["class"].isna().sum() == 1
    (tmp_path / "embedding.parquet").unlink()
    text = pandas.read_csv(write("csv", tmp_path), keep_default_na=False)
    assert list(text["name"]) == NAMES and list(text["cluster"]) == list(KNOWN["cluster"])
    np.testing.assert_allclose(text["x_pixels"], KNOWN["x_pixels"], rtol=1e-6)
    (tmp_path / "embedding.csv").unlink()
    assert write("list", tmp_path).read_text(encoding="utf-8").splitlines() == NAMES


def test_every_format_reads_the_file_of_an_embedding_too(tmp_path):
    EMBEDDING.write(tmp_path)
    for name in ("h5ad", "fits", "csv", "list"):
        form = FORMATS[name]
        form.write(EMBEDDING, ORIGIN, tmp_path / "memory")
        form.write(tmp_path, ORIGIN, tmp_path / "file")
        assert (tmp_path / "memory").stat().st_size == (tmp_path / "file").stat().st_size


@pytest.mark.parametrize(("name", "library"), [("h5ad", "h5py"), ("fits", "astropy")])
def test_a_missing_package_is_named_before_the_work(monkeypatch, name, library):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    message = rf'write={name} needs {library}: pip install "eqvae\[{name}\]"'
    with pytest.raises(ImportError, match=message):
        checked_formats([name], ORIGIN)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"star", "cs"}))
def test_a_write_that_fails_leaves_the_old_file(tmp_path, name, monkeypatch):
    path = tmp_path / "old"
    path.write_text("old")

    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eqvae.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        FORMATS[name].write(EMBEDDING, ORIGIN, path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
