"""SLURM's variables: which of them mean that this process is one of several that train together.

`srun` starts every task of a step with its own SLURM_PROCID. A shell of `salloc` and a script of `sbatch` see
SLURM_NTASKS too, but are one process; Lightning takes them for the first of several, and waits for the others
or refuses to start.
"""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
)


def num_tasks() -> int:
    """How many processes `srun` has started together with this one; 1 if it did not."""
    if "SLURM_PROCID" not in os.environ:
        return 1
    step = {"SLURM_STEP_ID", "SLURM_STEPID"} & set(os.environ)
    if os.environ.get("ENVIRONMENT") == "BATCH" and not step:
        return 1  # the script of sbatch itself
    return int(os.environ.get("SLURM_STEP_NUM_TASKS") or os.environ.get("SLURM_NTASKS", "1"))


def environment(trainer: Mapping[str, Any]) -> ClusterEnvironment | None:
    """How Lightning finds the other processes of this training; None where SLURM has no part in it.

    Args:
        trainer: the part of the configuration.

    Raises:
        ValueError: if `srun` has started other numbers of processes than the trainer is told.
    """
    given = os.environ.get("SLURM_NTASKS")
    if given is None or "TORCHELASTIC_RUN_ID" in os.environ:
        return None
    tasks = num_tasks()
    if tasks == 1:
        if int(given) > 1:
            warnings.warn(
                f"SLURM has reserved {given} tasks, but this process was not started by srun and trains "
                f"without them. For {given} processes begin with srun, and give trainer.devices, the number "
                "of processes on a node.",
                stacklevel=4,
            )
        return LightningEnvironment()
    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES") or os.environ.get("SLURM_NNODES", "1"))
    each = tasks // nodes
    told = (trainer.get("devices"), trainer.get("num_nodes", 1))
    if told != (each, nodes):
        more = f" +trainer.num_nodes={nodes}" if nodes > 1 else ""
        raise ValueError(
            f"trainer.devices must be {each} on each of {nodes} nodes, as srun started {tasks} processes; "
            f"got {told[0]} on {told[1]}. Give trainer.devices={each}{more}, or begin with srun --ntasks=1."
        )
    # Lightning 2.6 reads the older names, and the second only to see that it is there
    os.environ.setdefault("SLURM_NODELIST", os.environ.get("SLURM_JOB_NODELIST", "127.0.0.1"))
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(each))
    os.environ.setdefault("SLURM_NODEID", "0")
    return SLURMEnvironment(auto_requeue=False)  # a run that is stopped is resumed by resume=
