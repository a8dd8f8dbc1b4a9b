"""Subsets of an embedding: what is chosen is what the words say, and nonsense is one sentence."""

import numpy as np
import pyarrow as pa
import pytest

from eqvae.embedding import Embedding
from eqvae.embedding.subset import read_cuts, subset

TABLE = Embedding(
    pa.table(
        {
            "index": np.arange(6),
            "name": ["a", "b", None, "c d", "e", "a"],
            "x_pixels": pa.array([-2.0, -1.0, 0.0, 1.0, None, 3.0], pa.float32()),
            "pose_known": [True, False, True, None, True, True],
            "cluster": [0, 1, 2, 1, 0, 2],
            "cluster_probability": pa.array([0.9, 0.5, 0.8, 0.95, 0.7, 1.0], pa.float32()),
        }
    )
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("x_pixels>0", [3, 5]),
        ("x_pixels>=0,x_pixels<3", [2, 3]),
        ("x_pixels > -2 and x_pixels != 1", [1, 2, 5]),
        ("cluster==1", [1, 3]),
        ("cluster=1", [1, 3]),
        ("name==a", [0, 5]),
        ("name==c d", [3]),
        ("name!=a", [1, 3, 4]),
        ("pose_known==true", [0, 2, 4, 5]),
        ("pose_known!=true", [1]),
        ("cluster==1 and cluster_probability>0.9", [3]),
        ("x_pixels>=-1e0,index<5", [1, 2, 3]),
    ],
)
def test_rows_are_those_where_all_cuts_hold(where, rows):
    assert subset(TABLE, where=read_cuts("where", where)).column("index").tolist() == rows


def test_clusters_and_probabilities():
    assert subset(TABLE, clusters=[1, 2]).column("index").tolist() == [1, 2, 3, 5]
    some = subset(TABLE, clusters=[2], min_probability=0.9)
    assert some.column("index").tolist() == [5] and some.columns == TABLE.columns


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"where": "nowhere>3"}, "name must be one of index, name, .*; got 'nowhere'"),
        ({"where": "x_pixels"}, "where must be comparisons such as .*; got 'x_pixels'"),
        ({"where": "x_pixels>"}, "where must be comparisons"),
        ({"where": "x_pixels>a"}, "where must compare x_pixels with a number; got 'a'"),
        ({"where": "name>a"}, "can compare name with == and != only; got >a"),
        ({"where": "pose_known==1"}, "with true or false; got '1'"),
        ({"where": "x_pixels>99"}, "none of the 6 images is left"),
        ({"clusters": [1, 7]}, "clusters must be of those that the embedding has, 0 to 2; got 7"),
    ],
)
def test_nonsense_is_said(choice, message):
    with pytest.raises(ValueError, match=message):
        if "where" in choice:
            choice = {"where": read_cuts("where", choice["where"])}
        subset(TABLE, **choice)


def test_without_clusters_there_are_none_to_choose():
    nulls = TABLE.table.set_column(4, "cluster", pa.nulls(6, pa.int64()))
    with pytest.raises(ValueError, match="has no clusters. Embed the images with clusters=10"):
        subset(Embedding(nulls), clusters=[1])
