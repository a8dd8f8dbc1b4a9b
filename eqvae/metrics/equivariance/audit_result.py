"""What an audit found."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eqvae.metrics.equivariance.layers import LayerRow
from eqvae.metrics.score import Score

Curve = tuple[np.ndarray, np.ndarray]  # degrees and relative errors, (M,) each


@dataclass(frozen=True)
class AuditResult:
    """What an audit found; `eqvae.drawing.audit` draws it.

    Attributes:
        scores: `<part>/<motion>`, with part encoder, encoder/<block>, scenes/encoder, decoder, round_trip,
            resampling or elbo_change, and motion a family of the group's generators (rotation, shift),
            quarter_turn, reflection or element; `decoder/eq_r`, `decoder/eq_t`;
            `lie/<part>/<generator>[/relative]`.
        sweeps: by part the angles in degrees and the relative error at each; under `mirror/<part>` the same
            after a mirror.
        elements: for a finite group a row for each element but the identity: `element`, its coordinates,
            and the error of each part.
        block_shares: share of each irrep block in the encoder's squared error under the first family.
        layers: the layer table; empty if there was no network or no layer with a known action.
    """

    scores: dict[str, Score]
    sweeps: dict[str, Curve] = field(default_factory=dict)
    elements: list[dict[str, Any]] = field(default_factory=list)
    block_shares: dict[str, float] = field(default_factory=dict)
    layers: list[LayerRow] = field(default_factory=list)

    @property
    def layer_scores(self) -> dict[str, Score]:
        """The layer table as scores, `layers/<name>/<motion>` and `layers/<name>/local_<motion>`."""
        scores = {}
        for row in self.layers:
            known = {"n": row.n, "better": "lower", "ceiling": 0.0, "page": "layer-table"}
            for prefix, errors in (("", row.errors), ("local_", row.local)):
                for kind, value in errors.items():
                    scores[f"layers/{row.name}/{prefix}{kind}"] = Score(value, **known)
        return scores

    @property
    def worst_block(self) -> str | None:
        """The block with the largest share in the encoder's error."""
        return max(self.block_shares, key=self.block_shares.get) if self.block_shares else None
