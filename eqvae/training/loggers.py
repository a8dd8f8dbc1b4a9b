"""Where logged numbers go: always metrics.csv in the run folder, and Weights & Biases beside it."""

import csv
import netrc
import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from eqvae.files import write_whole, written

_PATIENCE = 300.0  # seconds that a finished run waits for what is still to be sent


class MetricsCSV(Logger):
    """One row for every step at which anything was logged, one column for every name.

    A file that is already there is continued, so a resumed run has one table.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | Path):
        super().__init__()
        self.path = Path(path)
        self.rows: dict[int, dict[str, Any]] = {}
        if self.path.is_file():
            with self.path.open(newline="") as file:
                rows = [{k: v for k, v in row.items() if v != ""} for row in csv.DictReader(file)]
            self.rows = {int(row["step"]): row for row in rows}

    def forget_from(self, step: int) -> None:
        """Leave out rows of this step and later ones: a run that goes on logs them anew."""
        self.rows = {known: row for known, row in self.rows.items() if known < step}

    def later_means(self, prefix: str) -> dict[str, float]:
        """Means over the later half of each name that begins with `prefix`, by the rest of the name."""
        found: dict[str, list[float]] = {}
        for _, row in sorted(self.rows.items()):
            for name, value in row.items():
                if name.startswith(prefix):
                    found.setdefault(name.removeprefix(prefix), []).append(float(value))
        later = {name: values[len(values) // 2 :] for name, values in found.items()}
        return {name: sum(values) / len(values) for name, values in later.items()}

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run folder has config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = self.rows.setdefault(int(step or 0), {"step": int(step or 0)})
        row.update(metrics)
        names = {name: None for known in self.rows.values() for name in known}
        columns = ["step", "epoch", *sorted(names.keys() - {"step", "epoch"})]
        with written(self.path) as partial, partial.open("w", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(self.rows[key] for key in sorted(self.rows))


class LastingWandbLogger(WandbLogger):
    """W&B's logger, whose faults cost a run nothing: the first is told, then it sends no more.

    A service that is gone raises errors of many kinds in the middle of a training.

    Attributes:
        lost: what went wrong, one sentence with the way out; "" while all is well.
    """

    lost = ""

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        with self.lasting():
            super().log_metrics(*args, **kwargs)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        with self.lasting():
            super().log_hyperparams(*args, **kwargs)

    def log_image(self, *args: Any, **kwargs: Any) -> None:
        with self.lasting():
            super().log_image(*args, **kwargs)

    def log_video(self, *args: Any, **kwargs: Any) -> None:
        with self.lasting():
            super().log_video(*args, **kwargs)

    def close(self, checkpoint: Path | None, config_file: Path) -> None:
        """Attach a checkpoint with its configuration as an artifact, and wait until all is sent."""
        with self.lasting():
            if checkpoint is not None:
                log_model(self, checkpoint, config_file)
            self.experiment.finish()

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """What fails inside is told once; once something is lost, what fails is passed over."""
        try:
            yield
        except Exception as error:  # of sockets, of W&B, of its service
            if not self.lost:
                why = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": .")
                self.lost = (
                    f"Weights & Biases was lost ({why}); metrics.csv and everything else in the run folder "
                    f"is whole. Bring the run there later with `wandb sync {self.save_dir}/wandb/*run-*`."
                )
                warnings.warn(self.lost, stacklevel=3)


def wandb_logger(
    mode: Literal["offline", "online", "disabled"] | None = None,
    project: str | None = None,
    entity: str | None = None,
    tags: list[str] | tuple[str, ...] = (),
    group: str | None = None,
    *,
    name: str | None = None,
    folder: str | Path = ".",
) -> LastingWandbLogger | None:
    """A W&B run whose files stay in the run folder; None if disabled.

    Args:
        mode: "offline" asks nothing and needs no account; "online" needs credentials. None does what
            WANDB_MODE in the environment says, and is offline without it.
        project: on W&B; None takes WANDB_PROJECT, or eqvae without it.
        entity: team or user; None for the default one.
        tags: of the run.
        group: of runs that belong together, such as the cells of a comparison.
        name: of the run.
        folder: the run folder.

    Raises:
        ValueError: if mode is "online" and no credentials are found, or WANDB_MODE is none of the modes.
    """
    mode = mode or _mode_of_environment()
    if mode == "disabled":
        return None
    check_account(mode)
    import wandb

    how = dict(
        mode=mode,
        project=project or os.environ.get("WANDB_PROJECT") or "eqvae",
        entity=entity,
        tags=list(tags) or None,  # then W&B reads WANDB_TAGS
        group=group,
        name=name,
        dir=folder,
        id=_run_id(Path(folder)),
        resume="allow",
        reinit="create_new",
        settings=wandb.Settings(
            silent=mode == "offline",
            console="off",
            finish_timeout=_PATIENCE,
            finish_timeout_raises=True,
        ),
    )
    try:
        run = wandb.init(**how)
    except (wandb.errors.Error, TimeoutError) as error:
        raise ValueError(
            f"Weights & Biases does not answer ({' '.join(str(error).split())}). Set logger.mode=offline, "
            "and bring the run there later with `wandb sync`."
        ) from error
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return LastingWandbLogger(save_dir=folder, experiment=run, offline=mode == "offline")


def log_model(logger: WandbLogger, checkpoint: Path, config_file: Path) -> None:
    """Attach a checkpoint and its configuration to the W&B run as an artifact, offline too."""
    import wandb

    with _staged_in(config_file.parent / "wandb"):
        artifact = wandb.Artifact(f"model-{logger.experiment.id}", type="model")
        artifact.add_file(str(checkpoint), name="model.ckpt")
        artifact.add_file(str(config_file), name="config.yaml")
        logger.experiment.log_artifact(artifact)


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """W&B copies artifacts to WANDB_DATA_DIR first: to the run's own folder, unless the user has set it."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def _mode_of_environment() -> str:
    given = os.environ.get("WANDB_MODE") or "offline"
    mode = {"dryrun": "offline", "run": "online"}.get(given, given)  # as they were called before
    if mode not in ("offline", "online", "disabled"):
        raise ValueError(
            f"WANDB_MODE must be offline, online or disabled; got {given!r}. Or set logger.mode."
        )
    return mode


def check_account(mode: str) -> None:
    """Refuse "online" where no Weights & Biases key is found.

    Raises:
        ValueError: if so.
    """
    if mode == "online" and not _has_credentials():
        raise ValueError(
            "logger.mode=online needs a Weights & Biases account, and no key was found. Run `wandb "
            "login` or set WANDB_API_KEY, or set logger.mode=offline."
        )


def _has_credentials() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return netrc.netrc().authenticators(host or "") is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def _run_id(folder: Path) -> str:
    """The W&B id of this run folder, made once: a resumed run continues its curves."""
    file = folder / "wandb" / "run_id"
    known = file.read_text().strip() if file.is_file() else ""
    if re.fullmatch(r"[\w-]{1,64}", known):  # W&B makes a folder of it
        return known
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, secrets.token_hex(4))
    return file.read_text().strip()
