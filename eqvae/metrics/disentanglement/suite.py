"""All scores of disentanglement at once, per irrep block and, marked legacy, per column.

A basis inside an irrep block is a convention, so a score that moves with it says nothing about the model.
With `blocks` every score comes in a version that sees only the spaces that the blocks span: any
invertible linear map inside blocks leaves it as it is, and mixing blocks lowers it. The per-column versions
keep the protocols of the literature, for comparison with it.

InfoMEC per block is the one to look at first; then DCI per block for what a non-linear reader finds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestClassifier

from eqvae.metrics.disentanglement.block_dci import block_dci
from eqvae.metrics.disentanglement.dci import dci
from eqvae.metrics.disentanglement.explicitness import explicitness
from eqvae.metrics.disentanglement.histograms import class_factors
from eqvae.metrics.disentanglement.infomec import infomec
from eqvae.metrics.disentanglement.information import block_information
from eqvae.metrics.disentanglement.irs import interventional_robustness
from eqvae.metrics.disentanglement.mig import block_mig, mig
from eqvae.metrics.disentanglement.modularity import block_modularity, modularity
from eqvae.metrics.disentanglement.sap import block_sap, sap
from eqvae.metrics.disentanglement.votes import beta_vae_score, factor_vae_score
from eqvae.metrics.inputs import Blocks, Codes, Factors, as_blocks, as_codes, as_factors
from eqvae.metrics.score import Score

Preset = Literal["fast", "full", "dlib"]


@dataclass(frozen=True)
class _Effort:
    """How many samples and refits a preset spends."""

    neighbour_samples: int
    permutations: int
    kernel_train: int
    probe_train: int
    machine_train: int
    tree_train: int
    trees: int  # 0: gradient boosting, the public protocol
    refits: int
    votes: int
    resamples: int  # of the intervals of histogram scores
    bins: int  # of continuous factors, where a probe must predict them as classes


EFFORTS = {
    "fast": _Effort(1600, 2, 1500, 1000, 2000, 1000, 20, 3, 2000, 40, 10),
    "full": _Effort(5000, 5, 4000, 4000, 10_000, 4000, 100, 5, 10_000, 100, 20),
    "dlib": _Effort(5000, 5, 4000, 10_000, 10_000, 10_000, 0, 0, 10_000, 100, 20),
}


def disentanglement_scores(
    codes: Codes,
    factors: Factors,
    *,
    blocks: Blocks = None,
    preset: Preset = "fast",
    groups: ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Score]:
    """Every score of disentanglement that the data allow.

    Args:
        codes: posterior means, (N, D); 10,000 rows are what the literature takes.
        factors: classes (N,), numbers (N,) or vectors (N, k): (cos, sin) for an angle, (x, y) for a
            position. `class_factors` says how the legacy scores turn them into classes.
        blocks: columns of the codes by irrep block; None leaves the legacy scores only.
        preset: "fast", some 20 s for 10,000 rows of 12 codes; "full", larger samples, some minutes; or
            "dlib", the public protocol with gradient-boosted trees, up to an hour.
        groups: source of each row; rows of one source are resampled, and split, together.
        seed: of every draw.
        progress: called with the name of each measure before it starts.

    Returns:
        {"infomec/infom": Score, "mig": ..., "dci/disentanglement": ..., "legacy/mig": ...}.

    Raises:
        ValueError: for an unknown preset, or codes, factors and blocks that do not fit together.
    """
    if preset not in get_args(Preset):
        raise ValueError(f"preset must be one of {', '.join(get_args(Preset))}; got {preset!r}.")
    codes = as_codes(codes)
    factors = as_factors(factors, len(codes))
    effort = EFFORTS[preset]
    common = dict(groups=groups, seed=seed)
    measures = _legacy_measures(codes, factors, common, effort)
    if blocks is None:
        measures["legacy/explicitness"] = lambda: explicitness(
            codes, factors, train=effort.probe_train, bins=effort.bins, **common
        )
    else:
        as_blocks(blocks, codes.shape[1])
        measures = _block_measures(codes, factors, blocks, common, effort) | measures
    scores: dict[str, Score] = {}
    for name, measure in measures.items():
        if progress is not None:
            progress(name)
        prefix = "legacy/" if name.startswith("legacy/") else ""
        family = name.removeprefix("legacy/")
        for key, score in measure().items():
            # "mig" and "mig/shape" name themselves; "infom" belongs to "infomec"
            scores[prefix + (key if key.split("/")[0] == family else f"{family}/{key}")] = score
    return scores


def _block_measures(codes, factors, blocks, common, effort) -> dict[str, Callable]:
    shared = []

    def with_information(measure: Callable, **options) -> dict[str, Score]:
        if not shared:
            shared.append(_information(codes, factors, blocks, common, effort))
        return measure(codes, factors, blocks=blocks, information=shared[0], **options, **common)

    rows = dict(train=effort.probe_train)
    return {
        "infomec": lambda: with_information(infomec, **rows),
        "mig": lambda: with_information(block_mig),
        "modularity": lambda: with_information(block_modularity),
        "dci": lambda: block_dci(
            codes, factors, blocks=blocks, train=effort.kernel_train, **common
        ),
        "sap": lambda: block_sap(codes, factors, blocks=blocks, **common),
        "explicitness": lambda: explicitness(
            codes, factors, blocks=blocks, bins=effort.bins, **rows, **common
        ),
        **_vote_measures(codes, factors, blocks, common["seed"], effort),
    }


def _legacy_measures(codes, factors, common, effort) -> dict[str, Callable]:
    classes = class_factors(factors, len(codes))
    coarse = class_factors(factors, len(codes), effort.bins)
    forest = RandomForestClassifier(effort.trees) if effort.trees else None
    rows = dict(train=effort.probe_train)
    measures = {
        "mig": lambda: mig(codes, factors, resamples=effort.resamples, **common),
        "modularity": lambda: modularity(codes, factors, resamples=effort.resamples, **common),
        "sap": lambda: sap(codes, factors, train=effort.machine_train, **common),
        "dci": lambda: dci(
            codes, factors, trees=forest, train=effort.tree_train, refits=effort.refits, **common
        ),
        "infomec": lambda: infomec(
            codes,
            coarse,
            information=_information(codes, coarse, None, common, effort),
            **rows,
            **common,
        ),
        **_vote_measures(codes, classes, None, common["seed"], effort),
    }
    return {f"legacy/{name}": measure for name, measure in measures.items()}


def _information(codes, factors, blocks, common, effort):
    return block_information(
        codes,
        factors,
        blocks=blocks,
        samples=effort.neighbour_samples,
        permutations=effort.permutations,
        seed=common["seed"],
    )


def _vote_measures(codes, factors, blocks, seed, effort) -> dict[str, Callable]:
    """FactorVAE, BetaVAE and IRS."""
    votes = dict(train_votes=effort.votes, test_votes=effort.votes // 2)
    return {
        "factor_vae": lambda: factor_vae_score(codes, factors, blocks=blocks, seed=seed, **votes),
        "beta_vae": lambda: beta_vae_score(codes, factors, blocks=blocks, seed=seed, **votes),
        "irs": lambda: interventional_robustness(codes, factors, blocks=blocks, seed=seed),
    }
