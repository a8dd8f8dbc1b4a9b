"""`eqvae dashboard`: workspace and report in Weights & Biases, of a comparison whose cells are there."""

from collections.abc import Sequence
from pathlib import Path

from eqvae.cli.console import arguments_or_help, one_sentence_errors
from eqvae.cli.options import sorted_options

USAGE = """\
Build the Weights & Biases workspace and report of a comparison whose cells were logged there.

Usage: {dashboard} entity=TEAM [KEY=VALUE ...]

  entity=TEAM                    user or team that owns the project
  project=eqvae                  of the runs
  comparison=atlas_laptop        name of the design: the group of the runs
  results=benchmarks/results     folder of its table, for the sentences of the report

Log the cells first: {compare} experiment=atlas_laptop wandb=online (or wandb=offline, then
`wandb sync` on the folders under runs/atlas). Without an account atlas.html has the same scores."""

OWN = {
    "entity": None,
    "project": "eqvae",
    "comparison": "atlas_laptop",
    "results": "benchmarks/results",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what the arguments name, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        options = _options(arguments)
        from eqvae.comparison.dashboard import report, workspace
        from eqvae.comparison.sentences import sentences
        from eqvae.comparison.table import read_table
        from eqvae.training.loggers import check_account

        table = Path(options["results"]) / f"{options['comparison']}.parquet"
        if not table.is_file():
            raise ValueError(
                f"comparison must name a table in {options['results']}; {table} is not there."
            )
        told = sentences(read_table(table))
        place = (options["entity"], options["project"], options["comparison"])
        view, text = workspace(*place), report(*place, told)
        check_account("online")
        print(view.save().url)
        print(text.save().url)


def _options(arguments: Sequence[str]) -> dict[str, str]:
    options = OWN | sorted_options(arguments, OWN)
    if not options["entity"]:
        raise ValueError("entity must name the user or team that owns the project: entity=TEAM.")
    return options
