"""`eqvae dock`: lay one structure into or onto another one, all poses compared, the best ones written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqvae.cli.console import (
    arguments_or_help,
    complain,
    one_sentence_errors,
    printer,
    stopped_by_ctrl_c,
)
from eqvae.cli.options import Option, numbers, sorted_options
from eqvae.files import made_folder, write_table, write_whole
from eqvae.watch import watched

if TYPE_CHECKING:
    from eqvae.three.search.placements import Placements
    from eqvae.three.structures import Structures

USAGE = """\
Lay one structure into or onto another one: a grid of translations times all rotations, the best refined.

Usage: {dock} receptor=FILE ligand=FILE [KEY=VALUE ...]

  receptor=complex.pdb.gz        what stays: PDB (.pdb, .ent) or XYZ, also in .gz, or .npz
  ligand=chain.pdb               what is moved as one rigid body; the first conformation of each file counts
  how=fit                        fit   into the receptor, where it has the same atoms: a chain into a complex
                                 dock  beside the receptor, where contacts are best: a molecule into a pocket
  receptor_chains=AB, ligand_chains=C
                                 some chains of the file, a letter each
  receptor_without=HOH,XK2       leave out residues of these names
  ligand_residues=XK2            only residues of these names
  atoms=CA                       of fit, the atoms that are compared: a name, or all; default: CA where both
                                 have three of them
  poses=10                       how many to write
  lmax=8                         highest degree of the harmonics
  step=5                         of the grid of translations, Angstrom; default: to fit, a sixth of the
                                 ligand's radius, finer above lmax=8, 1.5 to 6; to dock, 2
  candidates=48                  how many are refined; default: 48 to fit, 300 to dock
  out=FOLDER                     where to write; default: dock

Writes poses.pdb, a model for each pose; poses.csv, with scores, shifts, quaternions: a pose takes p to
R p + shift; and dock.json, the same with settings and times."""
PATHS = ("receptor", "ligand", "out")
WORDS = ("fit", "dock")
STEPS, CANDIDATES = {"fit": None, "dock": 2.0}, {"fit": 48, "dock": 300}


def positive(key: str, text: str) -> float:
    """A length, Angstrom."""
    (value,) = numbers("a positive number, Angstrom", 1)(key, text)
    if value <= 0:
        raise ValueError(f"{key} must be a positive number, Angstrom; got {text!r}.")
    return value


def names(key: str, text: str) -> tuple[str, ...]:
    """Names joined by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


