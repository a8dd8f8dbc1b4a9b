"""Configuration keys that have another name now: whoever writes an old one is told the new one.

To rename a key, add it to `RENAMED`; nothing else knows old names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

_OF_THE_SOURCE = (
    *("path", "root", "download", "image", "label", "group", "mask", "mask_margin", "aligned"),
    *(
        "skip_unreadable",
        "channels",
        "num_images",
        "size",
        "shapes",
        "radius",
        "background",
        "noise",
    ),
    *("conformations", "views", "snr", "defocus", "pixel_size", "voltage", "cs"),
    *("amplitude_contrast", "b_factor"),
)

# old -> new; KEY=VALUE is one choice of a part, a key stands for all below it as well
RENAMED = {
    **{f"data.{name}": f"data.source.{name}" for name in _OF_THE_SOURCE},
    "data.sprite_seed": "data.source.seed",
    "data.particle_seed": "data.source.seed",
    "data.pose.max_angle": "data.pose.angles.max_angle",
    "data.pose.classes": "data.pose.angles.classes",
    "data.pose.stretch": "data.camera.stretch",
    "data.pose.strength": "data.camera.strength",
    "model.encoder.degree": "harmonics.degree",
    "model.encoder.radius": "image.radius",
    "model.encoder.encoder.radius": "image.radius",
    "data/pose=stretched": "data/camera=stretch",
    "data/pose=lit": "data/camera=light",
    "level": "scenario",
}

# constructors of stored configurations that are gone
_GONE = {
    *(
        f"eqvae.data.{name}"
        for name in ("mnist5k", "mnist", "sprites", "particles", "npz", "folder")
    ),
    *(f"eqvae.data.{name}" for name in ("LimitedRotation", "UprightClasses", "Stretched", "Lit")),
}


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse old keys and choices in what would follow a script's name.

    Args:
        overrides: such as ["data=npz", "data.source.path=images.npz"]; flags are left alone.

    Raises:
        ValueError: with the new name, and how to write the override.
    """
    for override in overrides:
        key, equals, value = override.lstrip("+~").partition("=")
        if f"{key}={value}" in RENAMED:
            new = RENAMED[f"{key}={value}"]
            raise ValueError(f"{key}={value} is now {new}: write {new}.")
        old = _old_name(key)
        if old is not None:
            new = RENAMED[old]
            raise ValueError(
                f"{old} is now {new}: write {new}{key.removeprefix(old)}{equals}{value}."
            )


def check_stored(config: Any, place: str) -> None:
    """Refuse a stored configuration that an older eqvae wrote.

    Args:
        config: nested dicts and lists, from the root of the configuration.
        place: where it was found, for the message.

    Raises:
        ValueError: if it holds an old key or a constructor that is gone.
    """
    for key, value in _leaves(config):
        old = _old_name(key)
        if old is not None:
            what = f"{old} is now {RENAMED[old]}"
        elif key.rpartition(".")[2] == "_target_" and value in _GONE:
            what = f"{value} is gone"
        else:
            continue
        raise ValueError(
            f"{place} was written by an older eqvae: {what}. "
            "Train again with this one, or go on with that one; to evaluate or embed, say which "
            "data with data=CHOICE."
        )


def _old_name(key: str) -> str | None:
    """The renamed key that this key is, or lies below; None if it is as it should be."""
    parts = key.split(".")
    above = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return next((name for name in above if name in RENAMED), None)


def _leaves(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested dicts and lists with its dotted key."""
    if isinstance(config, dict | list):
        items = config.items() if isinstance(config, dict) else enumerate(config)
        for key, value in items:
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, config
