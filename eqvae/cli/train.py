"""`eqvae train`: train a VAE, test it, and leave a folder with pictures, metrics and checkpoints."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from eqvae.cli.console import announce, complain, one_sentence_errors, run_with_hydra, spelled

SHOWN = (
    *("test/free_energy", "test/elbo", "test/log_likelihood", "test/kl"),
    *("test/prior_gap", "train/seconds", "prior/seconds"),
)

USAGE = """\
Train a VAE, test it, and leave a folder with pictures, metrics and checkpoints.

Usage: {train} [PART=CHOICE ...] [KEY=VALUE ...]

Parts and their choices
{choices}

Examples
  {train}                                   the default run, minutes on two cores
  {train} model=plain objective=elbo_soft   soft symmetry instead of hard
  {train} data/pose=upright trainer.max_epochs=5
  {train} data=folder data.source.path=my_images   your own images
  {train} experiment=smoke                  does everything run? seconds
  {train} logger.mode=online                curves and pictures to W&B
  {train} resume=runs/NAME/DATE             continue a run where it stopped
  {train} -m seed=0,1,2                     one run after another

Any key of any file can be set as KEY=VALUE; `--cfg job` prints them all.
EQVAE_DEBUG=1 in the environment shows tracebacks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the arguments say, by default those of this process."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if {"-h", "--help"} & set(arguments):
        print(help_text())
    else:
        run_with_hydra(run, "train", arguments)


def help_text() -> str:
    """The usage, every part with its choices as found in configs/, and examples."""
    from eqvae.resources import configs

    lines = []
    for folder in sorted(path for path in configs().rglob("*") if path.is_dir()):
        choices = sorted(folder.glob("[!_]*.yaml"))  # _name: a part of others
        if choices:
            lines.append(f"  {folder.relative_to(configs()).as_posix()}")
        for file in choices:
            comments = [s[2:] for s in file.read_text().splitlines() if s.startswith("# ")]
            about = next((s for s in comments if not s.startswith("@")), "")
            lines.append(f"    {file.stem:<17} {about}")
    return USAGE.format(train=spelled("train"), choices="\n".join(lines))


def run(config: Any) -> None:
    """Prepare and train what Hydra composed; every expected failure is one sentence."""
    try:
        with one_sentence_errors():
            # torch takes seconds to import: `--help` answers without it
            from eqvae.training.interruption import Interrupted
            from eqvae.training.run import prepare, train

            plain, folder, resume = _configuration(config)
            with _removed_if_empty(folder):
                prepared = prepare(plain, folder, resume=resume)
                announce(prepared.datamodule)
    except KeyboardInterrupt:
        complain("interrupted before training started; nothing was lost.")
        sys.exit(130)
    try:
        metrics = train(prepared)
    except Interrupted as stop:
        if stop.checkpoint is None:
            complain("interrupted before the first step; start the run again.")
        else:
            complain(f"interrupted; {stop.checkpoint} is written. Continue with")
            complain(f"  {spelled('train')} resume={shlex.quote(str(folder))}")
        sys.exit(128 + stop.signal)
    if not prepared.trainer.fast_dev_run:
        _report(metrics, folder)


def _configuration(config: Any) -> tuple[dict[str, Any], Path, bool]:
    """The plain configuration, the run folder, and whether the run continues there."""
    from hydra.core.hydra_config import HydraConfig

    from eqvae.config import to_plain

    if config.resume is not None:
        folder = Path(config.resume)
        return _resumed_configuration(folder, HydraConfig.get().overrides.task), folder, True
    plain = to_plain(config)
    choices = HydraConfig.get().runtime.choices
    plain["name"] = plain["name"] or f"{choices['model']}-{choices['data']}"
    if plain["run_dir"] is not None:
        return plain, Path(plain["run_dir"]), False
    return plain, _new_folder(Path("runs") / plain["name"]), False


def _resumed_configuration(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """What the run was trained with, with the single values changed on the command line."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from eqvae.training.run import stored_config

    stored = OmegaConf.create(stored_config(folder))
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key == "resume":
            continue
        known = OmegaConf.select(stored, key, default="???")
        if known == "???" or OmegaConf.is_config(known) or "/" in key:
            raise ValueError(
                f"{key} can't change when a run is resumed: only single values that it has can, "
                "such as trainer.max_epochs. Start a new run instead."
            )
        OmegaConf.update(stored, key, override.value())
    return OmegaConf.to_container(stored)


def _new_folder(parent: Path) -> Path:
    """runs/<name>/<date>_<time>, with a number if another run began in the same second."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ["", *(f"-{n}" for n in range(2, 1000))]:
        folder = parent / f"{stamp}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ValueError(f"run_dir must be given: {parent} holds too many runs of this second.")


def _report(metrics: dict[str, float], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"results in {folder}", title_justify="left")
    table.add_column("name")
    table.add_column("value", justify="right")
    for name in SHOWN:
        if name in metrics:
            table.add_row(name, f"{metrics[name]:.1f}")
    console = Console(soft_wrap=True)
    console.print(table)
    console.print("pictures/  metrics.json  metrics.csv  config.yaml  checkpoints/")
    console.print(f'load it with eqvae.load_vae("{folder}")', highlight=False)


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    """A run that could not start leaves no empty folder."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise
