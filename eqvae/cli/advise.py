"""`eqvae advise`: look at images and say how their symmetry should be put into a model, with numbers."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from eqvae.cli.console import arguments_or_help, complain, one_sentence_errors
from eqvae.cli.options import Option
from eqvae.files import write_whole
from eqvae.overrides import expanded
from eqvae.watch import watched

USAGE = """\
Look at your images and say how their symmetry should be put into a model, with numbers.

Usage: {advise} data=CHOICE [data.KEY=VALUE ...] [KEY=VALUE ...]

  data=npz data.source.path=FILE your images; data=folder, mnist5k, ... as for {train}
  data/pose=rotated_shifted      in other poses first
  scenario=se2                   the digits of the comparison, in one scenario
  image.radius=14                of the objects, pixels
  model.prior.position_scale=2   how far they lie from the centre, pixels, standard deviation
  images=1000                    to train on, at most
  repeats=2                      trainings of each arm: more for a surer answer
  steps=400                      of each training
  seed=0                         of weights, noise and the split
  out=FOLDER                     where to write; default: runs/advice/<date>_<time>

Trains small models of equal size, one of each way that has a pilot (none, augment, soft, relaxed, and hard in
two ways), two of them on a quarter of the images too, scores held-out images, and asks a model without
symmetry whether moved images look any less likely. Minutes on two cores. Writes advice.json, advice.png."""

PASSED = ("data.", "data/", "image.radius", "model.prior.position_scale")
TAKEN = {"data.limit": "images=", "data.seed": "seed=", "data.pose.seed": "seed="}
OWN = {  # the numbers' defaults stand in configs/advise.yaml
    "images": Option(least=1),
    "repeats": Option(least=1),
    "steps": Option(least=1),
    "seed": Option(least=0),
    "out": Option(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose for the data that the arguments name, by default those of this process."""
    arguments = arguments_or_help(arguments, USAGE)
    if arguments is None:
        return
    with one_sentence_errors():
        options, overrides = _options(arguments)
        from eqvae.config import compose
        from eqvae.training.interruption import Interrupted

        config = compose([], name="advise")
        jobs, seed = _jobs(config, options, overrides)
        out = Path(options.get("out") or f"runs/advice/{datetime.now():%Y-%m-%d_%H-%M-%S}")
        out.mkdir(parents=True, exist_ok=True)
        try:
            _write(_found(jobs, seed), out)
        except (KeyboardInterrupt, Interrupted):
            complain("interrupted; nothing was written.")
            sys.exit(130)


def _options(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The command's own options, and what concerns the data."""
    from eqvae.renamed import check_overrides

    check_overrides(arguments)
    options, overrides = {}, []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in OWN:
            options[key] = expanded(value) if key == "out" else value
        elif key in TAKEN:
            raise ValueError(f"{key} is set by the chooser; use {TAKEN[key]}.")
        elif equals and (key in ("data", "scenario") or key.startswith(PASSED)):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with {', '.join(OWN)}, scenario, keys of "
                "data, image.radius or model.prior.position_scale."
            )
    options = {key: OWN[key].read(key, value) for key, value in options.items()}
    if not any(o.startswith(("data=", "scenario=")) for o in overrides):
        raise ValueError(
            "data must name the images: data=npz data.source.path=FILE, or data=mnist5k."
        )
    return options, overrides


def _jobs(
    config: dict[str, Any], options: dict[str, Any], overrides: Sequence[str]
) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Arm and configuration of every pilot, and the seed."""
    from eqvae.comparison.advice.jobs import pilot_jobs

    asked = {key: options.get(key, config[key]) for key in ("images", "repeats", "seed")}
    atlas = config["atlas"]
    if "steps" in options:
        others = [o for o in atlas["overrides"] if "max_steps" not in o]
        atlas = {**atlas, "overrides": [*others, f"+trainer.max_steps={options['steps']}"]}
    word = "scenario="
    scenario = next((o.removeprefix(word) for o in overrides if o.startswith(word)), "none")
    own = [o for o in overrides if not o.startswith(word)]
    return pilot_jobs(atlas, own, scenario, **asked), asked["seed"]


def _found(jobs: Sequence[tuple[str, dict[str, Any]]], seed: int) -> dict[str, Any]:
    """Train the pilots, ask the first plain one about motions, choose."""
    from eqvae.comparison.advice import recommend, run_pilot, supports

    pilots, support = [], None
    for arm, config in watched(jobs, "pilots"):
        pilot, model, held_out = run_pilot(arm, config, seed)
        pilots.append(pilot)
        if support is None and arm == "plain" and model is not None:
            support = supports(model, held_out, seed)
    most = max(pilot.images for pilot in pilots)
    return {
        "advice": recommend([p for p in pilots if p.images == most], seed),
        "support": support or [],
        "pilots": pilots,
    }


def _write(found: dict[str, Any], out: Path) -> None:
    """Tell, and leave advice.json and advice.png."""
    from eqvae.comparison.advice import told
    from eqvae.comparison.charts.advice import advice_figure
    from eqvae.drawing.png import save_figure

    advice, support, pilots = found["advice"], found["support"], found["pilots"]
    for line in told(advice, support, pilots):
        print(line)
    kept = {
        "advice": asdict(advice),
        "support": [{**asdict(s), "holds": s.holds} for s in support],
        "pilots": [
            {**asdict(p), "elbo": None if p.elbo is None else float(p.elbo.mean())} for p in pilots
        ],
    }
    write_whole(out / "advice.json", json.dumps(kept, indent=2, allow_nan=False) + "\n")
    save_figure(advice_figure(advice, support), out / "advice.png")
    print(f"{out / 'advice.json'}, {out / 'advice.png'}")
