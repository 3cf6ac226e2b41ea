"""Training on a cluster from a step of Dagster; the cluster is a program that runs the pods on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.models.neural.cluster import ClusterJob
from readmission_platform.models.neural.encoding import numbers_in, places_in
from readmission_platform.models.neural.settings import NeuralConfig
from readmission_platform.models.neural.task import Recipe, Rows, TaskFolder
from readmission_platform.resources.cluster_training import train_on_cluster
from readmission_platform_tests.support.extras import need
from readmission_platform_tests.support.networks import COLUMNS, FOLDS, NETWORK, table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for kubectl, which is on the PATH."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    monkeypatch.setenv("KUBECTL_FOLDER", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    from readmission_platform_tests.support.standing_in_for_kubectl import install

    return install(folder)


def job_in(folder: Path, **changed: object) -> ClusterJob:
    return ClusterJob.model_validate({
        "name": "network", "namespace": "training", "image": "image@sha256:" + "0" * 64, "claim": "rows",
        "mounted_at": str(folder.parent), "folder": str(folder), "owner": "team-risk", "cost_center": "CC-1", **changed,
    })  # fmt: skip


def launch(job: ClusterJob, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    @dg.asset
    def network(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        train_on_cluster(context, job, look_every=0.2)
        return dg.MaterializeResult()

    return dg.materialize([network], instance=instance, raise_on_error=False)


@pytest.mark.slow
def test_pods_train_together_and_tell_dagster_how_far_they_are(cluster: Path, tmp_path: Path) -> None:
    need("torch", "PyTorch is")
    folder = tmp_path / "task"
    folder.mkdir()
    inputs, labels, folds = table(200)
    config = NeuralConfig.model_validate({**NETWORK, "epochs": 1})
    recipe = Recipe(config=config, seed=4, folds=FOLDS, numbers=list(COLUMNS.numbers),
                    texts=[(name, list(texts)) for name, texts in COLUMNS.texts.items()])  # fmt: skip
    task = TaskFolder(folder)
    task.hand_over(recipe, Rows(numbers_in(inputs, COLUMNS), places_in(inputs, COLUMNS), labels, folds))
    instance = dg.DagsterInstance.ephemeral()
    result = launch(job_in(folder), instance)
    assert result.success, [log.read_text(encoding="utf-8") for log in cluster.glob("log-*")]
    assert all(task.is_done(fold) for fold in range(FOLDS))
    assert np.isfinite(task.trained(2).scores).all()
    told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert [line for line in told if line.endswith("trained")] == [f"fold {fold} of 3 trained" for fold in (1, 2, 3)]
    applied = json.loads((cluster / "applied.json").read_text(encoding="utf-8"))
    assert [each["kind"] for each in applied] == ["Service", "NetworkPolicy", "Job"]
    deleted = (cluster / "deleted").read_text(encoding="utf-8")
    assert deleted.endswith("service/network networkpolicy/network job/network")


def test_a_job_that_failed_and_a_cluster_that_is_not_there_are_said_in_one_line(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(job: ClusterJob) -> str:
        instance = dg.DagsterInstance.ephemeral()
        failure = launch(job, instance).failure_data_for_node("network")
        assert failure is not None
        assert failure.error is not None
        assert failure.error.cause is not None
        assert Unavailable.__name__ in str(failure.error.cause)
        return failure.error.cause.message

    folder = tmp_path / "task"
    folder.mkdir()
    (cluster / "kubectl").write_text('#!/bin/sh\ncase "$3" in get) echo FailureTarget Failed;; esac\n', "utf-8")
    assert "job training/network failed" in said(job_in(folder))
    (cluster / "kubectl").write_text("#!/bin/sh\necho refused >&2; echo forbidden >&2; exit 1\n", "utf-8")
    assert "the cluster does not take part: forbidden" in said(job_in(folder))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "kubectl cannot be used" in said(job_in(folder))


def test_the_module_opens_without_a_cluster() -> None:
    script = "import sys, readmission_platform.resources.cluster_training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
