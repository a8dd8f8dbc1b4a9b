"""A graph of any family does what the model does, for any number of images."""

from copy import deepcopy

import pytest
import torch

from eqvae.export.check import TOLERANCE, compared
from eqvae.export.functions import functions_of
from eqvae.export.graphs import OPSET, runner, traced, write_onnx, write_torch
from eqvae.symmetry.motions import angle_of, with_angle
from eqvae.testing import quarter_turns
from tests.cases import move
from tests.export.models import images, small

CASES = [  # family, with a fitted prior
    ("plain", True),
    ("steerable", False),
    ("canonicalised", False),
    ("harmonic", True),
    ("relaxed", False),
    ("relaxed_layers", False),
    ("projected", False),
    ("pose", True),
]


def values(functions):
    x = images()
    z, _ = functions["encode"].original(x)
    g = functions["act"].example[0][torch.arange(len(x)) % 3]
    return {"images": x, "z": z, "g": g}


@pytest.mark.parametrize(("family", "fitted"), CASES)
def test_plain_functions_do_what_the_model_does(family, fitted):
    functions = functions_of(small(family, fitted), images())
    known = values(functions)
    for name, function in functions.items():
        inputs = tuple(known[key] for key in function.inputs)
        found = compared(function.module, function, inputs)
        assert found.difference <= TOLERANCE and not found.undecided, name


@pytest.mark.parametrize(
    ("family", "fitted"), [("harmonic", False), ("harmonic", True), ("pose", False)]
)
def test_scales_are_read_and_acted_on_as_the_model_does(family, fitted):
    model = small(family, fitted, "symmetry=sim2", "latent.scale=true", "image.radius=8")
    functions = functions_of(model, images())
    known = values(functions)
    for name in ("act", "read"):
        function = functions[name]
        found = compared(function.module, function, tuple(known[key] for key in function.inputs))
        assert found.difference <= TOLERANCE and not found.undecided, name
    pose = functions["read"].outputs["pose"]
    assert pose.shape == (5,) and "log_scale]" in pose.meaning


def test_latents_of_canonicalised_images_are_as_precise_as_float32():
    """Held against float64 alone, where the model's own rounding excuses nothing."""
    function = functions_of(small("canonicalised"), images())["encode"]
    z, _ = function.module(images())
    precise, _ = deepcopy(function.original).double()(images().double())
    rounded, _ = function.original(images())
    assert (z - precise).abs().max() < 5e-6 < 1e-5 < (rounded - precise).abs().max()


def test_graphs_of_any_number_of_images_do_what_the_model_does(tmp_path):
    functions = functions_of(small("pose", fitted=True), images())
    function, z = functions["read"], values(functions)["z"]
    program = traced(function)
    write_torch(program, tmp_path / "graph.pt2")
    write_onnx(program, function, tmp_path / "graph.onnx", OPSET)
    for name in ("graph.pt2", "graph.onnx"):
        found = compared(runner(tmp_path / name), function, (z,))
        assert found.difference <= TOLERANCE and not found.undecided


def test_poses_that_are_unlikely_are_no_ties():
    """The control of what is left out: a wrong pose is a difference."""
    functions = functions_of(small("harmonic", fitted=True), images())
    function, z = functions["read"], values(functions)["z"]
    content, g, cluster = function.module(z)
    assert not compared(lambda z: function.module(z), function, (z,)).undecided
    turned = with_angle(g, angle_of(g) + 1)
    found = compared(
        lambda z: (content[: len(z)], turned[: len(z)], cluster[: len(z)]), function, (z,)
    )
    assert found.difference > 0.01 and not found.undecided


def test_kinds_of_a_learned_mixture_are_read():
    model = small("pose", False, "model/prior=mixture")
    assert set(functions_of(model, images())["read"].outputs) == {"content", "pose"}
    model.prior.content.started.fill_(1.0)
    function = functions_of(model, images())["read"]
    assert set(function.outputs) == {"content", "pose", "cluster"}
    z = torch.randn(16, model.representation.dim)
    assert compared(traced(function).module(), function, (z,)).difference <= TOLERANCE


def test_another_model_is_told_apart():
    """The control of the comparison."""
    function = functions_of(small("plain"), images())["encode"]
    other = small("plain")
    for parameter in other.parameters():
        parameter.mul_(1.01)
    wrong = functions_of(other, images())["encode"].module
    assert compared(wrong, function, (images(),)).difference > 100 * TOLERANCE


@pytest.mark.parametrize(("family", "holds"), [("harmonic", True), ("plain", False)])
def test_a_turned_image_has_the_turned_latent(family, holds):
    functions = functions_of(small(family), images())
    encode, act, decode = (functions[name].module for name in ("encode", "act", "decode"))
    x = images(4)
    g = quarter_turns()[torch.tensor([1, 2, 3, 1])]
    z, _ = encode(x)
    (moved,) = act(g, z)
    again, _ = encode(move(g, x))
    drawn, turned = decode(moved)[0], move(g, decode(z)[0])
    assert (((again - moved).norm() / moved.norm()) < 1e-3) == holds
    assert (((drawn - turned).norm() / turned.norm()) < 1e-3) == holds


def test_what_no_graph_can_is_refused_in_a_sentence():
    model = small("canonicalised")
    model.encoder.interpolation = "fourier"
    with pytest.raises(ValueError, match="train with interpolation=bicubic"):
        functions_of(model, images())
