"""Evaluate a trained model: likelihood on the test split, and equivariance at every angle.

Usage: python scripts/evaluate.py ckpt=RUN_FOLDER_OR_CHECKPOINT [data=CHOICE] [KEY=VALUE ...]

  ckpt=runs/NAME/DATE            the run's best checkpoint, on the run's own test split
  ckpt=... data/pose=upright     the same images under another posing
  ckpt=... data=sprites          other data (of the same size)
  num_images=32                  images in the equivariance sweeps
  seed=0                         of the posterior noise and the analytic scenes
  out=FOLDER                     where to write; default: <run folder>/evaluation

Writes metrics.json, config.yaml and pictures/ there.
"""

import json
import sys
from pathlib import Path
from typing import Any

OWN = {"ckpt": None, "out": None, "num_images": "32", "seed": "0"}


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) == 1:
        print(__doc__.strip())
        return
    from eqvae.cli import one_sentence_errors

    with one_sentence_errors():
        options, overrides = _options(sys.argv[1:])
        vae, data, config, out = _prepare(options, overrides)
    metrics = _evaluate(vae, data, config, out, options)
    _report(metrics, out)


def _options(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This script's own options, and what concerns the data."""
    options, overrides = dict(OWN), []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key in OWN and equals:
            options[key] = value
        elif equals and (key == "data" or key.startswith(("data.", "data/"))):
            overrides.append(argument)
        else:
            raise ValueError(
                f"{argument!r} is not an option: give KEY=VALUE with {', '.join(OWN)}, or data keys."
            )
    if options["ckpt"] is None:
        raise ValueError("ckpt must name a run folder or a checkpoint: ckpt=runs/NAME/DATE.")
    for key, least in {"num_images": 1, "seed": 0}.items():
        if not options[key].isdigit() or int(options[key]) < least:
            raise ValueError(f"{key} must be a whole number >= {least}; got {options[key]!r}.")
        options[key] = int(options[key])
    return options, overrides


def _prepare(
    options: dict[str, Any], overrides: list[str]
) -> tuple[Any, Any, dict[str, Any], Path]:
    """The model, its data, their configuration and the folder to write to."""
    from eqvae import load_vae
    from eqvae.config import build
    from eqvae.training.checkpoint import DESCRIPTION, read_checkpoint

    checkpoint = Path(options["ckpt"])
    vae = load_vae(checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    folder = folder.parent if folder.name == "checkpoints" else folder
    config = {"ckpt": str(checkpoint), "data": _data_config(folder, overrides)}
    data = build(config["data"], path="data")
    data.setup()
    encoder = read_checkpoint(checkpoint)[DESCRIPTION]["model"]["encoder"]
    channels, size, _ = data.image_shape
    wanted = encoder.get("channels", channels), encoder.get("image_size", size)
    if (channels, size) != wanted:
        raise ValueError(
            f"data must be images as the model was trained on, {wanted[0]} channel(s) of {wanted[1]} px; "
            f"got {channels} of {size} px. Set data.pose.size={wanted[1]} if the size differs."
        )
    out = Path(options["out"]) if options["out"] else folder / "evaluation"
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    return vae, data, config, out


def _data_config(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """The run's own data with the overrides applied."""
    from omegaconf import OmegaConf

    from eqvae.config import compose

    stored = folder / "config.yaml"
    if any(o.startswith("data=") for o in overrides):
        return compose(overrides)["data"]
    if not stored.is_file():
        raise ValueError(
            f"{folder} holds no config.yaml; say which data to use, as in data=mnist5k."
        )
    config = OmegaConf.load(stored).data
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "data/pose":
            config.pose = {**compose([override])["data"]["pose"], "size": config.pose.get("size")}
        elif OmegaConf.select(config, key.removeprefix("data."), default="???") == "???":
            raise ValueError(f"{key} is not in the run's data; it has {', '.join(config)}.")
        else:
            node = OmegaConf.from_dotlist([f"{key.removeprefix('data.')}={value}"])
            config = OmegaConf.merge(config, node)
    return OmegaConf.to_container(config)


def _evaluate(
    vae: Any, data: Any, config: dict[str, Any], out: Path, options: dict[str, Any]
) -> dict[str, float]:
    from omegaconf import OmegaConf

    from eqvae.analysis.evaluation import evaluate, sweep_figure
    from eqvae.analysis.pictures import orbit_picture, reconstruction_picture, sample_picture

    result = evaluate(vae, data, num_images=options["num_images"], seed=options["seed"])
    text = json.dumps(dict(sorted(result.metrics.items())), indent=2)
    (out / "metrics.json").write_text(text + "\n")
    OmegaConf.save(OmegaConf.create(config), out / "config.yaml")
    x = data.test.images[:8]
    reconstruction_picture(vae, x).save(out / "pictures" / "reconstructions.png")
    sample_picture(vae).save(out / "pictures" / "samples.png")
    orbit_picture(vae, x[:1]).save(out / "pictures" / "orbit.png")
    sweep_figure(result.sweep, out / "pictures" / "equivariance.png")
    return result.metrics


def _report(metrics: dict[str, float], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"evaluation in {out}", title_justify="left")
    table.add_column("name")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name.removeprefix("test/"), f"{value:.4g}")
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
