"""compose and build: what they make, what they refuse, and how they say so."""

import re
from functools import cache

import pytest
import torch

from eqvae.config import CONFIG_DIR, build, compose, fill_data, with_defaults
from eqvae.symmetry import PlaneMotions, Representation

SYMMETRY = {"_target_": "eqvae.symmetry.PlaneMotions", "rotations": 8, "reflections": True}


def test_build_makes_nested_values() -> None:
    config = {
        "symmetry": SYMMETRY,
        "latents": [
            {"_target_": "eqvae.symmetry.Representation", "multiplicities": [2, 1]},
            {"_target_": "eqvae.symmetry.Representation", "multiplicities": [1]},
        ],
        "plain": {"a": 1, "b": [1.5, "text", None]},
    }
    built = build(config)
    assert built["symmetry"] == PlaneMotions(rotations=8, reflections=True)
    assert built["latents"] == [Representation((2, 1)), Representation((1,))]
    assert built["plain"] == {"a": 1, "b": [1.5, "text", None]}


def test_build_uses_alternative_constructors_and_extra() -> None:
    assert build(
        {"_target_": "eqvae.symmetry.PlaneMotions.cyclic"}, order=6
    ) == PlaneMotions.cyclic(6)
    config = {"_target_": "eqvae.symmetry.PlaneMotions.dihedral", "order": 4}
    assert build(config, constructors_only=True) == PlaneMotions.dihedral(4)


def test_build_partial_waits_for_arguments() -> None:
    config = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.5}
    make = build(config, allow=("eqvae.", "torch.optim."))
    optimizer = make([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["lr"] == 0.5


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "torch.optim.AdamW",
        "subprocess.Popen",
        "eqvae.config.importlib",
        "eqvae.config.importlib.import_module",
        "eqvae.config.inspect.os.system",
        "eqvae.config.Path",
        "eqvae.config.partial",
        "eqvae.models.vae.nn.Module",
        "eqvae.models.vae.dataclass",
        "eqvae.models.vae.torch.load",
        "eqvae.models.vae.VAE.load_state_dict",
        "eqvae.models.vae.VAE.__class__",
        "eqvae.symmetry.PlaneMotions.__init__.__globals__",
        "eqvae.training.checkpoint.pickle.loads",
        "eqvae",
        "eqvae.models.vae",
        "eqvaes.x",
        "eqvae..vae",
        "",
        None,
        7,
    ],
)
def test_build_refuses_what_eqvae_does_not_define(target: object) -> None:
    with pytest.raises(ValueError, match="part: "):
        build({"_target_": target, "command": "true"}, path="part")


@pytest.mark.parametrize(
    "target", ["eqvae.config.build", "eqvae.models.vae.VAE.decode", "eqvae.load_vae"]
)
def test_functions_are_refused_where_only_constructors_may_be(target: str) -> None:
    with pytest.raises(ValueError, match="not a class"):
        build({"_target_": target}, constructors_only=True)


def test_allow_counts_for_the_real_home_of_an_object() -> None:
    with pytest.raises(ValueError, match="refused"):
        build({"_target_": "torch.optim.lr_scheduler.partial"}, allow=("torch.optim.",))


