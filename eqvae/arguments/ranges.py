"""Which numbers a constructor can mean: finite ones, and the ranges of what is not eqvae's own.

eqvae's constructors check most values themselves. Lightning's and torch's take many that fail later or say
nothing, such as a patience of -1, and are listed here, with the sizes that all networks have.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eqvae.arguments.names import joined

LARGEST = 1e30  # of any number: its products still are numbers of 32 bits
Rule = tuple[str, Callable[[Any], bool]]  # what must hold, in words; None and texts are not asked


def _number(low: float, high: float = LARGEST, *, above: bool = False) -> Rule:
    if above:
        said = f"above {low:g}" + (f" and at most {high:g}" if high < LARGEST else "")
    else:
        said = f"at least {low:g}" if high == LARGEST else f"from {low:g} to {high:g}"
    return said, lambda value: low <= value <= high and not (above and value == low)


def _count(least: int, *, endless: bool = False) -> Rule:
    said = f"a whole number of at least {least}" + (", or -1 for no end" if endless else "")
    return said, lambda value: value >= least or (endless and value == -1)


def _batches() -> Rule:
    """A float is a fraction, a whole number counts."""

    def holds(value: float) -> bool:
        return 0 < value <= 1 if isinstance(value, float) else value >= 1

    return "a fraction above 0 and at most 1.0, or a number of batches of at least 1", holds


_RATE = _number(0)  # a rate that is too large shows in training, which says so
_SHARE = ("from 0 to below 1", lambda value: 0 <= value < 1)
_TRAINER = {
    "max_epochs": _count(1, endless=True), "max_steps": _count(1, endless=True),
    "min_epochs": _count(0), "min_steps": _count(0),
    "gradient_clip_val": _number(0), "check_val_every_n_epoch": _count(1),
    "log_every_n_steps": _count(0), "accumulate_grad_batches": _count(1),
    "num_sanity_val_steps": _count(0, endless=True), "num_nodes": _count(1),
    "limit_train_batches": _batches(), "limit_val_batches": _batches(),
    "limit_test_batches": _batches(), "limit_predict_batches": _batches(),
    "overfit_batches": ("a fraction from 0 to 1.0, or a number of batches of at least 0",
                        lambda value: 0 <= value <= 1 if isinstance(value, float) else value >= 0),
    "val_check_interval": _batches(), "reload_dataloaders_every_n_epochs": _count(0),
    "fast_dev_run": _count(0),
}  # fmt: skip
_EARLY_STOPPING = {
    "patience": _count(0), "min_delta": _number(0), "log_rank_zero_only": None,
}  # fmt: skip
_CHECKPOINT = {
    "save_top_k": _count(0, endless=True), "every_n_train_steps": _count(1), "every_n_epochs": _count(1),
}  # fmt: skip
_OPTIMIZER = {
    "lr": _RATE, "weight_decay": _RATE, "eps": _number(0, 1), "lr_decay": _RATE, "betas": _SHARE,
    "momentum": _SHARE, "momentum_decay": _RATE, "alpha": _SHARE, "rho": _SHARE, "dampening": _number(0, 1),
    "initial_accumulator_value": _RATE, "lambd": _RATE, "t0": _RATE,
}  # fmt: skip
_SCHEDULER = {
    "step_size": _count(1), "gamma": _number(0, 1000), "T_max": _count(1), "eta_min": _number(0, 1000),
    "T_0": _count(1), "T_mult": _count(1), "total_iters": _count(1), "factor": _number(0, 1000),
    "start_factor": _number(0, 1, above=True), "end_factor": _number(0, 1), "power": _number(0, 1000),
    "max_lr": _RATE, "base_lr": _RATE, "milestones": _count(0), "patience": _count(0),
    "cooldown": _count(0), "threshold": _number(0),
}  # fmt: skip
_NETWORK = {
    name: _count(1)
    for name in "hidden width maps kernel_size channels oversampling components draws".split()
}
_DAYS = re.compile(r"\d{1,6}:\d{1,6}:\d{1,6}:\d{1,6}")
_TEXTS = {"max_time": ("days:hours:minutes:seconds, as in 00:00:05:00", _DAYS)}
RULES: dict[str, Mapping[str, Rule | None]] = {  # by the module that a class is defined in
    "pytorch_lightning.trainer.trainer": _TRAINER,
    "pytorch_lightning.callbacks.early_stopping": _EARLY_STOPPING,
    "pytorch_lightning.callbacks.model_checkpoint": _CHECKPOINT,
    "torch.optim.lr_scheduler": _SCHEDULER,
    "torch.optim": _OPTIMIZER,
    "eqvae.nn": _NETWORK,
    "eqvae.pose": _NETWORK,
}


def check_ranges(target: Any, arguments: Mapping[str, Any], path: str) -> None:
    """Refuse numbers that are not finite, and numbers beyond the range of their argument.

    Raises:
        ValueError: with the path of the argument, its value and the rule.
    """
    rules = _rules(target)
    for key, value in arguments.items():
        where = joined(path, key)
        for inner, number in _numbers(value, where):
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{inner} must be a finite number; got {number}.")
            if abs(number) > LARGEST:
                raise ValueError(
                    f"{inner} must be at most {LARGEST:g} in size; got {number!r:.40}."
                )
            rule = rules.get(key)
            if rule is not None and not rule[1](number):
                raise ValueError(f"{inner} must be {rule[0]}; got {number!r}.")
        if key in _TEXTS and rules is _TRAINER and isinstance(value, str):
            said, pattern = _TEXTS[key]
            if not pattern.fullmatch(value):
                raise ValueError(f"{where} must be {said}; got {value!r}.")


def _rules(target: Any) -> Mapping[str, Rule | None]:
    module = f"{getattr(target, '__module__', '')}."
    return next((rules for known, rules in RULES.items() if module.startswith(f"{known}.")), {})


def _numbers(value: Any, path: str) -> Iterator[tuple[str, int | float]]:
    """Every number of nested lists and tables of plain values with its path."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _numbers(part, joined(path, key))
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _numbers(part, joined(path, i))