OWN = {
    "receptor": Option(),
    "ligand": Option(),
    "how": Option("fit", words=WORDS),
    "receptor_chains": Option(),
    "ligand_chains": Option(),
    "receptor_without": Option("", parse=names),
    "ligand_residues": Option("", parse=names),
    "atoms": Option(),
    "poses": Option("10", least=1),
    "lmax": Option("8", least=1),
    "step": Option(parse=positive),
    "candidates": Option(least=1),
    "out": Option("dock"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Dock what the arguments say, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with stopped_by_ctrl_c("nothing is written"), one_sentence_errors():
        _run(_options(arguments))


def _options(arguments: Sequence[str]) -> dict[str, Any]:
    given = sorted_options(arguments, OWN, PATHS)
    for key in ("receptor", "ligand"):
        if not given.get(key):
            raise ValueError(f"{key} must be a file with a structure, as in {key}={key}.pdb.")
    return {key: option.read(key, given.get(key, option.default)) for key, option in OWN.items()}


def _run(options: Mapping[str, Any]) -> None:
    from eqvae.three.structures import read

    receptor = _chosen(read(options["receptor"])[:1], options["receptor_chains"])
    receptor = receptor.of_residues(*options["receptor_without"], without=True)
    ligand = _chosen(read(options["ligand"])[:1], options["ligand_chains"])
    if options["ligand_residues"]:
        ligand = ligand.of_residues(*options["ligand_residues"])
    for sentence in dict.fromkeys((*receptor.said, *ligand.said)):  # they may be of one file
        complain(f"data: {sentence}")
    out = made_folder(options["out"])
    found, settings = _searched(receptor, ligand, options)
    _write(out, ligand, found, settings)
    console = printer()
    console.print(
        f"{found.num_poses:,} poses in {found.seconds:.1f} s, {found.seconds_per_million:.2f} s a million; "
        f"refined in {found.refining_seconds:.1f} s"
    )
    for number, score in enumerate(found.scores.tolist()[:5], start=1):
        console.print(f"pose {number}: score {score:.3f}")
    console.print(f"poses: {out / 'poses.pdb'}, {out / 'poses.csv'}, {out / 'dock.json'}")


def _chosen(structures: "Structures", chains: str | None) -> "Structures":
    return structures if chains is None else structures.of_chains(chains)


def _searched(
    receptor: "Structures", ligand: "Structures", options: Mapping[str, Any]
) -> tuple["Placements", dict[str, Any]]:
    """The poses, and what they were searched with."""
    from eqvae.three.search.docking import RigidDocking
    from eqvae.three.search.fitting import RigidFit, checked

    how = options["how"]
    step, candidates = options["step"] or STEPS[how], options["candidates"] or CANDIDATES[how]
    settings = {"how": how, "lmax": options["lmax"], "step": step, "candidates": candidates}
    files = {key: str(options[key]) for key in ("receptor", "ligand")}
    how_many = {"most": options["poses"], "watch": watched}
    if how == "dock":
        if options["atoms"]:
            raise ValueError("atoms is for how=fit; how=dock compares all heavy atoms.")
        search = RigidDocking(options["lmax"], step=step, candidates=candidates)
        a, b = receptor, ligand
        found = search(a.positions[0], a.elements, b.positions[0], b.elements, **how_many)
        return found, files | settings
    name = options["atoms"] or _common(receptor, ligand)
    compared = [one if name == "all" else one.named(name) for one in (receptor, ligand)]
    checked("ligand", compared[1].positions[0], posed=True)
    search = RigidFit(options["lmax"], step=step, candidates=candidates)
    found = search(*(one.positions[0] for one in compared), **how_many)
    return found, files | settings | {"atoms": name}


def _common(receptor: "Structures", ligand: "Structures") -> str:
    """CA, where there are enough of them, else all."""
    counts = [sum(name == "CA" for name in one.names or ()) for one in (receptor, ligand)]
    return "CA" if min(counts) >= 3 else "all"


def _write(
    out: Path, ligand: "Structures", found: "Placements", settings: Mapping[str, Any]
) -> None:
    from dataclasses import replace

    from eqvae.symmetry.space_motions import translation_of
    from eqvae.three.structures import write_pdb

    moved = replace(ligand, positions=found.moved(ligand.positions[0]))
    away = (moved.positions - ligand.positions).square().sum(-1).mean(1).sqrt()
    rows = [
        {
            "pose": number + 1,
            "score": found.scores[number].item(),
            "coarse_score": found.coarse_scores[number].item(),
            **_three("shift", translation_of(pose).tolist(), "xyz"),
            **_three("quaternion", pose[1:5].tolist(), "wxyz"),
            "moved_angstrom": away[number].item(),
        }
        for number, pose in enumerate(found.poses)
    ]
    remarks = [f"pose {row['pose']} score {row['score']:.4f}" for row in rows]
    write_pdb(out / "poses.pdb", moved, remarks)
    write_table(out / "poses.csv", rows[0], rows)
    times = {
        "num_poses": found.num_poses,
        "search_seconds": found.seconds,
        "refining_seconds": found.refining_seconds,
        "seconds_per_million_poses": found.seconds_per_million,
    }
    text = json.dumps({"settings": dict(settings), "times": times, "poses": rows}, indent=1)
    write_whole(out / "dock.json", text + "\n")


def _three(name: str, values: Sequence[float], axes: str) -> dict[str, float]:
    return {f"{name}_{axis}": value for axis, value in zip(axes, values, strict=True)}
