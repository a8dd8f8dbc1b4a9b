"""CONTRIBUTING.md: its map is the contract of imports, its five examples obey the laws of their rooms."""

import importlib.util
import re
import shlex
import shutil
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import torch

from eqvae import config
from eqvae.config import build, compose
from eqvae.data.batch import Batch
from tests import test_arms
from tests.distributions import test_priors
from tests.domains import test_domain_laws
from tests.symmetry import test_group_laws

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = {  # of the examples, by path: a block's first line names it
    first[2:]: block
    for block in re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, flags=re.DOTALL)
    for first in block.splitlines()[:1]
}
SOURCE, GROUP = "eqvae/data/sources/squares.py", "eqvae/symmetry/translations.py"
DOMAIN, PRIOR = "eqvae/domains/torus.py", "eqvae/distributions/student.py"
ARM = "configs/arm/plain_warmup.yaml"


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Add the file of an example to the package, as a contributor would."""

    def add(path: str):
        file = tmp_path / Path(path).name
        file.write_text(FILES[path])
        name = path.removesuffix(".py").replace("/", ".")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return add


def test_the_map_is_the_contract():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    layers = setup["importlinter:contract:rooms"]["layers"].split("\n")
    rooms = [re.findall(r"\w+", layer) for layer in layers if layer.strip()]
    table = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.M)]
    shown = [sorted(row) for row in table]
    assert shown == [sorted(room) for room in reversed(rooms) if room != ["__main__"]]


def test_every_example_is_here_and_nowhere_in_the_package():
    assert set(FILES) == {ARM, SOURCE, GROUP, DOMAIN, PRIOR}
    assert not [path for path in FILES if (ROOT / path).exists()]


def test_files_on_an_images_way_exist():
    way = PAGE.split("## An image's way")[1].split("##")[0]
    for pattern in re.findall(r"\b\w+/[\w*]+\.py|\b\w+/sources/\*\.py", way):
        assert list((ROOT / "eqvae").glob(pattern)), pattern


def test_an_arm_is_one_file(tmp_path, monkeypatch):
    folder = tmp_path / "configs"
    shutil.copytree(config.CONFIG_DIR, folder)
    (folder / "arm" / Path(ARM).name).write_text(FILES[ARM].split("\n", 1)[1])
    monkeypatch.setattr(config, "CONFIG_DIR", folder)
    name = Path(ARM).stem
    assert test_arms.arms()[name].kind == "none"
    test_arms.test_every_arm_learns_from_a_batch(name)


def test_a_source_is_one_file(added):
    added(SOURCE)
    chosen = ["data=sprites", "~data.source", "data.batch_size=10", "data.pose.size=50"]
    target = "{_target_:eqvae.data.sources.squares.Squares,num_images:60}"
    data = build(compose([*chosen, f"+data.source={target}"])["data"], path="data")
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape == (10, 1, 50, 50)
    assert set(batch.label.tolist()) <= {0, 1, 2} and len(data.test) == 6


def test_a_group_is_one_file(added):
    group = added(GROUP).Translations()
    test_group_laws.test_every_group_is_one(group)
    test_group_laws.test_exp_follows_the_generators(group)


def test_a_domain_is_one_file(added):
    added(GROUP)
    torus = added(DOMAIN).Torus(17)
    laws = [getattr(test_domain_laws, n) for n in dir(test_domain_laws) if n.startswith("test_")]
    assert len(laws) >= 4
    for law in laws:
        law(torus)
    with pytest.raises(ValueError, match="size must be odd; got 16"):
        type(torus)(16)


def test_a_prior_is_one_file(added, monkeypatch):
    prior = added(PRIOR).StudentContent
    (command,) = re.findall(r"```bash\n(python scripts/train.py .*)\n```", PAGE)
    chosen = shlex.split(command)[2:]
    model = build(compose(chosen, image_shape=(1, 33, 33))["model"], path="model")
    assert isinstance(model.prior.content, prior)
    model.score(Batch(torch.rand(4, 1, 33, 33))).elbo.sum().backward()
    assert model.sample(2).shape == (2, 1, 33, 33)

    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(test_priors, "made", lambda kind, started=True: prior(test_priors.DIM))
    test_priors.test_draws_follow_the_density("student", True)
    test_priors.test_one_draw_estimates_the_kl("student", True)
