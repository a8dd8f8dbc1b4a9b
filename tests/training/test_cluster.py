"""Which of SLURM's variables mean several processes."""

from pathlib import Path

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from eqvae.cli.train import _shared_folder
from eqvae.training.cluster import environment, num_tasks

JOB = {"SLURM_JOB_ID": "71", "SLURM_JOB_NAME": "train", "SLURM_JOB_NODELIST": "node[3-4]"}
TASK = {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NNODES": "1"}
ONE = {"devices": 1}


@pytest.fixture
def slurm(monkeypatch):
    import os

    for name in [n for n in os.environ if n.startswith(("SLURM_", "TORCHELASTIC_", "MASTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    for name in ("SLURM_NODELIST", "SLURM_NTASKS_PER_NODE", "SLURM_NODEID"):
        monkeypatch.setenv(name, "")  # so that what is set in the test is taken back
        monkeypatch.delenv(name)

    def put(*variables, **more):
        for known in (*variables, more):
            for name, value in known.items():
                monkeypatch.setenv(name, value)

    return put


def test_elsewhere_nothing_is_changed(slurm):
    assert num_tasks() == 1 and environment(ONE) is None


@pytest.mark.parametrize(
    "more", [{}, {"SLURM_PROCID": "0", "ENVIRONMENT": "BATCH"}], ids=["salloc", "sbatch"]
)
def test_a_shell_or_a_script_is_one_process_and_says_so(slurm, more):
    slurm(JOB, more, SLURM_NTASKS="2")
    assert num_tasks() == 1
    with pytest.warns(
        UserWarning, match="reserved 2 tasks, but this process was not started by srun"
    ):
        assert isinstance(environment(ONE), LightningEnvironment)


def test_a_single_task_is_one_process(slurm, recwarn):
    slurm(JOB, TASK, SLURM_NTASKS="1", SLURM_PROCID="0", SLURM_STEP_ID="0")
    assert isinstance(environment(ONE), LightningEnvironment) and not recwarn


def test_tasks_of_srun_train_together_in_one_folder(slurm):
    slurm(JOB, TASK, SLURM_NTASKS="2", ENVIRONMENT="BATCH", SLURM_STEP_ID="4")
    found = environment({"devices": 2})
    assert isinstance(found, SLURMEnvironment)
    assert (found.global_rank(), found.world_size(), found.main_address) == (1, 2, "node3")
    found.validate_settings(num_devices=2, num_nodes=1)
    assert _shared_folder(Path("runs/name")) == Path("runs/name/slurm-71-4").resolve()


def test_other_numbers_of_processes_are_refused(slurm):
    slurm(JOB, TASK, SLURM_NTASKS="4", SLURM_NNODES="2")
    with pytest.raises(ValueError, match=r"must be 2 on each of 2 nodes, .* got 1 on 1\. Give "):
        environment(ONE)
    assert isinstance(environment({"devices": 2, "num_nodes": 2}), SLURMEnvironment)


def test_without_the_number_of_the_job_the_folder_must_be_given(slurm):
    slurm(TASK, SLURM_NTASKS="2")
    with pytest.raises(ValueError, match="run_dir must be given"):
        _shared_folder(Path("runs/name"))
