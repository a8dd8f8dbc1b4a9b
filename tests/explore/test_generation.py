"""Images drawn from a prior are what was asked for: kind, pose, spread, and the same ones again."""

import csv
import math
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.distributions.orbit import OrbitPosedPrior, OrbitPrior
from eqvae.explore.generation import Wish, decoded, draw, gallery, generate, is_fitted
from eqvae.explore.sample_files import (
    COLUMNS,
    write_arrays,
    write_pages,
    write_pictures,
    write_table,
)
from eqvae.explore.walk import content_walk, walk_frames, walk_picture
from eqvae.models.model import Model
from eqvae.symmetry import PlaneMotions, motion
from eqvae.symmetry.motions import angle_of, identity, reflection_of, shift_of
from eqvae.testing import GaussianScenes
from tests.cases import move
from tests.training.runs import NARROW

SIZE, COMPONENTS = 33, 4
MIDDLE = {"angle": 0.0, "shift": (0.0, 0.0)}


@cache
def trained(family: str, *overrides: str) -> Model:
    """A narrow model with random weights and the prior of training, in float64."""
    settings = [f"model={family}", *NARROW[family], *overrides]
    latent = [] if family == "pose" else ["latent=small"]
    config = compose([*settings, *latent], image_shape=(1, SIZE, SIZE))
    torch.manual_seed(0)
    return build(config["model"], path="model").double().eval()


def fitted(family: str, *overrides: str, symmetry: PlaneMotions | None = None) -> Model:
    """The same with a mixture of four kinds as if it had been fitted."""
    model = deepcopy(trained(family, *overrides))
    latent = model.representation
    if family == "pose":
        model.prior = OrbitPosedPrior(latent, COMPONENTS, rank=2, position_scale=3.0)
        mixture = model.prior.content.mixture
    else:
        symmetry = symmetry or model.symmetry
        model.prior = OrbitPrior(latent, symmetry, COMPONENTS, rank=2, rings=2)
        mixture = model.prior.mixture
    torch.manual_seed(1)
    for parameter, scale in ((mixture.loc, 2.0), (mixture.factor, 0.3), (mixture.logits, 0.5)):
        parameter.data.normal_().mul_(scale)
    mixture.log_scale.data.fill_(-1.0)
    model.prior.double().requires_grad_(False)
    return model.eval()


