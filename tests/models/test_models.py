"""Every model and objective that can be chosen composes, builds, learns from a batch and comes back."""

import math
from functools import cache
from typing import Any

import pytest
import torch

from eqvae.config import CONFIG_DIR, build, compose, fill_data
from eqvae.data.batch import Batch
from eqvae.losses import Objective
from eqvae.metrics import elbo_change
from eqvae.models import VAE, Model
from eqvae.symmetry import motion
from eqvae.testing import GaussianScenes
from eqvae.training.checkpoint import load_weights, weights
from tests.cases import draw
from tests.training.runs import FAMILIES, LATENTS

MODELS = FAMILIES  # those of images
OBJECTIVES = sorted(file.stem for file in (CONFIG_DIR / "objective").glob("*.yaml"))
EXPERIMENTS = sorted(file.stem for file in (CONFIG_DIR / "experiment").glob("*.yaml"))
SYMMETRIES = {
    "canonicalised": ["so2"],
    "harmonic": ["so2", "o2", "sim2"],
    "plain": ["trivial", "so2"],
    "pose": ["so2", "o2"],
    "projected": ["so2", "o2"],
    "relaxed": ["so2", "o2"],
    "relaxed_layers": ["so2", "o2"],
    "steerable": ["c4", "d4", "o2"],
}
FIBRE = ["model.encoder.encoder.hidden=8", "model.decoder.decoder.hidden=8"]
TINY = {
    "canonicalised": ["model.encoder.encoder.width=8", "model.decoder.decoder.width=8"],
    "harmonic": ["model.encoder.hidden=8", "model.decoder.hidden=8"],
    "plain": ["model.encoder.width=8", "model.decoder.width=8"],
    "pose": ["model.encoder.hidden=8", "model.decoder.hidden=16", "latent.multiplicities=[4,1]"],
    "projected": FIBRE,
    "relaxed": FIBRE + ["model.encoder.free.width=8", "model.decoder.free.width=8"],
    "relaxed_layers": FIBRE,
    "steerable": [
        f"++model.{part}.{name}=4" for part in ("encoder", "decoder") for name in ("maps", "hidden")
    ]
    + ["model.encoder.width=12", "model.decoder.width=12"],
}
MIRRORED = {"pose": ["latent.sign=1", "model.inference.reflections=true"]}  # what O(2) asks besides
ASKED = {  # what an objective asks of the model
    "clusters": [
        "model/prior=mixture",
        "model.deform={_target_: eqvae.pose.deform.RandomDeformation, harmonics: ${harmonics}}",
    ]
}
SOFT = ["projected", "relaxed", "relaxed_layers"]  # layers that must pay for what they break
ONLY = {  # models that an objective is for, the others are refused
    "clusters": ["pose"],
    **dict.fromkeys(
        ("elbo", "elbo_warmup", "elbo_cyclic"), [model for model in MODELS if model not in SOFT]
    ),
    **dict.fromkeys(("elbo_relaxed", "elbo_projected"), SOFT),
    "elbo_soft": [model for model in MODELS if model not in ("pose", *SOFT)],
}
SIZE = 33


@cache
def composed(*choices: str) -> dict[str, Any]:
    return compose(choices)


@cache
def filled(*choices: str, channels: int) -> dict[str, Any]:
    return fill_data(composed(*choices), (channels, SIZE, SIZE))


def made(
    model: str, symmetry: str = "so2", channels: int = 1, objective: str | None = None
) -> tuple[VAE, Objective]:
    choices = [f"model={model}", f"symmetry={symmetry}"]
    choices += [f"latent={LATENTS.get(model, 'small')}", *TINY[model]]
    choices += MIRRORED.get(model, []) if symmetry == "o2" else []
    choices += ASKED.get(objective, []) if model == "pose" else []
    config = filled(*choices, channels=channels)
    loss = config["objective"]  # a soft model brings its own
    if objective:
        loss = filled(f"objective={objective}", channels=channels)["objective"]
    torch.manual_seed(0)
    return build(config["model"], path="model"), build(loss, path="objective")


def images(channels: int = 1) -> torch.Tensor:
    return GaussianScenes(4, size=SIZE, channels=channels).render()


def step(vae: VAE, objective: Objective) -> float:
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    channels = vae.decoder(vae.prior.sample(1)).shape[1]
    objective.check(vae)
    loss, terms = objective(vae, Batch(images(channels)), step=0)
    loss.backward()
    optimizer.step()
    assert all(value.isfinite() for value in terms.values())
    return loss.item()


