"""From configuration to objects: compose YAML -> plain dict -> build.

A node is a constructor call: `_target_` is the dotted path of a class (or of a function that makes
one), everything else its arguments under their Python names. `build` is short on purpose: it
resolves only what eqvae itself defines, so that a configuration found inside a checkpoint can't run
other code, and it names the place of every mistake, such as `model.encoder.widht`.
"""

import importlib
import inspect
import types
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eqvae.arguments import check_kinds, check_names, check_ranges, closest
from eqvae.arguments import joined as _join
from eqvae.arguments.names import MISSING
from eqvae.overrides import as_typed
from eqvae.renamed import check_overrides
from eqvae.resources import configs

CONFIG_DIR = configs()
TARGET, PARTIAL = "_target_", "_partial_"


def compose(
    overrides: Sequence[str] = (),
    config_dir: str | Path | None = None,
    *,
    name: str = "train",
    image_shape: tuple[int, int, int] | None = None,
) -> dict[str, Any]:
    """The configuration as a plain dict, as `scripts/train.py` would see it.

    Args:
        overrides: what would follow the script's name, as in ["model=plain", "data.batch_size=32"].
        config_dir: folder of the YAML files; the repository's `configs`, or the wheel's copy, if None.
        name: the top file, without ".yaml".
        image_shape: (C, H, H) of the data; without it nodes that need it keep their interpolation.

    Returns:
        Nested dicts, lists and numbers; nothing of Hydra's.

    Raises:
        FileNotFoundError: if the folder is not there.
        ValueError: if an override names an unknown key or choice, or an old one.

    Example:
        config = compose(["model=plain", "data=sprites"])
        datamodule = build(config["data"])
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    check_overrides(overrides)
    folder = Path(config_dir or CONFIG_DIR).resolve()
    if not (folder / f"{name}.yaml").is_file():
        raise FileNotFoundError(
            f"config_dir must hold {name}.yaml; {folder} does not. Pass the repository's configs folder, "
            "or install the eqvae wheel again, which carries them."
        )
    outer = GlobalHydra.instance().hydra  # of a script that is itself Hydra's
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(folder), version_base="1.3"):
            config = hydra_compose(config_name=name, overrides=as_typed(overrides))
    except HydraException as error:
        raise ValueError(" ".join(str(error).split())) from error
    finally:
        GlobalHydra.instance().hydra = outer
    plain = to_plain(config)
    return plain if image_shape is None else fill_data(plain, image_shape)


def to_plain(config: Any) -> Any:
    """OmegaConf -> dict and list, resolved; interpolations of values not known yet stay as text."""
    from omegaconf import DictConfig, ListConfig, OmegaConf
    from omegaconf.errors import InterpolationToMissingValueError

    def item(node: Any, key: Any) -> Any:
        if OmegaConf.is_missing(node, key):
            return MISSING
        try:
            return to_plain(node[key])
        except InterpolationToMissingValueError:
            return node._get_node(key)._value()

    if isinstance(config, DictConfig):
        return {key: item(config, key) for key in config}
    if isinstance(config, ListConfig):
        return [item(config, index) for index in range(len(config))]
    return config


def fill_data(
    config: dict[str, Any],
    image_shape: tuple[int, int, int],
    count: int = 1,
    background: Sequence[float] = (0.0,),
) -> dict[str, Any]:
    """Set what only the data know, and resolve what waited for it.

    Args:
        config: plain, as `compose` gives it.
        image_shape: (C, H, H), for `image.channels` and `image.size`.
        count: number of training images, for `image.count`.
        background: grey of the ground by channel, for `image.background` where it is not given.
    """
    from omegaconf import OmegaConf

    channels, size, _ = image_shape
    image = config.get("image", {})
    known = {"size": int(size), "channels": int(channels), "count": int(count)}
    if image.get("background") in (None, "???"):
        known["background"] = list(background)
    filled = OmegaConf.create({**config, "image": {**image, **known}})
    return to_plain(filled)


def build(
    config: Any,
    *,
    allow: Sequence[str] = ("eqvae.",),
    path: str = "",
    constructors_only: bool = False,
    **extra: Any,
) -> Any:
    """Build the object that a plain configuration describes, its parts first.

    Args:
        config: nested dicts and lists; a dict with `_target_` is a call, with `_partial_: true` one
            that still waits for arguments.
        allow: prefixes of what may be built. Both the written path and the module that really
            defines the object must have one.
        path: where in the configuration this node lies, for messages.
        constructors_only: refuse functions, as for configurations that a stranger may have written.
        extra: arguments for the outermost call that no configuration can hold.

    Raises:
        ValueError: if a target is not allowed or not there, an argument is unknown, missing or of
            the wrong kind, or the constructor refuses its value; the message names the path.

    Example:
        >>> build({"_target_": "eqvae.symmetry.PlaneMotions", "rotations": 8}).name
        'C8'
    """
    how = {"allow": tuple(allow), "constructors_only": constructors_only}
    if isinstance(config, list | tuple):
        return [build(part, path=_join(path, index), **how) for index, part in enumerate(config)]
    if not isinstance(config, dict):
        return config
    if TARGET not in config:
        return {key: build(part, path=_join(path, key), **how) for key, part in config.items()}

    target = resolve(config[TARGET], how["allow"], path, constructors_only=constructors_only)
    given = {key: part for key, part in config.items() if key not in (TARGET, PARTIAL)}
    waits = bool(config.get(PARTIAL, False))
    check_names(target, config[TARGET], given, extra, path, waits=waits)
    arguments = {key: build(part, path=_join(path, key), **how) for key, part in given.items()}
    check_kinds(target, arguments, path)
    check_ranges(target, arguments, path)
    if waits:
        return partial(target, **arguments, **extra)
    try:
        return target(**arguments, **extra)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error
    except (OSError, ImportError):
        raise
    except Exception as error:  # of a library that meets a value it never thought of
        raise ValueError(_refusal(config[TARGET], given, path, error)) from error


def _refusal(target: str, given: dict[str, Any], path: str, error: Exception) -> str:
    """One sentence about a constructor that could do nothing with its values."""
    plain = [f"{k}={v!r}" for k, v in given.items() if not isinstance(v, dict | list | tuple)]
    why = " ".join(str(error).split())[:300] or type(error).__name__
    told = f" with {', '.join(plain)[:200]}" if plain else ""
    return f"{path or target}: {target} can't be made{told} ({why}). Change one of its values."


def with_defaults(config: Any, *, allow: Sequence[str] = ("eqvae.",), path: str = "") -> Any:
    """The configuration with every plain default of its constructors written out.

    What is stored this way rebuilds the same object after a default has changed. Defaults that are
    objects, such as a symmetry, stay with the signature.

    Raises:
        ValueError: if a target is not allowed or not there.
    """
    if isinstance(config, list):
        return [with_defaults(p, allow=allow, path=_join(path, i)) for i, p in enumerate(config)]
    if not isinstance(config, dict):
        return config
    full = {k: with_defaults(p, allow=allow, path=_join(path, k)) for k, p in config.items()}
    if TARGET in config:
        target = resolve(config[TARGET], allow, path)
        for key, parameter in inspect.signature(target).parameters.items():
            default = parameter.default
            if isinstance(default, tuple):
                default = list(default)
            plain = isinstance(default, bool | int | float | str | list | types.NoneType)
            if key not in full and plain:
                full[key] = default
    return full


def resolve(
    target: Any, allow: Sequence[str], path: str = "", *, constructors_only: bool = False
) -> Any:
    """The class or function behind a dotted path, if it is really defined where it is allowed.

    The walk never passes through a module's imports: after the longest importable module name comes
    a class or function whose own `__module__` is allowed, then at most its public alternative
    constructors. So `eqvae.config.importlib.import_module` and `eqvae.models.vae.nn.Module` are refused.

    Raises:
        ValueError: if the target is not allowed, not there, or not a class or function.
    """
    where = f"{path}: " if path else ""
    if not isinstance(target, str) or not target.startswith(tuple(allow)):
        raise ValueError(
            f"{where}_target_ must start with {' or '.join(sorted(allow))}; {target!r} is refused."
        )
    parts = target.split(".")
    if not all(part.isidentifier() and not part.startswith("_") for part in parts):
        raise ValueError(f"{where}_target_ must be a dotted path of public names; got {target!r}.")
    module, rest = _longest_module(parts)
    found: Any = module
    for name in rest:
        if not hasattr(found, name):
            known = [n for n in dir(found) if not n.startswith("_")]
            raise ValueError(f"{where}{target!r} is not there{closest(name, known)}")
        found = getattr(found, name)
        if not _is_defined_in(found, allow):
            raise ValueError(
                f"{where}{target!r} is refused: it is not a class or function that "
                f"{' or '.join(sorted(allow))} defines."
            )
    alternative = isinstance(getattr(found, "__self__", None), type)
    if not rest or (constructors_only and not (isinstance(found, type) or alternative)):
        raise ValueError(f"{where}{target!r} is refused: it is not a class.")
    return found


def _longest_module(parts: list[str]) -> tuple[types.ModuleType, list[str]]:
    module, depth = importlib.import_module(parts[0]), 1
    while depth < len(parts):
        name = ".".join(parts[: depth + 1])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:  # a module of ours that lacks a dependency
                raise
            break
        depth += 1
    return module, parts[depth:]


def _is_defined_in(found: Any, allow: Sequence[str]) -> bool:
    kind = isinstance(found, type | types.FunctionType | types.MethodType)
    return kind and f"{getattr(found, '__module__', '')}.".startswith(tuple(allow))
