"""Files of a stranger, by kind: every one is to be refused in one sentence, and nothing may happen."""

import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

_ACTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "pty.spawn",
)
_NETWORK = ("socket.connect", "socket.getaddrinfo", "urllib.Request")
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "shutil.rmtree",
    "os.rmdir",
    "os.symlink",
    "os.link",
)
_watching: list[tuple[list[str], Path]] = []


def _hear(event: str, arguments: tuple) -> None:
    if not _watching:
        return
    done, folder = _watching[-1]
    if event in _ACTS or event in _NETWORK:
        done.append(f"{event} {str(arguments)[:100]}")
    elif event == "open" or event in _CHANGES:
        path, mode = arguments[0], arguments[1] if event == "open" else "w"
        writes = isinstance(mode, str) and set(mode) & set("wxa+")
        if writes and isinstance(path, str | Path) and not _inside(str(path), folder):
            done.append(f"{event} {path}")


def _inside(path: str, folder: Path) -> bool:
    known = (str(folder), "/dev/", "/proc/")
    return path.endswith((".pyc", "__pycache__")) or str(Path(path).absolute()).startswith(known)


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """What is done meanwhile that reading must not do: commands, network, files written outside a folder."""
    if not getattr(sys, "_eqvae_hears", False):
        sys.addaudithook(_hear)  # it can't be removed again, and hears nothing outside of the block
        sys._eqvae_hears = True  # type: ignore[attr-defined]
    done: list[str] = []
    _watching.append((done, folder))
    try:
        yield done
    finally:
        _watching.pop()


TARGETS = (
    *(
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "builtins.exec",
        "posix.system",
        "pty.spawn",
    ),
    *("eqvae.config.build", "eqvae.config.compose", "eqvae.config.resolve", "eqvae.load_vae"),
    *("eqvae.cli.launch.run", "eqvae.cli.train.main", "eqvae.comparison.work.work"),
    *(
        "eqvae.files.written",
        "eqvae.embedding.files.write_csv",
        "eqvae.export.artefact.export_model",
    ),
    *("eqvae.training.checkpoint.write_whole", "eqvae.training.interruption.InterruptCheckpoint"),
    *("eqvae.training.loggers.MetricsCSV", "eqvae.training.loggers.log_model"),
    *("pytorch_lightning.cli.instantiate_class", "pytorch_lightning.cli.LightningCLI"),
    *("pytorch_lightning.loggers.CSVLogger", "pytorch_lightning.loggers.WandbLogger"),
    *("pytorch_lightning.callbacks.LambdaCallback", "pytorch_lightning.profilers.PyTorchProfiler"),
    *("torch.load", "torch.hub.load", "torch.optim.lr_scheduler.partial", "torch.optim.sys.exit"),
    *("torch.optim.Optimizer.__init_subclass__", "eqvae.data.formats.stack.open_stack"),
    *("eqvae.models.vae.torch.load", "eqvae.symmetry.PlaneMotions.__init__.__globals__", "eqvae"),
    *(
        "eqvae.data.sources.npz.np.load",
        "eqvae.data.sources.folder.Path",
        "",
        7,
        None,
        ["os.system"],
    ),
)


def _bomb(levels: int = 9) -> str:
    lines = ["a0: &a0 [x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


TEXTS: dict[str, str | bytes] = {  # of a whole config.yaml
    "nothing": "",
    "a word": "word",
    "a list": "[1, 2]",
    "no YAML": "}: [",
    "binary": b"\xff\xfe\x00\x01",
    "NUL": "a: \x00",
    "anchors": _bomb(),
    "one anchor": "a: &x 1\n",
    "merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "deep list": "a: " + "[" * 5000 + "]" * 5000,
    "deep table": "\n".join(" " * i + "a:" for i in range(900)),
    "dashes": "- " * 5000,
    "unhashable key": "? [1]\n: 2\n",
    "twice": "a: 1\na: 2\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "long number": "a: " + "9" * 6000,
    "sexagesimal": "a: 1" + ":59" * 9000,
    "large": "a: '" + "x" * 1_200_000 + "'",
    "long text": "a: '" + "x" * 40_000 + "'",
    "many": "a: [" + "1," * 60_000 + "1]",
    "tag name": "a: !!python/name:os.system\n",
    "tag object": "a: !!python/object/apply:os.system [true]\n",
    "tag path": "a: !!python/object/apply:pathlib.Path [x]\n",
    "own tag": "a: !x 1\n",
    "tag of text": "a: !!str 1\n",
    "environment": "name: ${oc.env:HOME}\n",
    "decode": "name: ${oc.decode:1}\n",
    "create": "name: ${oc.create:1}\n",
    "hydra": "name: ${hydra:runtime.cwd}\n",
    "nested": "name: ${oc.env:${seed}}\n",
    "in a key": "${oc.env:HOME}: 1\n",
    "relative": "a: ${.b}\nb: 1\n",
    "half": "name: ${\n",
}


def changes(folder: Path) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """What may be done to a run's own configuration, by name; each is to be refused."""
    outside = str(folder.parent / "outside")

    def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], Any]:
        def change(config: dict[str, Any]) -> None:
            for key in keys[:-1]:
                config = config[key]
            config[keys[-1]] = value

        return change

    call = {"_target_": "os.system", "command": f"touch {outside}"}
    build = {"_target_": "eqvae.config.build", "allow": ["os."], "config": call}
    return {
        **{
            f"{'.'.join(keys)} {name}": put(*keys, value=value)
            for keys in (
                ("data",),
                ("data", "source"),
                ("callbacks", "x"),
                ("model", "encoder"),
                ("optimizer",),
                ("scheduler",),
                ("logger",),
                ("prior",),
                ("trainer", "plugins"),
            )
            for name, value in (("command", call), ("build", build))
        },
        "place above": put("callbacks", "best", "filename", value="../../outside"),
        "place at the root": put("callbacks", "best", "filename", value=outside),
        "home": put("callbacks", "best", "filename", value="~/outside"),
        "profiler": put("trainer", "profiler", value="advanced"),
        "logger of the trainer": put("trainer", "logger", value=True),
        "plugins": put("trainer", "plugins", value=["environment"]),
        "trainer is a function": put("trainer", "_target_", value="eqvae.training.run.train"),
        "a list of calls": put("callbacks", "x", value=[[call]]),
        "without data": lambda config: config.pop("data"),
        "without a seed": lambda config: config.pop("seed"),
        "a model of text": put("model", value="harmonic"),
        "callbacks in a list": put("callbacks", value=[1]),
        "an unknown part": put("x", value=call),
    }


