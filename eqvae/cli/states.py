"""`eqvae states`: a table of the shape, pose and state of each structure; state means; samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import (
    announce,
    arguments_or_help,
    one_sentence_errors,
    printer,
    stopped_by_ctrl_c,
)
from eqvae.cli.options import Option, read_options
from eqvae.files import made_folder, write_table
from eqvae.watch import watched

if TYPE_CHECKING:
    from torch import Tensor

    from eqvae.three.structures import Structures
    from eqvae.three.vae.states import Described, States
    from eqvae.training.runs import Subject

USAGE = """\
Say of each structure which shape it has, how it lies and which state it is in; average the structures of each
state, and draw new ones.

Usage: {states} ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own structures; a run of model=se3
  ckpt=... data=structures data.source.path=trajectory.dcd data.source.topology=protein.psf
                                 other conformations of the same atoms
  split=all                      all, train, val or test
  states=3                       how many states; default: the kinds of the fitted prior
  samples=16                     how many new structures to draw; 0 for none
  seed=0                         of draws, and of the grouping of kinds to states
  out=FOLDER                     where to write; default: <run folder>/states

Writes states.csv, a row for each structure (its columns are described in eqvae/three/vae/states.py);
averages.pdb, a model for each state, with averages.csv: members, share and spread; states.png, the same as a
picture with members in grey; and samples.pdb, draws from the prior."""
OWN = {
    "split": Option("all", words=("all", "train", "val", "test")),
    "states": Option(least=1),
    "samples": Option("16", least=0),
    "seed": Option("0", least=0),
    "out": Option(),
}
_PANELS = 8  # states drawn, the fullest


def main(arguments: Sequence[str] | None = None) -> None:
    """Describe what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        asked = read_options(arguments, OWN)
        from eqvae.training.runs import subject_of

        subject = subject_of(asked.checkpoints[0], asked.overrides)
        _check(subject)
        out = made_folder(asked.options["out"] or subject.folder / "states")
    announce(subject.data)
    with stopped_by_ctrl_c(f"what is in {out} may be incomplete"), one_sentence_errors():
        _run(subject, asked.options, out)


def _check(subject: "Subject") -> None:
    from eqvae.three.vae import SpaceVAE

    if not isinstance(subject.model, SpaceVAE):
        raise ValueError(
            f"states is for runs of structures with model=se3; {subject.checkpoint} is of "
            f"{type(subject.model).__name__} on {subject.model.domain.signals}. For images, "
            "scripts/embed.py says the same."
        )


def _run(subject: "Subject", options: dict[str, Any], out: Path) -> None:
    from eqvae.data.served import SPLITS
    from eqvae.three.structures import write_pdb
    from eqvae.three.vae.states import describe, drawn_structures, mean_structures

    splits = SPLITS if options["split"] == "all" else (options["split"],)
    model, seed, atoms = subject.model, options["seed"], subject.data.images.structures
    found = describe(model, subject.data, splits, options["states"], seed, watched)
    rows = list(found.rows(even=model.representation.multiplicities["0e"]))
    write_table(out / "states.csv", rows[0], rows)
    states, console = mean_structures(found), printer()
    _write_averages(out, atoms, states, len(found))
    _draw(out, atoms, found, states)
    console.print(f"{len(found):,} structures in {len(states.number)} states: {out / 'states.csv'}")
    console.print(f"averages: {out / 'averages.pdb'}, averages.csv, states.png")
    if options["samples"]:
        drawn = drawn_structures(model, options["samples"], seed)
        write_pdb(out / "samples.pdb", _placed(atoms, drawn), ["draws from the prior"])
        console.print(f"samples:  {out / 'samples.pdb'}")


def _placed(atoms: "Structures", positions: "Tensor") -> "Structures":
    return replace(atoms, positions=positions.double())


def _write_averages(out: Path, atoms: "Structures", states: "States", count: int) -> None:
    from eqvae.three.structures import write_pdb

    rows = [
        {
            "model": i + 1,
            "state": state,
            "members": n,
            "share": n / count,
            "spread_angstrom": spread,
        }
        for i, (state, n, spread) in enumerate(
            zip(
                states.number.tolist(), states.members.tolist(), states.spread.tolist(), strict=True
            )
        )
    ]
    write_table(out / "averages.csv", rows[0], rows)
    remarks = [
        f"model {row['model']} state {row['state']} members {row['members']} "
        f"spread {row['spread_angstrom']:.3f} A"
        for row in rows
    ]
    write_pdb(out / "averages.pdb", _placed(atoms, states.mean), remarks)


def _draw(out: Path, atoms: "Structures", found: "Described", states: "States") -> None:
    """states.png: the mean of each of the fullest states in red over some of its members in grey."""
    from eqvae.drawing.png import save_figure
    from eqvae.three.drawing.panels import panels
    from eqvae.three.drawing.skeleton import Skeleton
    from eqvae.three.vae.overlay import DRAWN, MADE, upright_view

    fullest = states.members.argsort(descending=True)[:_PANELS]
    mean = states.mean[fullest]
    view = upright_view(mean[0])
    layers = [(members @ view.mT, DRAWN) for members in found.members(states.number[fullest], mean)]
    titles = [
        f"state {int(states.number[i])}: {100 * int(states.members[i]) / len(found):.0f} %"
        for i in fullest
    ]
    figure = panels([*layers, (mean @ view.mT, MADE)], titles, skeleton=Skeleton.of(atoms))
    save_figure(figure, out / "states.png")
