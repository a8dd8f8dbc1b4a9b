"""What a stranger's file may do: nothing, whatever it says; every promise of SECURITY.md is held here."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml

from eqvae.config import CONFIG_DIR, build, compose, fill_data
from eqvae.registry import FUNCTIONS, part, stored_configuration
from eqvae.stored import MOST_BYTES, read_json, read_yaml
from eqvae.training.checkpoint import DESCRIPTION, load_vae, read_checkpoint
from eqvae.training.run import stored_config, train
from eqvae.training.runs import data_config
from tests.strangers import TARGETS, TEXTS, changes, checkpoints, watched
from tests.training.runs import NO_PICTURES, tiny_config, tiny_run

ROOT = Path(__file__).resolve().parents[1]
SENTENCE = 900  # characters, at most


@pytest.fixture(scope="module")
def _checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    train(tiny_run(folder, "model=plain", NO_PICTURES, "prior=normal"))
    return folder / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def _config() -> dict:
    return fill_data(tiny_config("model=plain"), (1, 28, 28), 80)


def written(folder: Path, config: dict) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def refused(call, folder: Path) -> str:
    """The sentence of a refusal, in which nothing else has happened."""
    began = time.monotonic()
    with watched(folder) as done, pytest.raises(ValueError) as caught:
        call()
    assert done == [] and time.monotonic() - began < 10
    said = str(caught.value)
    assert 0 < len(said) < SENTENCE and "Traceback" not in said
    assert not (folder / "outside").exists() and not (folder.parent / "outside").exists()
    return said


def test_a_command_would_be_noticed(tmp_path):
    with watched(tmp_path) as done:
        subprocess.run(["true"], check=True)
        (tmp_path / "inside").write_text("")
        (tmp_path.parent / "outside_of_it").write_text("")
    assert len(done) == 2 and done[0].startswith("subprocess.Popen") and "outside_of_it" in done[1]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_registry_holds_nothing_that_runs(target, tmp_path):
    refused(lambda: part(target, "callbacks.x"), tmp_path)


def test_the_registry_holds_what_configurations_name(_checkpoint):
    named = set()
    for file in CONFIG_DIR.rglob("*.yaml"):
        named |= set(re.findall(r"_target_: ?\"?([\w.]+)", file.read_text(encoding="utf-8")))
    described = read_checkpoint(_checkpoint)[DESCRIPTION]
    named |= set(re.findall(r"'_target_': '([\w.]+)'", str(described)))
    assert len(named) > 60
    functions = {
        target
        for target in named
        if not isinstance(part(target), type)
        and not isinstance(getattr(part(target), "__self__", None), type)  # another constructor
    }
    assert functions == set(FUNCTIONS)
    assert part("torch.optim.SGD") is torch.optim.SGD
    assert part("torch.optim.lr_scheduler.StepLR") is torch.optim.lr_scheduler.StepLR


@pytest.mark.parametrize("kind", TEXTS)
def test_a_strangers_text_is_refused(kind, tmp_path):
    file, text = tmp_path / "config.yaml", TEXTS[kind]
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert str(file) in refused(lambda: stored_config(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", changes(Path("x")))
def test_a_strangers_configuration_is_refused(kind, tmp_path, _config):
    config = yaml.safe_load(yaml.safe_dump(_config))
    changes(tmp_path)[kind](config)
    folder = written(tmp_path / "run", config)
    refused(lambda: stored_config(folder), tmp_path)


def test_a_cut_configuration_is_refused(tmp_path, _config):
    whole = yaml.safe_dump(_config)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        (tmp_path / "config.yaml").write_text(whole[: int(share * len(whole))])
        refused(lambda: stored_config(tmp_path), tmp_path)


def test_a_runs_own_configuration_is_read_as_it_was_written(tmp_path, _config):
    from omegaconf import OmegaConf

    OmegaConf.save(OmegaConf.create(_config), tmp_path / "config.yaml")
    assert stored_config(tmp_path) == _config
    assert data_config(tmp_path) == _config["data"]
    (tmp_path / "config.yaml").write_text("lr: 1e-3\ntime: 00:10\nday: 2020-01-01\nyes: yes\n")
    assert read_yaml(tmp_path / "config.yaml") == {
        "lr": 0.001, "time": "00:10", "day": "2020-01-01", True: True
    }  # fmt: skip


def test_places_to_write_to_are_left_out(tmp_path, _config):
    config = yaml.safe_load(yaml.safe_dump(_config))
    config["callbacks"]["best"]["dirpath"] = str(tmp_path / "outside")
    config["trainer"]["default_root_dir"] = str(tmp_path / "outside")
    config["data"]["source"] = {"_target_": "eqvae.data.MNIST", "root": "x", "download": True}
    folder = written(tmp_path / "run", config)
    with pytest.warns(UserWarning, match="dirpath"):
        read = stored_configuration(folder / "config.yaml")
    assert read["callbacks"]["best"]["dirpath"] is None
    assert read["trainer"]["default_root_dir"] is None
    assert read["data"]["source"]["download"] is False


@pytest.mark.parametrize("kind", checkpoints())
def test_a_strangers_checkpoint_is_refused(kind, tmp_path, _checkpoint):
    path = tmp_path / "best.ckpt"
    checkpoints()[kind](torch.load(_checkpoint, weights_only=True), path)
    resident = _resident()
    assert "best.ckpt" in refused(lambda: load_vae(path), tmp_path)
    assert _resident() - resident < 1 << 30


def test_a_checkpoint_takes_no_more_memory_than_its_budget(tmp_path, _checkpoint, monkeypatch):
    from eqvae.training import strangers

    monkeypatch.setattr(strangers, "BUDGET", 1 << 20)
    path = shutil.copy(_checkpoint, tmp_path / "best.ckpt")
    with (
        pytest.raises(ValueError, match="takes more than .* MiB of memory"),
        strangers.within_budget(Path(path)),
    ):
        torch.zeros(1 << 30)
    torch.zeros(1 << 24)  # what comes after is free again


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a": ' * 50_000, "1" * 5000, "\x00", "nul"]
)
def test_a_strangers_numbers_are_refused(text, tmp_path):
    (tmp_path / "metrics.json").write_text(text)
    assert "metrics.json" in refused(lambda: read_json(tmp_path / "metrics.json"), tmp_path)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "metrics.json"
    with file.open("wb") as sparse:
        sparse.truncate(MOST_BYTES["json"] + 1)
    assert "larger than 64 MiB" in refused(lambda: read_json(file), tmp_path)


def test_parts_of_the_users_own_may_be_stored(monkeypatch):
    """A class that was added to a room, as CONTRIBUTING.md says, is built from a checkpoint too."""
    import sys
    import types

    from eqvae.data.camera import PlainCamera

    class Mine(PlainCamera):
        pass

    Mine.__module__, module = "eqvae.data.mine", types.ModuleType("eqvae.data.mine")
    module.Mine = Mine
    monkeypatch.setitem(sys.modules, "eqvae.data.mine", module)
    assert part("eqvae.data.mine.Mine") is Mine
    assert isinstance(build({"_target_": "eqvae.data.mine.Mine"}), Mine)


def test_what_the_user_types_may_name_more(monkeypatch):
    monkeypatch.setenv("EQVAE_TEST_NAME", "typed")
    assert compose(["name=${oc.env:EQVAE_TEST_NAME}"])["name"] == "typed"


def _resident() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "'=1",
        "''@1",
        "＝1",
        "a=1",
        "'a",
        "-",
    ],
)
def test_names_are_no_formulas_in_tables(name, tmp_path):
    import csv

    import pyarrow as pa

    from eqvae.embedding.files import write_csv
    from eqvae.formulas import cell_of, text_of

    assert text_of(cell_of(name)) == name
    assert not cell_of(name).startswith(tuple("=+-@\t\r＝"))
    rows = pa.RecordBatch.from_pydict({"name": [name, None], "x": [-1.5, 2.0]})
    write_csv(iter([rows]), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first == {"name": cell_of(name), "x": "-1.5"} and second["name"] == ""


def _zipped(path: Path, shape: tuple[int, ...], held: int, *, packed: bool) -> None:
    import io
    import zipfile

    import numpy as np

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with (
        zipfile.ZipFile(path, "w", kind) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        block = bytes(1 << 20)
        for start in range(0, held, len(block)):
            member.write(block[: held - start])


def test_archives_hold_what_they_declare(tmp_path, monkeypatch):
    from eqvae.data.sources import Npz, archive

    monkeypatch.setattr(archive, "_SMALL", 1 << 22)

    _zipped(tmp_path / "a.npz", (10**6, 64, 64), 100, packed=False)
    _zipped(tmp_path / "b.npz", (8, 1024, 1024), 8 << 20, packed=True)
    for name in ("a.npz", "b.npz"):
        said = refused(lambda file=tmp_path / name: Npz(str(file)).load(), tmp_path)
        assert "declares" in said and "holds" in said


PROGRAMS = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 25 25\nshowpage\n%%EOF\n",
    "PostScript with a preview": b"\xc5\xd0\xd3\xc6" + bytes(26) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "PDF": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "FPX": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "a bomb": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00\x08\x00\x00\x00\x00"
    b"\xf5\x12\x8a\xc3\x00\x00\x00\x00IEND\xaeB\x60\x82",
    "a cut PNG": b"\x89PNG\r\n\x1a\n\x00\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_content_of_an_image_chooses_no_program(kind, suffix, tmp_path):
    from PIL import Image

    from eqvae.data.sources import Folder

    Image.new("L", (25, 25)).save(tmp_path / "a.png")
    (tmp_path / f"b{suffix}").write_bytes(PROGRAMS[kind])
    assert f"b{suffix}" in refused(lambda: Folder(str(tmp_path)).load(), tmp_path)


def test_numbers_of_other_files_are_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    import numpy as np

    from eqvae.data.formats.stack import open_stack

    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(256)) * 100)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros((4, 16, 16), "u1")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("images", (4, 16, 16), "u1", external=[(str(secret), 0, 1024)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 16, 16), "u1")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "images", (4, 16, 16))
        file.create_virtual_dataset("images", layout)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["images"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "images")
    for name in ("raw.h5", "virtual.h5", "link.h5"):
        refused(lambda file=tmp_path / name: open_stack(file), tmp_path)
        refused(lambda file=tmp_path / name: open_stack(file, "images"), tmp_path)
    assert open_stack(tmp_path / "other.h5").shape == (4, 1, 16, 16)


@pytest.mark.parametrize(
    "place", ["https://example.com/a.zarr", "s3://bucket/a.zarr", "file:///etc"]
)
def test_images_come_from_this_machine(place, tmp_path):
    from eqvae.data.formats.stack import open_stack

    with watched(tmp_path) as done, pytest.raises((ValueError, FileNotFoundError)):
        open_stack(Path(place))
    assert done == []
