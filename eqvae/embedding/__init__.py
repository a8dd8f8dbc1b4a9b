"""One table of what each image shows and how: content, pose, cluster; and the averages of clusters."""

from eqvae.embedding.averages import ClassAverages, class_averages
from eqvae.embedding.make import embed, write_embedding
from eqvae.embedding.sheet import write_averages
from eqvae.embedding.stacks import write_stacks
from eqvae.embedding.table import Embedding

__all__ = [
    "ClassAverages",
    "Embedding",
    "class_averages",
    "embed",
    "write_averages",
    "write_embedding",
    "write_stacks",
]