def test_a_nested_target_is_refused_too() -> None:
    config = {"model": {"parts": [SYMMETRY, {"x": {"_target_": "os.system", "command": "true"}}]}}
    with pytest.raises(ValueError, match=re.escape("model.parts.1.x: _target_ must start")):
        build(config)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {**SYMMETRY, "rotatoins": 3},
            "model.rotatoins is not an argument of eqvae.symmetry.PlaneMotions; "
            "did you mean 'rotations'? Accepted: rotations, reflections.",
        ),
        ({**SYMMETRY, "rotations": "???"}, "model.rotations must be given"),
        ({"_target_": "eqvae.symmetry.Representation"}, "model.multiplicities must be given"),
        ({**SYMMETRY, "rotations": "many"}, "model.rotations must be int or null; got 'many'."),
        ({**SYMMETRY, "reflections": 1}, "model.reflections must be bool; got 1."),
        ({**SYMMETRY, "rotations": 0}, "model: rotations must be a whole number >= 1"),
        ({"_target_": "eqvae.symmetry.PlaneMotion"}, "did you mean 'PlaneMotions'?"),
        ({"_target_": "eqvae.symetry.PlaneMotions"}, "'eqvae.symetry.PlaneMotions' is not there"),
    ],
)
def test_mistakes_are_named_with_their_path(node: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build(node, path="model")


def test_choices_are_checked_against_literals() -> None:
    with pytest.raises(ValueError, match="logger.mode must be 'offline' or 'online' or 'disabled'"):
        build({"_target_": "eqvae.training.loggers.wandb_logger", "mode": "of"}, path="logger")


def test_compose_is_plain_and_waits_for_the_image_size() -> None:
    config = compose(["data=sprites"])
    assert type(config) is dict
    assert type(config["model"]) is dict
    unknown = dict.fromkeys(("size", "channels", "count", "background"), "???")
    assert config["image"] == {**unknown, "radius": None}
    assert config["model"]["encoder"]["harmonics"] == config["harmonics"]
    assert config["harmonics"]["domain"]["size"] == "${image.size}"
    assert config["model"]["encoder"]["representation"] == config["latent"]
    filled = fill_data(config, (3, 41, 41))
    assert filled["model"]["encoder"]["harmonics"]["domain"] == filled["domain"]
    assert filled["domain"]["size"] == 41 and filled["harmonics"]["channels"] == 3
    known = {"size": 41, "channels": 3, "count": 1, "background": [0.0], "radius": None}
    assert filled["image"] == known
    measured = fill_data(config, (3, 41, 41), background=[0.1, 0.2, 0.3])
    assert measured["model"]["decoder"]["background"] == [0.1, 0.2, 0.3]
    assert fill_data(measured, (3, 41, 41), background=[0.5]) == measured  # a run keeps what it has
    assert compose(["data=sprites"], image_shape=(3, 41, 41)) == filled
    assert fill_data(config, (3, 41, 41), 80)["image"]["count"] == 80


def test_compose_names_misspelt_keys_and_choices(tmp_path) -> None:
    with pytest.raises(ValueError, match="max_epoch"):
        compose(["trainer.max_epoch=3"])
    with pytest.raises(ValueError, match="harmonicc"):
        compose(["model=harmonicc"])
    with pytest.raises(FileNotFoundError, match="config_dir must hold train.yaml"):
        compose(config_dir=tmp_path)


GROUPS = ["symmetry", "latent", "optimizer", "scheduler", "trainer", "logger", "callbacks"]
CHOICES = {g: [f.stem for f in sorted((CONFIG_DIR / g).glob("*.yaml"))] for g in GROUPS}


@cache
def composed(row: int) -> dict:
    """The choices of this row of the table, or the last one where a part has fewer."""
    return compose([f"{g}={names[min(row, len(names) - 1)]}" for g, names in CHOICES.items()])


@pytest.mark.parametrize("row", range(max(map(len, CHOICES.values()))))
def test_every_choice_composes(row: int) -> None:
    assert all(composed(row)[group] for group in CHOICES)


@pytest.mark.parametrize("choice", CHOICES["symmetry"])
def test_symmetries_are_what_their_names_say(choice: str) -> None:
    names = {"so2": "SO(2)", "o2": "O(2)", "sim2": "SIM(2)", "sim2_mirrors": "O(2) x R+"}
    names |= {"se3": "SE(3)", "e3": "E(3)"}
    symmetry = build(composed(CHOICES["symmetry"].index(choice))["symmetry"])
    assert symmetry.name == names.get(choice, choice if choice == "trivial" else choice.upper())


def test_defaults_are_written_out_so_that_they_can_change():
    full = with_defaults(
        {"prior": {"_target_": "eqvae.distributions.GaussianPrior", "representation": "x"}, "n": 1}
    )
    assert full["prior"]["position_scale"] == 5.0 and full["n"] == 1
    domain = {"_target_": "eqvae.domains.SquareGrid", "size": 20}
    localiser = with_defaults({"_target_": "eqvae.nn.Localiser", "domain": domain})
    assert localiser["scales"] == [1.5, 3.0, 6.0]  # plain: a checkpoint holds no tuples
    again = build(localiser)
    assert again.weigh[0].in_features == 2
    given = {"_target_": "eqvae.symmetry.PlaneMotions", "rotations": 8}
    assert with_defaults(given) == {**given, "reflections": False}
