"""Random values for the keys of a configuration, and what becomes of them: a sentence, or a finite step."""

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from eqvae.config import build, fill_data
from eqvae.stored import nodes
from eqvae.training.checks import check_first_batch, check_keys
from eqvae.training.module import TrainingModule
from tests.training.runs import tiny_config

POOL: tuple[Any, ...] = (
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        -1,
        0,
        1,
        2,
        -7,
        3,
        100,
        0.5,
        2.5,
        -1.0,
        -0.5,
        1e-12,
        1e-30,
    ),
    *(1e12, 1e38, 1e300, -1e300, 10**400, "", "text", "1", "nan", "???", None, True, False),
    *([], [1], [0.5, "a"], [float("nan")], [-1, -1, -1], [[1]], {}, {"a": 1}, {"a": float("inf")}),
    *(
        {"_target_": "os.system"},
        {"_target_": "eqvae.symmetry.PlaneMotions", "rotations": -1},
        {"_target_": 7},
    ),
)
CHOICES = (
    ("model=plain", "objective=elbo_soft"),
    ("model=harmonic", "objective=elbo_cyclic", "callbacks=ema"),
    ("model=canonicalised", "objective=elbo_warmup", "callbacks=clusters", "data/camera=light"),
    ("model=pose", "latent=pose", "objective=elbo", "data/camera=stretch"),
    ("model=relaxed", "objective=elbo_relaxed"),
    ("model=projected", "objective=elbo_projected"),
    ("model=relaxed_layers", "objective=elbo_relaxed"),
    ("model=steerable", "objective=elbo"),
)
PARTS = ("data", "model", "objective", "optimizer", "scheduler", "trainer", "callbacks", "prior")
_ELSEWHERE = {  # keys that name other machines, processes, or as many images as there is memory for
    "trainer.devices", "trainer.accelerator", "trainer.num_nodes", "data.num_workers", "trainer.max_time",
    "data.source.num_images", "data.source.size", "data.pose.size", "data.canvas.size",
}  # fmt: skip
_LIGHTNING = ("eqvae.", "pytorch_lightning.")


def configurations() -> list[dict[str, Any]]:
    """Tiny ones of every family, filled in."""
    return [fill_data(tiny_config(*choices), (1, 33, 33), 80) for choices in CHOICES]


def fuzzed(
    config: dict[str, Any], count: int, seed: int
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Keys with values from `POOL`, and the configuration with this one change."""
    draw = random.Random(seed)
    keys = [
        key
        for part in PARTS
        for key, value, _ in nodes(config.get(part), part)
        if key.count(".") and not key.endswith(("_target_", "_partial_")) and key not in _ELSEWHERE
    ]
    for _ in range(count):
        key, value = draw.choice(keys), draw.choice(POOL)
        changed = deepcopy(config)
        put(changed, key, value)
        yield key, value, changed


def put(config: Any, key: str, value: Any) -> None:
    """Set a dotted key."""
    *above, last = key.split(".")
    for name in above:
        config = config[int(name) if isinstance(config, list) else name]
    config[int(last) if isinstance(config, list) else last] = value


def made_part(config: dict[str, Any], part: str, folder: Path) -> Any:
    """The part of a configuration that a key lies in, made and looked at as `prepare` does."""
    check_keys(config)
    if part == "data":
        data = build(config["data"], path="data")
        data.setup()
        return data
    if part in ("optimizer", "scheduler"):
        made = build(config[part], path=part, allow=("eqvae.", "torch.optim."))
        weights = [torch.nn.Parameter(torch.zeros(2))]
        if part == "optimizer":
            return made(weights) and made
        return made(torch.optim.AdamW(weights, lr=1e-3), num_steps=10) and made
    if part == "trainer":
        more = {
            "logger": False,
            "callbacks": [],
            "enable_progress_bar": False,
            "default_root_dir": folder,
        }
        return build(config[part], path=part, allow=_LIGHTNING, **more)
    return build(config[part], path=part, allow=_LIGHTNING)


def trained_step(config: dict[str, Any], data: Any) -> bool:
    """Whether a step of these parts is finite."""
    torch.manual_seed(0)
    module = TrainingModule(
        vae=build(config["model"], path="model"),
        objective=build(config["objective"], path="objective"),
        optimizer=build(config["optimizer"], path="optimizer", allow=("torch.optim.",)),
        scheduler=None,
        model_config=config["model"],
    )
    check_first_batch(module, data.train)
    optimizer = module.make_optimizer(list(module.parameters()))
    batch = next(iter(data.train_dataloader()))
    loss, _ = module.objective(module.vae, batch, 1)
    loss.backward()
    limit = config["trainer"].get("gradient_clip_val")
    if limit:
        torch.nn.utils.clip_grad_norm_(module.parameters(), limit)
    optimizer.step()
    weights_ = [w.isfinite().all() for w in module.parameters()]
    return bool(loss.isfinite()) and all(map(bool, weights_))
