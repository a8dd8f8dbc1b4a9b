"""Look at your images and say how their symmetry should be put into a model, with numbers.

Usage: python scripts/advise.py data=CHOICE [data.KEY=VALUE ...] [KEY=VALUE ...]

  data=npz data.source.path=FILE        your images; data=folder, mnist5k, ... as for scripts/train.py
  data/pose=rotated_shifted      in other poses first
  level=se2                      the digits of the comparison, at one level of symmetry
  image.radius=14                of the objects, pixels
  model.prior.position_scale=2   how far they lie from the centre, pixels, standard deviation
  images=1000                    to train on, at most
  repeats=2                      trainings of each arm: more for a surer answer
  steps=400                      of each training
  seed=0                         of weights, noise and the split
  out=FOLDER                     where to write; default: runs/advice/<date>_<time>

Trains six small models of equal size (none, augment, soft, relaxed, and hard in two ways), two of them on a
quarter of the images too, scores held-out images, and asks a model without symmetry whether moved images
look any less likely. Minutes on two cores. Writes advice.json and advice.png.
"""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

PASSED = ("data.", "data/", "image.radius", "model.prior.position_scale")
TAKEN = {"data.limit": "images=", "data.seed": "seed=", "data.pose.seed": "seed="}
FEWEST, LARGEST = 20, 128
OWN = ("images", "repeats", "steps", "seed", "out")


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) == 1:
        print(__doc__.strip())
        return
    from eqvae.cli.console import complain, one_sentence_errors

    with one_sentence_errors():
        options, overrides = _options(sys.argv[1:])
        from eqvae.config import compose
        from eqvae.training.interruption import Interrupted

        config = compose([], name="advise")
        jobs = _jobs(config, options, overrides)
        out = Path(options.get("out") or f"runs/advice/{datetime.now():%Y-%m-%d_%H-%M-%S}")
        out.mkdir(parents=True, exist_ok=True)
        try:
            _write(_found(jobs, int(options.get("seed", config["seed"]))), out)
        except (KeyboardInterrupt, Interrupted):
            complain("interrupted; nothing was written.")
            sys.exit(130)


def _options(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """This script's own options, and what concerns the data."""
    options, overrides = {}, []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in OWN:
            options[key] = value
        elif key in TAKEN:
            raise ValueError(f"{key} is set by the chooser; use {TAKEN[key]}.")
        elif equals and (key in ("data", "level") or key.startswith(PASSED)):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with {', '.join(OWN)}, level, keys of data, "
                "image.radius or model.prior.position_scale."
            )
    for key in ("images", "repeats", "steps", "seed"):
        least = 0 if key == "seed" else 1
        if key in options and not (options[key].isdecimal() and int(options[key]) >= least):
            raise ValueError(f"{key} must be a whole number >= {least}; got {options[key]!r}.")
    if not any(o.startswith(("data=", "level=")) for o in overrides):
        raise ValueError(
            "data must name the images: data=npz data.source.path=FILE, or data=mnist5k."
        )
    return options, overrides


def _jobs(
    config: dict[str, Any], options: dict[str, str], overrides: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Arm and configuration of every pilot; the data are read once here, so that mistakes show now."""
    import tempfile

    from eqvae.comparison.cell import cell_config
    from eqvae.comparison.design import Cell, Design
    from eqvae.comparison.plan import Plan
    from eqvae.comparison.sizes import with_values
    from eqvae.config import build

    asked = {key: int(options.get(key, config[key])) for key in ("images", "repeats", "seed")}
    level = next((o.removeprefix("level=") for o in overrides if o.startswith("level=")), "none")
    own = [
        o for o in config["atlas"]["overrides"] if "steps" not in options or "max_steps" not in o
    ]
    own += [f"+trainer.max_steps={options['steps']}"] if "steps" in options else []
    own += [o for o in overrides if not o.startswith("level=")]
    design = Design(**{**config["atlas"], "overrides": own})

    plain = cell_config(Cell("plain", level, 1, seed=asked["seed"]), own)["data"]
    everything = build({**plain, "limit": None}, path="data")
    everything.setup()
    if len(everything.test) < FEWEST:
        raise ValueError(
            f"data must leave at least {FEWEST} images in the test split, which the pilots are judged on; "
            f"it has {len(everything.test)}. Give more images, or raise data.split's last share."
        )
    if everything.image_shape[-1] > LARGEST:
        raise ValueError(
            f"images must be at most {LARGEST} pixels wide for pilots of this size; got "
            f"{everything.image_shape[-1]}. Crop or shrink them first."
        )
    images = min(asked["images"], len(everything.train))
    wanted = [(arm, images) for arm in config["arms"]]
    if images >= 8:
        wanted += [(arm, images // 4) for arm in ("plain", "hard")]
    jobs = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(design, folder)
        for arm, count in wanted:
            cell = Cell(arm, level, count, seed=asked["seed"], lr=config["arms"][arm])
            made = cell_config(cell, design.settings(arm), plan.widths(cell))
            for repeat in range(asked["repeats"]):  # other weights and noise, the same images
                jobs.append((arm, with_values(made, {"seed": asked["seed"] + repeat})))
    return jobs


def _found(jobs: list[tuple[str, dict[str, Any]]], seed: int) -> dict[str, Any]:
    """Train the pilots, ask the first plain one about motions, choose."""
    from eqvae.cli.console import watch
    from eqvae.comparison.advice import recommend, run_pilot, supports

    pilots, support = [], None
    for arm, config in watch(jobs, "pilots"):
        pilot, vae, x = run_pilot(arm, config, seed)
        pilots.append(pilot)
        if support is None and arm == "plain" and vae is not None:
            support = supports(vae, x, seed)
    most = max(pilot.images for pilot in pilots)
    return {
        "advice": recommend([p for p in pilots if p.images == most], seed),
        "support": support or [],
        "pilots": pilots,
    }


def _write(found: dict[str, Any], out: Path) -> None:
    """Tell, and leave advice.json and advice.png."""
    from eqvae.comparison.advice import told
    from eqvae.comparison.charts import advice_figure
    from eqvae.evaluation.evaluate import save_figure

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
    (out / "advice.json").write_text(json.dumps(kept, indent=2, allow_nan=False) + "\n")
    save_figure(advice_figure(advice, support), out / "advice.png")
    print(f"{out / 'advice.json'}, {out / 'advice.png'}")


if __name__ == "__main__":
    main()