FAMILIES = ["harmonic", "pose", "plain"]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {family: fitted(family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_decides(models, family):
    first, again, other = (generate(models[family], Wish(n=5, seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images) and torch.equal(first.z, again.z)
    assert not torch.equal(first.images, other.images)
    torch.rand(3)
    assert torch.equal(draw(models[family], Wish(n=5, seed=3)).z, first.z)


def turned(model: Model, degrees: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Images drawn at an angle, and those drawn upright turned by it."""
    g = math.radians(degrees)
    drawn = generate(model, Wish(n=6, angle=g, shift=(0.0, 0.0), seed=1)).images
    upright = generate(model, Wish(n=6, **MIDDLE, seed=1)).images
    return drawn, move(motion(g).expand(6, 4).to(upright), upright, "fourier")


def residual(pair: tuple[torch.Tensor, torch.Tensor]) -> float:
    a, b = (x - x.mean(dim=(2, 3), keepdim=True) for x in pair)
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("family", ["harmonic", "pose"])
@pytest.mark.parametrize("degrees", [90, 180, 37.0])
def test_a_given_angle_turns_every_image(models, family, degrees):
    """Exact on the grid's own turns; at others what interpolating an image of random weights costs."""
    assert residual(turned(models[family], degrees)) < (1e-5 if degrees % 90 == 0 else 0.1)


@pytest.mark.filterwarnings("ignore:angle turns latents")
def test_control_a_plain_decoder_does_not_turn_its_images(models):
    assert residual(turned(models["plain"], 90)) > 0.3


@pytest.mark.parametrize("family", ["harmonic", "pose"])
def test_a_given_pose_changes_nothing_but_the_pose(models, family):
    """The same seed shows the same objects: z = g . z_upright for the g that was drawn."""
    model = models[family]
    free, still = draw(model, Wish(n=40)), draw(model, Wish(n=40, **MIDDLE))
    assert torch.equal(free.component, still.component)
    moved = model.representation.act(free.pose, still.z)
    torch.testing.assert_close(moved, free.z)
    assert torch.equal(still.pose, identity(40).to(still.pose))
    assert angle_of(free.pose).std() > 1 and shift_of(free.pose).std() > 0.3
    aside = draw(model, Wish(n=40, shift=(4.0, -2.0)))
    torch.testing.assert_close(shift_of(aside.pose), aside.pose.new_tensor([[4.0, -2.0]] * 40))
    assert torch.equal(angle_of(aside.pose), angle_of(free.pose))


def test_settled_draws_are_of_the_model_itself(models):
    """A settled draw is one of q(z | D(z)), upright at the centre; without rounds it is that of the prior."""
    model = models["harmonic"]
    raw = draw(model, Wish(n=20, rounds=0, **MIDDLE)).z
    settled = draw(model, Wish(n=20, **MIDDLE)).z
    middle = model.representation.slices.position
    assert not torch.allclose(raw, settled)
    assert torch.equal(settled[:, middle], torch.zeros_like(settled[:, middle]))


def test_mirror_images_are_drawn_where_mirrors_are_a_symmetry():
    model = fitted("harmonic", "symmetry=o2")
    share = reflection_of(draw(model, Wish(n=200)).pose).mean()
    assert 0.35 < share < 0.65  # 200 fair coins, 4 standard deviations
    assert reflection_of(draw(model, Wish(n=50, angle=1.0)).pose).sum() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_components_asked_for_are_drawn(models, family):
    model = models[family]
    samples = draw(model, Wish(n=100, components=(1, 3)))
    assert set(samples.component.tolist()) == {1, 3}
    assert set(draw(model, Wish(n=100)).component.tolist()) == set(range(COMPONENTS))


def test_components_come_by_their_weights(models):
    model = models["harmonic"]
    count = draw(model, Wish(n=4000)).component.bincount(minlength=COMPONENTS) / 4000
    assert (count - model.prior.weights).abs().max() < 4 * math.sqrt(0.25 / 4000)
    few = draw(model, Wish(n=4000, components=(0, 2))).component.eq(0).double().mean()
    w = model.prior.weights
    assert abs(few - w[0] / (w[0] + w[2])) < 4 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize("family", FAMILIES)
def test_temperature_zero_gives_the_middle_of_each_component(models, family):
    model = models[family]
    cold = draw(model, Wish(n=20, temperature=0.0, **MIDDLE))
    torch.testing.assert_close(cold.z, model.prior.centres()[cold.component])
    warm, hot = (draw(model, Wish(n=300, temperature=t, rounds=0, **MIDDLE)).z for t in (1.0, 4.0))
    torch.testing.assert_close(hot - cold_of(model), 2 * (warm - cold_of(model)))


def cold_of(model: Model) -> torch.Tensor:
    return draw(model, Wish(n=300, temperature=0.0, **MIDDLE)).z


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_are_those_of_the_prior(models, family):
    samples = draw(models[family], Wish(n=9))
    torch.testing.assert_close(samples.log_prob, models[family].prior.log_prob(samples.z))


def test_drawn_latents_are_those_that_the_prior_samples(models):
    """Mean log p of draws is the prior's negative entropy, whichever way they are drawn."""
    model, n = models["harmonic"], 2000
    ours = draw(model, Wish(n=n, rounds=0)).log_prob
    theirs = model.prior.log_prob(model.prior.sample(n, torch.Generator().manual_seed(1)))
    error = math.sqrt(float(ours.var() + theirs.var()) / n)
    assert abs(float(ours.mean() - theirs.mean())) < 4 * error


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_fitted_prior_samples_are_the_models_own(family):
    model = trained(family)
    assert not is_fitted(model.prior)
    samples = generate(model, Wish(n=4, seed=2))
    with torch.no_grad():
        expected = model.sample(4, torch.Generator().manual_seed(2))
    torch.testing.assert_close(samples.images.double(), expected, atol=1e-5, rtol=1e-4)
    assert samples.component.tolist() == [-1] * 4
    assert bool(angle_of(samples.pose).isnan().all()) == (family != "pose")
    aside = draw(model, Wish(n=4, seed=2, shift=(1.0, 2.0)))
    rest = slice(2, None)
    torch.testing.assert_close(aside.z[..., rest], samples.z[..., rest])
    torch.testing.assert_close(shift_of(aside.pose), aside.pose.new_tensor([[1.0, 2.0]] * 4))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"n": 0}, "n must be at least 1 image; got 0"),
        ({"temperature": -1.0}, "temperature must be a number of at least 0; got -1.0"),
        ({"temperature": math.nan}, "temperature must be .* got nan"),
        ({"angle": math.inf}, "angle must be a finite number; got inf"),
        ({"shift": (0.0, math.nan)}, "shift must be two finite numbers"),
        ({"seed": -1}, "seed must be a whole number"),
        (
            {"components": (4,)},
            "clusters must be components of the fitted prior, from 0 to 3; got 4",
        ),
        ({"shift": (17.0, 0.0)}, "centre in the image, up to 16.5 pixels either way; got 17, 0"),
    ],
)
def test_bad_wishes_are_refused(models, wish, message):
    with pytest.raises(ValueError, match=message):
        draw(models["harmonic"], Wish(**wish))


@pytest.mark.parametrize("wish", [{"components": (0,)}, {"temperature": 0.5}, {"angle": 0.0}])
def test_what_only_a_fitted_prior_knows_is_refused_without_one(wish):
    with pytest.raises(ValueError, match=r"needs .*fitted prior.*scripts/fit_prior\.py"):
        draw(trained("harmonic"), Wish(**wish))


def test_turning_what_knows_no_turns_is_warned_of(models):
    still = fitted("plain", symmetry=PlaneMotions.trivial())
    with pytest.warns(UserWarning, match="knows no turns"):
        draw(still, Wish(n=2, angle=1.0))
    assert angle_of(draw(still, Wish(n=5)).pose).abs().sum() == 0


def test_a_gallery_has_a_row_for_each_group(models):
    model = models["harmonic"]
    rows = gallery(model, [[2], [0, 1]], columns=3)
    assert [name.split(":")[0] for name in rows] == ["2", "0+1"]
    alone = generate(model, Wish(n=3, components=(2,), **MIDDLE)).images
    assert torch.equal(next(iter(rows.values())), alone)
    assert len(gallery(model, columns=2)) == COMPONENTS
    with pytest.raises(ValueError, match="a gallery needs a fitted prior"):
        gallery(trained("harmonic"))


def test_groups_hold_every_component_once_and_are_those_of_kinds(models):
    for model in models.values():
        prior = deepcopy(model.prior)
        near = torch.tensor([[0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 0, 9], [0, 0, 9, 0]])
        prior.mixture.overlap.copy_(near)
        groups = prior.members(2)
        assert sorted(map(sorted, groups)) == [[0, 1], [2, 3]]
        weights = [float(prior.weights[group].sum()) for group in groups]
        assert weights == sorted(weights, reverse=True)
        content = prior.mixture.loc
        kinds = prior.kinds(content, 2)
        own = prior.kinds(content)
        for i, group in enumerate(groups):
            torch.testing.assert_close(kinds[:, i], own[:, group].sum(1))
        with pytest.raises(ValueError, match="groups must be from 1 to the 4 components"):
            prior.members(5)


# walks


@pytest.mark.parametrize("family", FAMILIES)
def test_a_walk_begins_at_a_reconstruction_and_ends_at_the_other_content(models, family):
    model, batch = models[family], scenes()
    walk = content_walk(model, batch, steps=5)
    with torch.no_grad():
        q = model.encode(batch)
        torch.testing.assert_close(walk.images[:1], model.decode(q.mode[:1]))
    torch.testing.assert_close(walk.content[[0, -1]], q.content.loc)
    torch.testing.assert_close(walk.content[2], q.content.loc.mean(0))


@pytest.mark.parametrize("family", ["harmonic", "pose"])
def test_walks_at_another_pose_are_the_same_walk_moved(models, family):
    """D(g . c(s)) for every s: a quarter turn about the image centre is exact."""
    upright, quarter = (
        content_walk(models[family], scenes(), 4, angle=angle, shift=(0.0, 0.0)).images
        for angle in (0.0, math.pi / 2)
    )
    torch.testing.assert_close(
        quarter, torch.rot90(upright, 1, dims=(-2, -1)), atol=1e-6, rtol=1e-5
    )
    assert (quarter - upright).abs().max() > 1e-3


def test_both_ends_of_a_walk_through_the_other_image_are_its_reconstruction(models):
    """At the second image's own pose the walk ends at that image's reconstruction."""
    model, batch = models["harmonic"], scenes()
    with torch.no_grad():
        g = model.encode(batch).pose.mode[1]
        again = model.decode(model.encode(batch).mode[1:])
    walk = content_walk(model, batch, 3, float(angle_of(g)), tuple(shift_of(g).tolist()))
    torch.testing.assert_close(walk.images[-1:], again)


def test_walks_of_wrong_lengths_are_refused(models):
    with pytest.raises(ValueError, match="two images in at least 2 steps; got 2 and 1"):
        content_walk(models["plain"], scenes(), steps=1)


def test_frames_go_there_and_back(models):
    walk = content_walk(models["plain"], scenes(), steps=4)
    assert len(walk_frames(walk)) == 6
    assert walk_picture(walk, "a walk").size[0] > 4 * SIZE


def scenes() -> Batch:
    return Batch(GaussianScenes(2, size=SIZE, seed=3).render().double())


# files


def drawn(channels: int = 1, n: int = 5):
    samples = generate(fitted("harmonic"), Wish(n=n))
    return replace(samples, images=torch.rand(n, channels, 9, 9))


def test_the_table_says_what_was_drawn(tmp_path):
    samples = draw(fitted("harmonic"), Wish(n=7, angle=math.radians(-30), temperature=0.5))
    write_table(samples, tmp_path / "samples.csv")
    with (tmp_path / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 7
    assert [int(r["component"]) for r in rows] == samples.component.tolist()
    assert {r["angle_degrees"] for r in rows} == {"330.000"} and rows[3]["temperature"] == "0.5"
    found = [float(r["log_prob"]) for r in rows]
    assert found == pytest.approx(samples.log_prob.tolist(), abs=1e-3)
    write_table(draw(trained("harmonic"), Wish(n=1)), tmp_path / "samples.csv")
    last = (tmp_path / "samples.csv").read_text().splitlines()[1].split(",")
    assert last[:3] == ["0", "", ""] and float(last[3])


def test_arrays_come_back(tmp_path):
    samples = drawn()
    write_arrays(samples, tmp_path / "samples.npz")
    with np.load(tmp_path / "samples.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], samples.images)
        np.testing.assert_array_equal(arrays["latents"], samples.z)
        assert set(arrays) == {"images", "latents", "component", "pose", "log_prob"}


@pytest.mark.parametrize(("channels", "pages", "mode"), [(1, 5, "L"), (3, 5, "RGB"), (2, 10, "L")])
def test_pages_hold_the_images(tmp_path, channels, pages, mode):
    samples, path = drawn(channels), tmp_path / "samples.tiff"
    write_pages(samples.images, path)
    numbers = samples.images.flatten(0, 1).numpy()
    with Image.open(path) as tiff:
        assert tiff.n_frames == 5 * channels and tiff.mode == "F"
        for index in range(tiff.n_frames):
            tiff.seek(index)
            np.testing.assert_array_equal(np.asarray(tiff), numbers[index])
    write_pages(samples.images, path, "uint8")
    with Image.open(path) as tiff:
        assert (tiff.n_frames, tiff.mode) == (pages, mode)
        tiff.seek(tiff.n_frames - 1)
        expected = samples.images[-1].permute(1, 2, 0).squeeze(2) if channels != 2 else numbers[-1]
        assert np.abs(np.asarray(tiff) / 255.0 - np.asarray(expected)).max() < 1 / 255


def test_pictures_of_before_do_not_stay(tmp_path):
    write_pictures(drawn(n=5), tmp_path)
    write_pictures(drawn(n=3), tmp_path)
    assert len(list((tmp_path / "images").glob("*.png"))) == 3
    single = np.asarray(Image.open(tmp_path / "images" / "sample_00000.png"))
    assert single.shape == (9, 9) and (tmp_path / "samples.png").is_file()


def test_many_images_are_decoded_in_parts(models):
    seen = []

    def watch(steps, what):
        seen.append((len(steps), what))
        return steps

    z = draw(models["harmonic"], Wish(n=300)).z
    images = decoded(models["harmonic"], z, watch)
    assert seen == [(2, "decoding")] and images.shape == (300, 1, SIZE, SIZE)
    with torch.no_grad():
        last = models["harmonic"].decode(z[-3:]).float()
    torch.testing.assert_close(images[-3:], last)
