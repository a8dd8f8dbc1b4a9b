"""Weights & Biases dashboards of a comparison as code: a workspace and a report, with the page's panels.

Runs are those of `eqvae.comparison.tracking`: one for each cell, the design as configuration, the scores as
summary, grouped by the comparison; and one whose media are the page and its figures. Needs the package
wandb-workspaces. Without an account atlas.html has the same scores, and more exactly: paired over seeds.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eqvae.comparison.tracking import MEDIA

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

# what runs share, so that a bar is a mean over seeds: the rest, other sizes and weights, has scatter plots
ALIKE = {"match": "parameters", "weight": 1.0, "tuning": False}
SCORES = {  # section: scores, each a bar for each scenario and arm
    "Likelihood": ("free_energy", "elbo", "iwae", "squared_error", "kl"),
    "Equivariance": ("encoder_error", "encoder_shift_error", "decoder_error", "dial"),
    "Pose and content": ("pose_degrees", "shift_px", "leak_r2", "clustering"),
    "Cost": ("seconds", "macs", "parameters"),
}
TRADEOFFS = {  # title: (x, y)
    "Quality against compute": ("macs", "free_energy"),
    "Quality against time": ("seconds", "free_energy"),
    "Quality against equivariance": ("encoder_error", "free_energy"),
    "Training images": ("config.images", "free_energy"),
    "Weight of the penalties": ("config.weight", "encoder_error"),
}


def sections() -> dict[str, list[Any]]:
    """Panels by section, the same in workspace and report.

    Raises:
        ImportError: without wandb-workspaces.
    """
    wr, _ = _packages()
    found = {
        section: [
            wr.BarPlot(
                title=name,
                metrics=[wr.SummaryMetric(name)],
                groupby=wr.Config("place"),
                groupby_aggfunc="mean",
                groupby_rangefunc="stddev",
            )
            for name in names
        ]
        for section, names in SCORES.items()
    }
    found["Trade-offs"] = [
        wr.ScatterPlot(title=title, x=_axis(x), y=_axis(y), log_x=True)
        for title, (x, y) in TRADEOFFS.items()
    ]
    found["Figures of the page"] = [wr.MediaBrowser(media_keys=list(MEDIA), num_columns=2)]
    return found


def workspace(entity: str, project: str, comparison: str) -> "ws.Workspace":
    """A saved view of the project: the comparison's runs by arm, a section for each group of scores.

    Args:
        entity: user or team.
        project: of the runs.
        comparison: name of the design, the group of its runs.
    """
    _, ws = _packages()
    cells = [ws.Config(key) == value for key, value in ALIKE.items()]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"Hard or soft: {comparison}",
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in sections().items()
        ],
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("Group") == comparison, *cells],
            groupby=[ws.Config("images"), ws.Config("place")],
        ),
    )


def report(
    entity: str, project: str, comparison: str, told: Mapping[str, Sequence[str]] | None = None
) -> "wr.Report":
    """A report: the sentences of the page, then every section with runs grouped by arm.

    Args:
        entity, project, comparison: as for `workspace`.
        told: sentences by topic, see `eqvae.comparison.sentences`.
    """
    wr, ws = _packages()
    blocks: list[Any] = [wr.TableOfContents()]
    for topic, lines in (told or {}).items():
        blocks += [wr.H2(topic), wr.UnorderedList(list(lines))]
    for name, panels in sections().items():
        cells = [] if name in ("Trade-offs", "Figures of the page") else ALIKE.items()
        runs = wr.Runset(
            entity=entity,
            project=project,
            name=comparison,
            filters=[ws.Metric("Group") == comparison, *[ws.Config(k) == v for k, v in cells]],
            groupby=["config.images", "config.place"] if cells else [],
        )
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    return wr.Report(
        entity=entity,
        project=project,
        title=f"Hard or soft: {comparison}",
        description="How the symmetry should be put in, by arm and scenario.",
        blocks=blocks,
    )


def _axis(name: str) -> Any:
    wr, _ = _packages()
    place, dot, key = name.partition(".")
    return wr.Config(key) if dot and place == "config" else wr.SummaryMetric(name)


def _packages() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise ImportError(
            "dashboards need the package wandb-workspaces: pip install 'eqvae[dashboards]'. Without it "
            "the same views are in atlas.html."
        ) from error
    return wr, ws