def test_every_model_is_tested():
    assert set(MODELS) == set(SYMMETRIES) == set(TINY)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_builds(experiment):
    side = {"conformers": 9}.get(experiment, 50)  # ethanol, whose atoms it names
    config = compose([f"experiment={experiment}"], image_shape=(1, side, side))
    assert isinstance(build(config["model"], path="model"), Model)
    assert isinstance(build(config["objective"], path="objective"), Objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", MODELS)
def test_every_objective_trains_the_models_it_is_for(model, objective):
    vae, loss = made(model, objective=objective)
    if model not in ONLY.get(objective, MODELS):
        with pytest.raises(ValueError, match="needs|must price"):
            loss.check(vae)
        return
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    for _ in range(2):  # a residual that starts at zero gives its other factor no gradient at first
        assert math.isfinite(step(vae, loss))
    changed = [name for name, p in vae.named_parameters() if not torch.equal(p, before[name])]
    assert len(changed) > 0.9 * len(before)
    assert all(p.isfinite().all() for p in vae.parameters())


@pytest.mark.parametrize(
    ("model", "symmetry"), [(m, s) for m, names in SYMMETRIES.items() for s in names]
)
def test_every_symmetry_trains_on_colour_and_comes_back(model, symmetry):
    vae, objective = made(model, symmetry, channels=3)
    x = images(3)
    assert vae.reconstruct(Batch(x), vae.encode(Batch(x))).shape == x.shape
    step(vae, objective)
    other, _ = made(model, symmetry, channels=3)
    load_weights(other, weights(vae))
    with torch.no_grad():
        a, b = (v.eval().score(Batch(x), sample=False) for v in (vae, other))
        drawn, again = (v.reconstruct(Batch(x), v.encode(Batch(x))) for v in (vae, other))
    assert torch.equal(drawn, again) and torch.equal(a.elbo, b.elbo)


@pytest.mark.parametrize("model", MODELS)
def test_models_share_nothing(model):
    """Moving one model to another type or device leaves the next one where it is."""
    vae, x = made(model)[0], images()
    made(model)[0].double()
    mixed = [b.dtype for b in (*vae.buffers(), *vae.parameters()) if b.is_floating_point()]
    assert set(mixed) == {torch.float32}
    assert made(model)[0].score(Batch(x)).elbo.isfinite().all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [SIZE, 64])
def test_models_hold_no_numbers_that_are_slow_to_compute_with(model, size):
    """Below float32's normal range a product takes fifty times as long: one such table is half a training."""
    config = compose([f"model={model}", *TINY[model]], image_shape=(1, size, size))
    for name, held in build(config["model"], path="model").named_buffers():
        if held.is_floating_point():
            small = (held != 0) & (held.abs() < torch.finfo(held.dtype).tiny)
            assert not small.any(), f"{name}: {int(small.sum())} of {held.numel()}"


@pytest.mark.parametrize("model", MODELS)
def test_the_elbo_of_hard_models_does_not_change_under_rotations(model):
    """At quarter turns to rounding; at other angles tests/nn/ bounds what pixels and networks cost."""
    vae, scenes = made(model)[0].eval(), GaussianScenes(4, size=SIZE)
    quarters = motion(angle=torch.arange(1, 4) * (math.pi / 2))
    nats = elbo_change(vae, scenes.render, quarters)[0]
    controls = {"plain": 20, "projected": 1}  # nothing is imposed; the second starts faint
    assert nats.min() > controls[model] if model in controls else nats.max() < 0.05
    if model in ("harmonic", "pose"):
        assert (
            elbo_change(vae, scenes.render, draw(vae.encoder.symmetry, 6, shift=0.0))[0].max() < 0.5
        )


@pytest.mark.parametrize("model", ["harmonic", "pose", "steerable"])
def test_hard_models_need_a_position(model):
    choices = [f"model={model}", "latent.position=false"]
    config = compose(choices, image_shape=(1, 50, 50))
    with pytest.raises(ValueError, match=r"representation must (carry|be) a position"):
        build(config["model"], path="model")


def test_a_plain_model_works_without_a_position():
    config = compose(
        ["model=plain", "latent=small", "latent.position=false"], image_shape=(1, 33, 33)
    )
    vae = build(config["model"], path="model")
    assert [block.name for block in vae.representation.blocks] == ["psi0", "psi1"]
    assert vae.score(Batch(images())).elbo.shape == (4,)


@pytest.mark.parametrize("model", ["harmonic", "pose"])
def test_a_finite_group_is_refused_by_name(model):
    choices = [f"model={model}", "symmetry=c8", f"latent={LATENTS.get(model, 'small')}"]
    config = compose(choices, image_shape=(1, 50, 50))
    with pytest.raises(ValueError, match=r"model.encoder: symmetry must be SO\(2\) or O\(2\)"):
        build(config["model"], path="model")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (part, file.stem)
        for part in ("inference", "prior")
        for file in sorted((CONFIG_DIR / "model" / part).glob("*.yaml"))
    ],
)
def test_every_part_of_a_pose_model_trains(part, name):
    choices = ["model=pose", *TINY["pose"], f"model/{part}={name}"]
    config = compose(choices, image_shape=(1, SIZE, SIZE))
    torch.manual_seed(0)
    vae, objective = build(config["model"], path="model"), build(config["objective"])
    assert math.isfinite(step(vae, objective))
    with torch.no_grad():
        elbo = vae.eval().score(Batch(images())).elbo
        again = vae.reconstruct(Batch(images()), vae.encode(Batch(images())))
    assert elbo.isfinite().all() and again.shape == images().shape


def test_mirrors_are_asked_for_in_three_places():
    """A pose model that knows chiralities: symmetry, latent and inference say so, or a message does."""
    choices = ["model=pose", "symmetry=o2"]
    config = compose(choices, image_shape=(1, 50, 50))
    with pytest.raises(ValueError, match="model.* set latent.sign=1"):
        build(config["model"], path="model")
    config = compose([*choices, "latent.sign=1"], image_shape=(1, 50, 50))
    with pytest.raises(ValueError, match="model: inference.reflections must be True"):
        build(config["model"], path="model")


def test_a_latent_of_many_frames_is_refused_by_a_pose_model():
    config = compose(["model=pose", "latent=small"], image_shape=(1, 50, 50))
    with pytest.raises(ValueError, match="model.prior: .* Choose latent=pose"):
        build(config["model"], path="model")
