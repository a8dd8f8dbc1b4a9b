"""Embeddings: content that ignores the pose, poses that move with it, and the same rows however they come."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from eqvae.config import build, compose
from eqvae.data.batch import Batch
from eqvae.domains import SquareGrid
from eqvae.embedding import Embedding, embed, write_embedding
from eqvae.embedding.files import CSV, PARQUET, PART
from eqvae.embedding.table import row_batches
from eqvae.symmetry import motion
from eqvae.testing import GaussianScenes

SIZE = 33
GRID = SquareGrid(SIZE)
TINY = {
    "harmonic": ["latent=small", "model.encoder.hidden=8", "model.decoder.hidden=8"],
    "plain": ["latent=small", "model.encoder.width=8", "model.decoder.width=8"],
    "steerable": ["latent=small"]
    + [f"++model.{part}.{n}=4" for part in ("encoder", "decoder") for n in ("maps", "hidden")]
    + ["model.encoder.width=12", "model.decoder.width=12"],
    "pose": ["model.encoder.hidden=8", "model.decoder.hidden=16"],
}


def made(model: str, *more: str):
    """An untrained model: the laws here don't depend on training."""
    config = compose([f"model={model}", *TINY[model], *more], image_shape=(1, SIZE, SIZE))
    torch.manual_seed(0)
    return build(config["model"], path="model").eval()