class _Calls:
    def __reduce__(self):
        import os

        return os.system, ("touch outside",)


class _Makes:
    def __init__(self, made: Any, *arguments: Any):
        self.call = made, arguments

    def __reduce__(self):
        return self.call


def _archive(path: Path, pickled: bytes, *, packed: bool = False, **members: bytes) -> None:
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for name, content in members.items():
            archive.writestr(f"archive/data/{name}", content)


def _storage(numel: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle of a tensor with a storage of its own words: as torch writes it, with other numbers."""
    x = torch.zeros(1)

    class Pickler(pickle._Pickler):  # the one in Python, which asks for what is behind a tensor
        def persistent_id(self, value: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if value is x else None

    import io

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (x, 0, size, stride, False, {})

    out = io.BytesIO()
    Pickler(out, 2).dump({"state_dict": {"vae.x": Tensor()}, "hyper_parameters": {"format": 2}})
    return out.getvalue()


def _nested(levels: int = 12) -> Any:
    value: Any = [1] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


def checkpoints() -> dict[str, Callable[[dict[str, Any], Path], Any]]:
    """Ways to write a checkpoint that is to be refused, from a whole one and to a path."""

    def saved(change: Callable[[dict[str, Any]], Any], **how: Any) -> Callable:
        def write(whole: dict[str, Any], path: Path) -> None:
            change(whole)
            torch.save(whole, path, **how)

        return write

    def model(*keys: Any, value: Any) -> Callable:
        def change(whole: dict[str, Any]) -> None:
            node = whole["hyper_parameters"]["model"]
            for key in keys[:-1]:
                node = node[key]
            node[keys[-1]] = value

        return saved(change)

    big = torch.zeros(1).expand(1 << 30)
    plain = pickle.dumps({"hyper_parameters": {"format": 2}}, 2)
    return {
        "command": saved(lambda c: c.update(x=_Calls())),
        "eval": saved(lambda c: c.update(x=_Makes(eval, "1"))),
        "bytes": saved(lambda c: c.update(x=_Makes(bytearray, 4 << 30))),
        "numpy": saved(lambda c: c.update(x=__import__("numpy").zeros(3))),
        "legacy": saved(lambda c: None, _use_new_zipfile_serialization=False),
        "expanded": saved(lambda c: c["state_dict"].update({"vae.x": big})),
        "expanded optimizer": saved(lambda c: c.update(optimizer_states=[{"x": big}])),
        "sparse": saved(lambda c: c["state_dict"].update({"vae.x": torch.eye(3).to_sparse()})),
        "meta": saved(
            lambda c: c["state_dict"].update({"vae.x": torch.empty(1 << 30, device="meta")})
        ),
        "shared lists": saved(lambda c: c.update(x=_nested())),
        "shared lists in the model": model("encoder", "x", value=_nested()),
        "packed": lambda whole, path: _archive(path, b"\x80\x02}." + bytes(1 << 22), packed=True),
        "large storage": lambda whole, path: _archive(
            path, _storage(1 << 32, (1 << 32,), (1,)), **{"0": bytes(64)}
        ),
        "beyond the storage": lambda whole, path: _archive(
            path, _storage(16, (1 << 30,), (1,)), **{"0": bytes(64)}
        ),
        "negative stride": lambda whole, path: _archive(
            path, _storage(16, (4,), (-1,)), **{"0": bytes(64)}
        ),
        "no storage": lambda whole, path: _archive(path, _storage(16, (16,), (1,))),
        "no parts": lambda whole, path: _archive(path, plain),
        "no pickle": lambda whole, path: _archive(path, b"\x00\x01"),
        "empty": lambda whole, path: path.write_bytes(b""),
        "zip alone": lambda whole, path: zipfile.ZipFile(path, "w").close(),
        "text": lambda whole, path: path.write_text("x" * 1000),
        "many widths": model("encoder", "width", value=10**9),
        "wide": model("encoder", "width", value=20_000),
        "negative": model("encoder", "width", value=-3),
        "nan": model("likelihood", "variance", value=float("nan")),
        "many digits": model("encoder", "width", value=10**400),
        "interpolation": model("encoder", "width", value="${oc.env:HOME}"),
        "function": model(
            "encoder", "representation", value={"_target_": "eqvae.config.build", "config": 1}
        ),
        "waiting model": model("_partial_", value=True),
        "scheduler as a model": saved(
            lambda c: c["hyper_parameters"].update(
                model={"_target_": "eqvae.training.schedules.cosine"}
            )
        ),
    }