@pytest.fixture(scope="module")
def pose_vae():
    return made("pose")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth objects that fade out well before the border."""
    return GaussianScenes(20, size=SIZE).render().float().clamp(0, 1)


def degrees_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs((a - b + 180) % 360 - 180)


def known_columns(table: Embedding) -> set[str]:
    return {name for name in table.columns if table.table.column(name).null_count < len(table)}


def test_a_quarter_turn_moves_the_pose_and_nothing_else(pose_vae, images):
    before = embed(pose_vae, images)
    g = motion(angle=math.pi / 2, shift=(2.0, -1.0)).expand(len(images), -1)
    after = embed(pose_vae, GRID.act(g, images))
    # the grid maps to itself, so only float32 rounding is left
    np.testing.assert_allclose(after.content, before.content, atol=2e-3)
    angle = degrees_apart(after.column("angle_degrees"), before.column("angle_degrees") + 90)
    assert np.median(angle) < 0.1 and angle.max() < 2  # two bins that are equally likely: 360 / 256
    x, y = before.column("x_pixels"), before.column("y_pixels")
    np.testing.assert_allclose(after.column("x_pixels"), -y + 2, atol=0.05)
    np.testing.assert_allclose(after.column("y_pixels"), x - 1, atol=0.05)
    for name in ("angle_credible90_degrees", "x_sd_pixels", "log_likelihood"):
        a, b = before.column(name), after.column(name)
        if name == "x_sd_pixels":
            b = after.column("y_sd_pixels")
        np.testing.assert_allclose(b, a, rtol=0.02)


def test_content_ignores_any_turn_but_a_plain_models_does_not(pose_vae, images):
    angles = torch.linspace(0.3, 6.0, len(images))
    moved = GRID.act(motion(angle=angles), images, "fourier").clamp(0, 1)

    def errors(vae) -> tuple[float, float]:
        """Change of the content over its spread between images, and error of the angle, degrees."""
        before, after = embed(vae, images, clusters=0), embed(vae, moved, clusters=0)
        change = np.abs(after.content - before.content).mean() / before.content.std(axis=0).mean()
        turned = before.column("angle_degrees") + np.rad2deg(angles.numpy())
        return change, np.median(degrees_apart(after.column("angle_degrees"), turned))

    change, angle = errors(pose_vae)
    assert change < 0.02 and angle < 1.5  # interpolation; the search has steps of 360 / 256 degrees
    change, angle = errors(made("plain"))
    assert change > 0.2 and angle > 30


@pytest.mark.parametrize("model", sorted(TINY))
def test_every_family_gives_the_same_columns_and_leaves_empty_what_it_can_not_tell(model, images):
    table = embed(made(model), images, clusters=2)
    everywhere = {"index", "content_0", "x_pixels", "y_sd_pixels", "log_likelihood", "cluster"}
    everywhere |= {"angle_degrees", "angle_credible90_degrees", "pose_known", "cluster_probability"}
    assert everywhere <= known_columns(table)
    assert {"name", "label", "reflected"}.isdisjoint(known_columns(table))
    assert ("symmetry_order" in known_columns(table)) == (model == "pose")
    angle = table.column("angle_degrees")
    assert np.all((angle >= 0) & (angle < 360))
    assert set(table.column("cluster")) <= {0, 1}
    assert table.columns == embed(made(model), images[:3], clusters=0).columns


def test_mirror_images_are_told_apart_where_they_are_the_same_object(images):
    vae = made("pose", "symmetry=o2", "latent.sign=1", "model.inference.reflections=true")
    before = embed(vae, images, clusters=0)
    after = embed(vae, images.flip(-2), clusters=0)
    np.testing.assert_allclose(after.content, before.content, atol=2e-3)
    assert np.mean(before.column("reflected") ^ after.column("reflected")) > 0.9


def test_the_credible_set_is_the_posteriors_own(pose_vae, images):
    table = embed(pose_vae, images, clusters=0)
    with torch.no_grad():
        own = pose_vae.encode(Batch(images)).pose.credible_angles(points=720)
    # bins that hold less than 1e-7 of the posterior are left out
    np.testing.assert_allclose(table.column("angle_credible90_degrees"), own, atol=0.01)


def test_rows_are_the_same_in_any_batches_in_memory_and_in_files(pose_vae, images, tmp_path):
    whole = embed(pose_vae, images, clusters=3, names=[f"{i}.png" for i in range(20)])
    parts = zip(images.split(7), torch.arange(20).split(7), strict=True)
    batches = [Batch(x, index=i) for x, i in parts]
    path = write_embedding(
        pose_vae, batches, tmp_path, clusters=3, batch=4, names=[f"{i}.png" for i in range(20)]
    )
    stored = Embedding.read(path)
    assert {file.name for file in tmp_path.iterdir()} == {PARQUET, CSV}
    assert stored.table.schema == whole.table.schema and len(stored) == 20
    for name in whole.columns:
        a, b = whole.column(name), stored.column(name)
        if a.dtype.kind == "f":
            near = {
                "rtol": 1e-3,
                "atol": 2e-2,
            }  # positions to a hundredth of a pixel, float32 elsewhere
            if name != "angle_degrees":
                np.testing.assert_allclose(b, a, **near, err_msg=name)
        elif name != "cluster":
            assert np.array_equal(a, b), name
    assert degrees_apart(whole.column("angle_degrees"), stored.column("angle_degrees")).max() < 2
    assert (whole.column("cluster") == stored.column("cluster")).all()
    csv = pa.csv.read_csv(tmp_path / CSV)
    assert csv.column_names == stored.columns and csv.num_rows == 20
    assert [len(b) for b in row_batches(path, 6)] == [6, 6, 6, 2]
    whole.write(tmp_path / "again")
    assert Embedding.read(tmp_path / "again").table.equals(whole.table)


def test_clusters_are_those_of_a_learned_mixture_where_there_is_one(images):
    from eqvae.distributions.priors import MixtureContent

    vae = made("pose")
    vae.prior.content = prior = MixtureContent(vae.encoder.content_dim, 4)
    assert len(set(embed(vae, images, clusters=2).column("cluster"))) == 2
    with torch.no_grad():
        content = vae.encode(Batch(images)).content
        prior.start(None, content, seed=0)
        expected = prior.responsibilities(content.loc)
    table = embed(vae, images)
    assert np.array_equal(table.column("cluster"), expected.argmax(dim=1))
    np.testing.assert_allclose(table.column("cluster_probability"), expected.amax(dim=1), rtol=1e-3)


def test_clusters_are_fitted_on_a_sample_but_assigned_to_all(pose_vae, images, monkeypatch):
    monkeypatch.setattr("eqvae.embedding.clusters.SAMPLE", 8)
    table = embed(pose_vae, images, clusters=2)
    assert table.table.column("cluster").null_count == 0 and len(table) == 20


def test_images_without_an_object_get_rows_without_nan(pose_vae):
    flat = torch.stack([torch.zeros(1, SIZE, SIZE), torch.full((1, SIZE, SIZE), 0.5)])
    table = embed(pose_vae, flat)
    assert not table.column("pose_known").any()
    assert (table.column("symmetry_order") == 0).all()
    np.testing.assert_allclose(table.column("angle_credible90_degrees"), 324, atol=54)
    some = [n for n in table.columns if table.table.column(n).null_count == 0]
    assert {"x_pixels", "log_likelihood", "cluster"} <= set(some)
    assert all(np.isfinite(table.column(n).astype(float)).all() for n in some)
    same = embed(pose_vae, flat[:1].expand(5, -1, -1, -1))  # one kind of content: one cluster
    assert set(same.column("cluster")) == {0} and set(same.column("cluster_probability")) == {1.0}


def test_labels_and_indices_come_through(pose_vae, images):
    batch = Batch(images[:3], index=torch.tensor([7, 5, 9]), label=torch.tensor([2, -1, 0]))
    table = embed(pose_vae, [batch], clusters=0)
    assert table.column("index").tolist() == [7, 5, 9]
    assert table.table.column("label").to_pylist() == [2, None, 0]
    assert table.pose.shape == (3, 4) and len(table.to_frame()) == 3


def test_optics_come_with_the_batch_or_beside_the_tensor(images):
    vae, seen = made("plain"), []
    encode = vae.encode
    vae.encode = lambda batch: seen.append(batch.transfer) or encode(batch)
    transfer = torch.rand(20, 5)
    for given in (
        {"images": images, "transfer": transfer},
        {"images": [Batch(images, transfer=transfer)]},
    ):
        seen.clear()
        embed(vae, batch=8, clusters=0, **given)
        torch.testing.assert_close(torch.cat(seen), transfer)


def test_what_is_done_stays_when_it_is_interrupted(pose_vae, images, tmp_path):
    def batches():
        yield images[:6]
        yield images[6:12]
        raise KeyboardInterrupt

    write_embedding(pose_vae, images[:3], tmp_path, clusters=2)
    with pytest.raises(KeyboardInterrupt):
        write_embedding(pose_vae, batches(), tmp_path, clusters=2)
    assert len(Embedding.read(tmp_path)) == 3
    with pa.OSFile(str(tmp_path / PART)) as file:
        assert pa.ipc.open_stream(file).read_all().num_rows == 12


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: {"images": x[:, 0]}, r"images must be \(N, 1, 33, 33\)"),
        (lambda x: {"images": x[..., :32]}, r"as the model was trained on; got \(20, 1, 33, 32\)"),
        (lambda x: {"images": x[:0]}, "images is empty"),
        (lambda x: {"images": []}, "images is empty"),
        (lambda x: {"images": (255 * x).byte()}, r"float in \[0, 1\]; got torch.uint8"),
        (lambda x: {"images": 255 * x}, r"must lie in \[0, 1\]"),
        (
            lambda x: {"images": x.index_fill(0, torch.tensor(13), math.nan), "batch": 6},
            "image 13 holds",
        ),
        (lambda x: {"images": x, "names": ["a"]}, "one entry for each of the 20 images; got 1"),
        (lambda x: {"images": [x], "names": ["a"]}, "for each image; got 1, and image 1 has none"),
        (lambda x: {"images": [x], "transfer": x}, "into each Batch"),
        (lambda x: {"images": x, "clusters": -1}, "clusters must be 0, for none"),
        (lambda x: {"images": x, "batch": 0}, "batch must be a whole number"),
    ],
)
def test_mistakes_are_named(pose_vae, images, wrong, message):
    with pytest.raises(ValueError, match=message):
        embed(pose_vae, **wrong(images))


def test_a_model_in_training_is_refused(images):
    with pytest.raises(ValueError, match="eval mode"):
        embed(made("plain").train(), images)


def test_unknown_columns_are_named(pose_vae, images):
    with pytest.raises(ValueError, match="name must be one of index, name.*got 'angle'"):
        embed(pose_vae, images[:2], clusters=0).column("angle")
